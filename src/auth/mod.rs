//! Who are you, may you.

pub mod api_token;
pub mod csrf;
pub mod login;
pub mod password;
pub mod permission;
pub mod session;

use crate::store::user::User;

/// Who sent a request, and how they showed it.
#[derive(Debug, Clone)]
pub struct Actor {
    /// An active user.
    pub user: User,
    /// By which means.
    pub via: Via,
}

/// The means by which a request showed who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// A browser's session cookie: may do all that the user may.
    Session,
    /// An API token: may do what its scopes say, and no more than the user may.
    Token {
        /// `event:read`, `project:write`, ...
        scopes: Vec<String>,
    },
}
