//! Wakes the sender when there is something to tell, so that nobody has to look again and again.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::ids::ProjectId;

/// From those who store events to the one who sends. Costs nothing while nothing happens.
#[derive(Debug, Default)]
pub struct Signal {
    wake: Notify,
    busy: Mutex<HashSet<ProjectId>>,
}

impl Signal {
    /// These projects have had events; with `has_news`, some issue is new or back again.
    pub fn stored(&self, projects: impl Iterator<Item = ProjectId>, has_news: bool) {
        let is_first = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            let was_empty = busy.is_empty();
            busy.extend(projects);
            was_empty && !busy.is_empty()
        };
        if has_news || is_first {
            self.wake.notify_one();
        }
    }

    /// Completes when there is news, or a project has had its first event since [`Self::take_busy`]; at once if that
    /// was so since the last call.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// True when some project has had events since [`Self::take_busy`].
    pub fn is_busy(&self) -> bool {
        !self.busy.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The projects that have had events since the last call.
    pub fn take_busy(&self) -> Vec<ProjectId> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }
}
