//! May you: scopes of tokens, roles in organizations.

use sqlx::PgPool;

use super::{Actor, Via};
use crate::http::ApiError;
use crate::ids::OrganizationId;
use crate::store::Result;
use crate::store::member::{self, Role};

/// Every scope a token can have. Within a resource, `admin` includes `write` and `write` includes `read`.
pub const SCOPES: &[&str] = &[
    "project:read",
    "project:write",
    "project:admin",
    "project:releases",
    "team:read",
    "team:write",
    "team:admin",
    "event:read",
    "event:write",
    "event:admin",
    "org:read",
    "org:write",
    "org:admin",
    "org:integrations",
    "org:ci",
    "member:read",
    "member:write",
    "member:admin",
    "member:invite",
    "alerts:read",
    "alerts:write",
];

/// A scope that does not exist; the text lists those that do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{0}`; the scopes are {scopes}", scopes = SCOPES.join(", "))]
pub struct UnknownScope(String);

/// Reads scopes separated by commas or spaces; each once, in the order of [`SCOPES`].
pub fn parse_scopes(text: &str) -> std::result::Result<Vec<String>, UnknownScope> {
    let given: Vec<&str> = text.split([',', ' ']).filter(|scope| !scope.is_empty()).collect();
    if let Some(unknown) = given.iter().find(|scope| !SCOPES.contains(scope)) {
        return Err(UnknownScope((*unknown).to_owned()));
    }
    Ok(SCOPES.iter().filter(|scope| given.contains(scope)).map(|scope| (*scope).to_owned()).collect())
}

/// True when having `held` means having `wanted`.
fn includes(held: &str, wanted: &str) -> bool {
    let rank = |verb: &str| match verb {
        "read" => Some(0),
        "write" => Some(1),
        "admin" => Some(2),
        _ => None,
    };
    if held == wanted {
        return true;
    }
    match (held.split_once(':'), wanted.split_once(':')) {
        (Some((resource, held)), Some((of, wanted))) if resource == of => match (rank(held), rank(wanted)) {
            (Some(held), Some(wanted)) => held >= wanted,
            _ => false,
        },
        _ => false,
    }
}

/// 403 unless the actor's token has `scope` or one that includes it. A session has every scope.
pub fn require_scope(actor: &Actor, scope: &str) -> std::result::Result<(), ApiError> {
    match &actor.via {
        Via::Session => Ok(()),
        Via::Token { scopes } if scopes.iter().any(|held| includes(held, scope)) => Ok(()),
        Via::Token { .. } => Err(ApiError::no_permission()),
    }
}

/// The actor's role in an organization, none when no member. A superuser is owner everywhere.
pub async fn organization_role(pool: &PgPool, actor: &Actor, organization: OrganizationId) -> Result<Option<Role>> {
    if actor.user.is_superuser {
        return Ok(Some(Role::Owner));
    }
    member::find_role(pool, organization, actor.user.id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greater_verbs_include_smaller_ones_of_the_same_resource() {
        for (held, wanted, expected) in [
            ("event:read", "event:read", true),
            ("event:admin", "event:read", true),
            ("event:admin", "event:write", true),
            ("event:write", "event:read", true),
            ("event:read", "event:write", false),
            ("event:admin", "org:read", false),
            ("org:ci", "org:read", false),
            ("org:admin", "org:ci", false),
            ("project:admin", "project:releases", false),
            ("project:releases", "project:releases", true),
        ] {
            assert_eq!(includes(held, wanted), expected, "{held} {wanted}");
        }
    }

    #[test]
    fn scopes_are_read_and_an_unknown_one_is_named() {
        assert_eq!(parse_scopes("event:read,org:read event:read").unwrap(), ["event:read", "org:read"]);
        assert_eq!(parse_scopes("").unwrap(), Vec::<String>::new());
        let error = parse_scopes("event:read,event:fly").unwrap_err().to_string();
        assert!(error.contains("`event:fly`") && error.contains("project:releases"), "{error}");
    }
}
