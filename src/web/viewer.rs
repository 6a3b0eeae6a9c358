//! Who looks at a page, and in which language.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use super::failure::Failure;
use super::text::Lang;
use crate::app::App;
use crate::auth::csrf;
use crate::auth::session::{self, SessionToken};
use crate::store::user::User;

/// A signed-in person; without one the answer is the sign-in page.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    /// The account.
    pub(super) user: User,
    /// What the page around the content shows.
    pub(super) frame: Frame,
    /// The session the request came with.
    pub(super) session: SessionToken,
}

/// What every page needs to know of its reader.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    /// The language to speak.
    pub(super) lang: Lang,
    /// Who is signed in.
    pub(super) account: Option<Account>,
}

/// The signed-in person, as the page's frame shows them.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// The name, or the address of who gave none.
    pub(super) name: String,
    /// The address.
    pub(super) email: String,
    /// Token for forms.
    pub(super) csrf: String,
}

impl Viewer {
    /// The language to speak.
    pub(super) fn lang(&self) -> Lang {
        self.frame.lang
    }

    /// The token for forms.
    pub(super) fn csrf(&self) -> &str {
        self.frame.account.as_ref().map_or("", |account| &account.csrf)
    }
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let back = || {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            // A form cannot be sent again after signing in.
            Failure::SignIn(if parts.method == Method::GET { path.to_owned() } else { "/".to_owned() })
        };
        let token = SessionToken::from_headers(&parts.headers).ok_or_else(back)?;
        let user = session::find(app, &token).await?.ok_or_else(back)?.user;
        let account = Account {
            name: if user.name.is_empty() { user.email.clone() } else { user.name.clone() },
            email: user.email.clone(),
            csrf: csrf::token(&token),
        };
        let lang = Lang::from_tag(&user.language).unwrap_or_else(|| accepted(&parts.headers));
        let frame = Frame { lang, account: Some(account) };
        if let Some(known) = parts.extensions.get::<KnownFrame>() {
            known.set(frame.clone());
        }
        Ok(Self { user, frame, session: token })
    }
}

/// The language the browser asks for.
impl<S: Send + Sync> FromRequestParts<S> for Lang {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(accepted(&parts.headers))
    }
}

fn accepted(headers: &HeaderMap) -> Lang {
    let header = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    header.map_or(Lang::default(), Lang::from_accept_language)
}

/// What is known so far of a request's reader; shared by the handler and by what renders failures.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownFrame(Arc<Mutex<Frame>>);

impl KnownFrame {
    /// Only what the request says by itself.
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        Self(Arc::new(Mutex::new(Frame { lang: accepted(headers), account: None })))
    }

    /// The best that is known.
    pub(super) fn get(&self) -> Frame {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, frame: Frame) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = frame;
    }
}
