//! Passwords as Argon2id hashes (PHC strings).

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use rand::seq::IndexedRandom;
use tokio::sync::Semaphore;

use crate::store::user::PasswordHash;

/// Hashes made at once: each takes about 19 MB and a core for some tens of milliseconds.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// The hash of an empty-handed password, for users that do not exist: checking against it takes as long
/// as checking against a real one (same parameters).
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Z2xpdGNoYm94bm9ib2R5$hVj3P2m0rGx7q5J0oM5sQv3m5w0f9Z3c8uQyq3qk1lE";

/// The shortest password a person may choose, in characters.
pub const MIN_LENGTH: usize = 8;

/// Letters and digits that nobody mistakes for one another.
const READABLE: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// A new random password: 24 letters and digits, 138 bits.
pub fn generate() -> String {
    let mut rng = rand::rng();
    (0..24).filter_map(|_| READABLE.choose(&mut rng)).map(|byte| char::from(*byte)).collect()
}

/// Hashes a password with a salt of its own.
pub async fn hash(password: String) -> anyhow::Result<PasswordHash> {
    let permit = AT_ONCE.acquire().await?;
    tokio::task::spawn_blocking(move || {
        // Held by the work itself: a caller that goes away does not make room for another.
        let _permit = permit;
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|hash| PasswordHash(hash.to_string()))
            .map_err(|error| anyhow::anyhow!("hash a password: {error}"))
    })
    .await?
}

/// Checks a password; without a hash it costs the same and is wrong.
pub async fn verify(password: String, hash: Option<PasswordHash>) -> bool {
    let Ok(permit) = AT_ONCE.acquire().await else { return false };
    let checked = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let text = hash.as_ref().map_or(NOBODY, |hash| hash.0.as_str());
        let is_right =
            Phc::new(text).is_ok_and(|phc| Argon2::default().verify_password(password.as_bytes(), &phc).is_ok());
        is_right && hash.is_some()
    });
    checked.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_long_and_differ() {
        assert_eq!(generate().len(), 24);
        assert_ne!(generate(), generate());
    }

    #[tokio::test]
    async fn right_wrong_and_nobody() {
        let hash = hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(verify("correct horse".to_owned(), Some(hash.clone())).await);
        assert!(!verify("wrong horse".to_owned(), Some(hash)).await);
        assert!(!verify("correct horse".to_owned(), None).await);
        assert!(Phc::new(NOBODY).is_ok(), "the decoy must be checked in full");
    }
}
