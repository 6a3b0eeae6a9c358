//! API tokens: made once, shown once, kept only as a hash.

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::{Actor, Via};
use crate::http::ApiError;
use crate::ids::UserId;
use crate::store::api_token::{self, ApiToken};
use crate::store::{self, StoreError};

/// What clients recognise a user's token by.
const PREFIX: &str = "sntryu_";

/// A new token in clear text, for the one time it is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken(String);

impl NewToken {
    /// `sntryu_` and 64 random hexadecimal digits.
    fn random() -> Self {
        Self(format!("{PREFIX}{}", hex::encode(rand::random::<[u8; 32]>())))
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Makes a token for a user; the scopes have been checked.
pub async fn create(
    pool: &PgPool,
    user: UserId,
    label: &str,
    scopes: &[String],
) -> store::Result<(NewToken, ApiToken)> {
    let token = NewToken::random();
    let row = api_token::insert(pool, user, label, &hash(token.expose()), scopes).await?;
    Ok((token, row))
}

/// Who sent a request, by its `Authorization: Bearer` header. 401 without a token of an active user.
pub async fn authenticate(pool: &PgPool, headers: &HeaderMap) -> Result<Actor, ApiError> {
    let text = bearer(headers).ok_or_else(ApiError::not_authenticated)?;
    let found = api_token::find_by_hash(pool, &hash(text)).await.map_err(unavailable)?;
    let Some(found) = found.filter(|found| found.user.is_active) else {
        return Err(ApiError::Unauthorized("Invalid token".to_owned()));
    };
    if found.token.is_use_due() {
        // The request goes on without: the time of last use is a convenience.
        if let Err(error) = api_token::touch(pool, found.token.id).await {
            tracing::warn!(%error, "cannot note the use of an API token");
        }
    }
    Ok(Actor { user: found.user, via: Via::Token { scopes: found.token.scopes } })
}

/// The token of the header; its scheme in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn unavailable(error: StoreError) -> ApiError {
    if error.is_retryable() { ApiError::Unavailable("The database") } else { ApiError::Internal(error.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn tokens_look_as_clients_expect() {
        let token = NewToken::random();
        assert_eq!(token.expose().len(), PREFIX.len() + 64);
        assert_ne!(token, NewToken::random());
        assert_eq!(format!("{token:?}"), "***");
    }

    #[test]
    fn the_header_is_read_generously() {
        assert_eq!(bearer(&headers("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&headers("bearer  abc ")), Some("abc"));
        assert_eq!(bearer(&headers("Basic abc")), None);
        assert_eq!(bearer(&headers("Bearer ")), None);
        assert_eq!(bearer(&headers("abc")), None);
    }
}
