//! Requests whose credentials name one project and whose envelope another: what the request says counts, and a
//! misconfigured client is logged once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::ids::ProjectId;
use crate::protocol::{Dsn, PublicKey};

/// Pairs that are remembered; of any beyond, nothing is logged: the log is nobody's to fill.
const MAX_PAIRS: usize = 1000;

/// A key, and what the envelopes sent with it claim.
type Pair = (PublicKey, PublicKey, ProjectId);

/// Those that have been logged.
#[derive(Debug, Default)]
pub(super) struct Mismatches(Mutex<HashSet<Pair>>);

impl Mismatches {
    /// Logs that an envelope's `dsn` is not of the key and project that it was sent with, unless that is known.
    pub(super) fn check(&self, key: &PublicKey, project: ProjectId, dsn: Option<&str>) {
        let Some(dsn) = dsn.and_then(Dsn::parse) else { return };
        if (dsn.public_key == *key && dsn.project_id == project) || !self.is_new(key, &dsn) {
            return;
        }
        let is_same_key = dsn.public_key == *key;
        tracing::warn!(
            project.id = project.0,
            dsn.project = dsn.project_id.0,
            is_same_key,
            "an envelope names another DSN than its request's key: it is kept for the key's project"
        );
    }

    fn is_new(&self, key: &PublicKey, dsn: &Dsn) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < MAX_PAIRS && known.insert((key.clone(), dsn.public_key.clone(), dsn.project_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_is_new_once_and_there_are_so_many() {
        let key = |number: usize| PublicKey::parse(&format!("{number:032x}")).unwrap();
        let dsn = |number: usize| Dsn::parse(&format!("https://{}@example.com/1", key(number))).unwrap();
        let mismatches = Mismatches::default();
        assert!(mismatches.is_new(&key(0), &dsn(1)));
        assert!(!mismatches.is_new(&key(0), &dsn(1)));
        let new = (0..2 * MAX_PAIRS).filter(|number| mismatches.is_new(&key(1), &dsn(*number))).count();
        assert_eq!(new, MAX_PAIRS - 1);
    }
}
