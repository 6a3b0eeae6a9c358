//! Signing in with an e-mail address and a password, slowed down for those who guess.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::password;
use crate::app::App;
use crate::store::user::User;
use crate::store::{self, StoreError};

/// Failures allowed per address and e-mail within [`WINDOW`].
const MAX_FAILURES: u32 = 10;
/// How long failures are remembered.
const WINDOW: Duration = Duration::from_mins(5);
/// Pairs remembered at once; beyond it the stale ones go, then all.
const MAX_PAIRS: usize = 20_000;

/// Why a sign-in was refused. Unknown, inactive and wrong are one answer on purpose.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No active user with this e-mail and password.
    #[error("unknown e-mail or wrong password")]
    Refused,
    /// Too many failures from this address for this e-mail.
    #[error("too many attempts; try again in {} s", .0.as_secs())]
    Throttled(Duration),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks a sign-in. Takes the time of one password check whether or not the user exists.
pub async fn check(
    app: &App,
    throttle: &LoginThrottle,
    ip: IpAddr,
    email: &str,
    given: String,
) -> Result<User, LoginError> {
    let email = email.trim().to_lowercase();
    // Counted before the check, so that parallel guesses are counted too.
    throttle.attempt(ip, &email, Instant::now()).map_err(LoginError::Throttled)?;
    // PostgreSQL's text holds no NUL, so nobody is called so.
    let user = if email.contains('\0') { None } else { store::user::find_by_email(&app.db, &email).await? };
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let is_right = password::verify(given, hash).await;
    match user {
        Some(user) if is_right && user.is_active => {
            throttle.forget(ip, &email);
            Ok(user)
        }
        _ => Err(LoginError::Refused),
    }
}

/// Attempts per address and e-mail, in memory: a restart forgives, which is fine for a limit of minutes.
#[derive(Debug, Default)]
pub struct LoginThrottle {
    pairs: Mutex<HashMap<(IpAddr, String), Attempts>>,
}

#[derive(Debug, Clone, Copy)]
struct Attempts {
    since: Instant,
    count: u32,
}

impl LoginThrottle {
    /// Counts an attempt; an error says how long to wait.
    fn attempt(&self, ip: IpAddr, email: &str, now: Instant) -> Result<(), Duration> {
        let mut pairs = self.pairs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if pairs.len() >= MAX_PAIRS {
            pairs.retain(|_, attempts| now.duration_since(attempts.since) < WINDOW);
            if pairs.len() >= MAX_PAIRS {
                pairs.clear();
            }
        }
        // A long e-mail is nobody's; it must not cost memory.
        let key = (ip, email.chars().take(254).collect());
        let attempts = pairs.entry(key).or_insert(Attempts { since: now, count: 0 });
        let age = now.duration_since(attempts.since);
        if age >= WINDOW {
            *attempts = Attempts { since: now, count: 0 };
        } else if attempts.count >= MAX_FAILURES {
            return Err(WINDOW.saturating_sub(age));
        }
        attempts.count += 1;
        Ok(())
    }

    /// A success wipes the slate of this pair.
    fn forget(&self, ip: IpAddr, email: &str) {
        self.pairs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&(ip, email.to_owned()));
    }
}

/// A place of ours to go to after signing in: a path on this site, or `/`.
pub fn safe_next(next: Option<&str>) -> &str {
    next.filter(|path| {
        path.starts_with('/')
            && !path.starts_with("//")
            && !path.contains('\\')
            && path.len() <= 2_000
            && path.chars().all(|c| c.is_ascii_graphic())
    })
    .unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn eleventh_failure_in_five_minutes_must_wait() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for _ in 0..MAX_FAILURES {
            assert!(throttle.attempt(IP, "a@b", start).is_ok());
        }
        assert_eq!(throttle.attempt(IP, "a@b", start + Duration::from_mins(1)), Err(Duration::from_mins(4)));
        assert!(throttle.attempt(IP, "c@d", start).is_ok(), "another e-mail is not affected");
        assert!(throttle.attempt(IP, "a@b", start + WINDOW).is_ok(), "the window passes");
    }

    #[test]
    fn success_forgives() {
        let throttle = LoginThrottle::default();
        let now = Instant::now();
        for _ in 0..MAX_FAILURES {
            throttle.attempt(IP, "a@b", now).unwrap();
        }
        throttle.forget(IP, "a@b");
        assert!(throttle.attempt(IP, "a@b", now).is_ok());
    }

    #[test]
    fn next_stays_on_this_site() {
        assert_eq!(safe_next(Some("/issues/7/?event=latest")), "/issues/7/?event=latest");
        for bad in ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\nb"] {
            assert_eq!(safe_next(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(safe_next(None), "/");
    }
}
