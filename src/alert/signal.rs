//! Wakes the sender when there is something to tell, so that nobody has to look again and again.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::ids::ProjectId;

/// From those who store events to those who count and send. Costs nothing while nothing happens.
#[derive(Debug, Default)]
pub struct Signal {
    news: Notify,
    events: Notify,
    busy: Mutex<HashSet<ProjectId>>,
}

impl Signal {
    /// These projects have had events; with `has_news`, some issue is new or back again.
    pub fn stored(&self, projects: impl Iterator<Item = ProjectId>, has_news: bool) {
        self.add_busy(projects);
        if has_news {
            self.noted();
        }
    }

    /// There is something to tell.
    pub fn noted(&self) {
        self.news.notify_one();
    }

    /// Completes when there is something to tell; at once if that was so since the last call.
    pub async fn woken(&self) {
        self.news.notified().await;
    }

    /// These projects' events have to be counted.
    pub fn add_busy(&self, projects: impl Iterator<Item = ProjectId>) {
        let is_first = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            let was_empty = busy.is_empty();
            busy.extend(projects);
            was_empty && !busy.is_empty()
        };
        if is_first {
            self.events.notify_one();
        }
    }

    /// Waits until some project has had events since the last call, and gives all that have.
    pub async fn busy(&self) -> Vec<ProjectId> {
        loop {
            let busy: Vec<ProjectId> = self.busy.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
            if !busy.is_empty() {
                return busy;
            }
            self.events.notified().await;
        }
    }
}
