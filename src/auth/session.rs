//! Browser sessions: a random token in a cookie, its SHA-256 in the database.
//!
//! Over https the cookie is `__Host-glitchbox` (Secure, no Domain, Path=/), so that neither a
//! sub-domain nor plain http can plant one; over http it is `glitchbox`. It is made anew at every
//! sign-in and lives for fourteen days.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{Duration, Utc};
use sha2::{Digest, Sha256};

use super::{Actor, Via};
use crate::app::App;
use crate::http::client_info::ClientInfo;
use crate::ids::UserId;
use crate::store::{self, StoreError};

/// Cookie name over https.
const SECURE_COOKIE: &str = "__Host-glitchbox";
/// Cookie name over plain http.
const PLAIN_COOKIE: &str = "glitchbox";
/// How long a sign-in lasts.
const LIFETIME_DAYS: i64 = 14;
/// `last_seen_at` is written at most this often.
const TOUCH_MINUTES: i64 = 10;

/// The secret in the cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken([u8; 32]);

impl SessionToken {
    /// A new token from the operating system's generator, by way of the thread's.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The token's bytes, for deriving others from it.
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the database knows of the token.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Reads the session cookie; the https one first.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let find = |wanted: &str| {
            headers
                .get_all(header::COOKIE)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|line| line.split(';'))
                .filter_map(|pair| pair.trim().split_once('='))
                .find(|(name, _)| *name == wanted)
                .and_then(|(_, value)| Self::decode(value))
        };
        find(SECURE_COOKIE).or_else(|| find(PLAIN_COOKIE))
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    fn decode(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Who sent a request, by its session cookie; `None` without a live session of an active user.
pub async fn authenticate(app: &App, headers: &HeaderMap) -> Option<Actor> {
    let token = SessionToken::from_headers(headers)?;
    match find(app, &token).await {
        Ok(actor) => actor,
        Err(error) => {
            tracing::warn!(%error, "could not look up a session");
            None
        }
    }
}

/// Whose session `token` opens; an error when the database did not answer.
pub async fn find(app: &App, token: &SessionToken) -> Result<Option<Actor>, StoreError> {
    let hash = token.hash();
    let Some(session) = store::session::find(&app.db, &hash).await? else { return Ok(None) };
    let Some(user) = store::user::find(&app.db, session.user_id).await?.filter(|user| user.is_active) else {
        return Ok(None);
    };
    if Utc::now() - session.last_seen_at > Duration::minutes(TOUCH_MINUTES) {
        store::session::touch(&app.db, &hash).await?;
    }
    Ok(Some(Actor { user, via: Via::Session }))
}

/// Begins a session and returns the cookie to set. A session the browser already had ends.
pub async fn begin(
    app: &App,
    user_id: UserId,
    client: &ClientInfo,
    headers: &HeaderMap,
) -> Result<HeaderValue, StoreError> {
    if let Some(old) = SessionToken::from_headers(headers) {
        store::session::delete(&app.db, &old.hash()).await?;
    }
    let token = SessionToken::random();
    let session = store::session::NewSession {
        token_hash: &token.hash(),
        user_id,
        expires_at: Utc::now() + Duration::days(LIFETIME_DAYS),
        client_ip: &client.ip.to_string(),
        user_agent: headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default(),
    };
    store::session::insert(&app.db, &session).await?;
    Ok(cookie(client.is_secure, &token.encode(), LIFETIME_DAYS * 24 * 3600))
}

/// Ends a session and returns the cookie that makes the browser forget it.
pub async fn end(app: &App, token: &SessionToken, client: &ClientInfo) -> Result<HeaderValue, StoreError> {
    store::session::delete(&app.db, &token.hash()).await?;
    Ok(cookie(client.is_secure, "", 0))
}

/// The `Set-Cookie` value; `max_age` in seconds.
fn cookie(is_secure: bool, value: &str, max_age: i64) -> HeaderValue {
    let (name, secure) = if is_secure { (SECURE_COOKIE, "; Secure") } else { (PLAIN_COOKIE, "") };
    let text = format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
    // Base64 and digits only: always a legal header value.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie_round_trip() {
        let token = SessionToken::random();
        let set = cookie(true, &token.encode(), 60);
        let text = set.to_str().unwrap();
        assert!(text.starts_with("__Host-glitchbox="));
        assert!(text.ends_with("; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"));
        let mut headers = HeaderMap::new();
        let cookies = format!("a=b; {}", text.split(';').next().unwrap());
        headers.insert(header::COOKIE, cookies.parse().unwrap());
        assert_eq!(SessionToken::from_headers(&headers), Some(token));
    }

    #[test]
    fn https_cookie_wins_and_junk_is_no_session() {
        let (good, planted) = (SessionToken::random(), SessionToken::random());
        let mut headers = HeaderMap::new();
        let line = format!("glitchbox={}; __Host-glitchbox={}", planted.encode(), good.encode());
        headers.insert(header::COOKIE, line.parse().unwrap());
        assert_eq!(SessionToken::from_headers(&headers), Some(good));
        headers.insert(header::COOKIE, "glitchbox=tooshort".parse().unwrap());
        assert_eq!(SessionToken::from_headers(&headers), None);
    }
}
