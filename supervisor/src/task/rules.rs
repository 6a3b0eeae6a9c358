//! What a restart by schedule keeps to.

use serde::{Deserialize, Serialize};

/// Rules of a restart by schedule. One by hand keeps to none of them; it only tells what they would have meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartRules {
    /// Everything but the restart itself is done: backup, checks, report.
    pub report_only: bool,
    /// Web or worker is replaced only when it uses at least so many megabytes of memory, or is as old as the next says.
    pub if_rss_mb: Option<u64>,
    /// Web or worker is replaced only when it is at least so many hours old, or uses as much memory as the last says.
    pub if_uptime_h: Option<u64>,
    /// It is skipped when both web and worker were started less than so many hours ago.
    pub min_uptime_h: u64,
    /// The worker stays while more entries than this wait in the queue.
    pub max_backlog: Option<u64>,
    /// It is skipped when the disk of the data directory is fuller than this, in percent.
    pub max_disk_percent: u64,
    /// It is skipped when the last one failed less than so many hours ago: somebody should look first.
    pub breaker_h: u64,
}

impl Default for RestartRules {
    fn default() -> Self {
        Self {
            report_only: false,
            if_rss_mb: None,
            if_uptime_h: None,
            min_uptime_h: 0,
            max_backlog: None,
            max_disk_percent: 95,
            // Less than a day, since a failure of one night must not cost the next one, which may be 24 hours later to
            // the minute.
            breaker_h: 23,
        }
    }
}

impl RestartRules {
    /// Why a service that uses so many bytes and is so many seconds old need not be replaced; `None` when it should be.
    pub fn spares(&self, rss: Option<u64>, uptime_s: Option<u64>) -> Option<String> {
        if self.if_rss_mb.is_none() && self.if_uptime_h.is_none() {
            return None;
        }
        let megabytes = rss.map(|bytes| bytes / (1024 * 1024));
        let hours = uptime_s.map(|seconds| seconds / 3_600);
        // What cannot be told counts as reached: a restart too many does no harm.
        let reached = |limit: Option<u64>, value: Option<u64>| {
            limit.is_some_and(|limit| value.is_none_or(|value| value >= limit))
        };
        if reached(self.if_rss_mb, megabytes) || reached(self.if_uptime_h, hours) {
            return None;
        }
        Some(format!("{} MB, {} h old", megabytes.unwrap_or(0), hours.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_size_or_age_is_enough_and_what_is_not_known_counts_as_reached() {
        const MB: u64 = 1024 * 1024;
        let always = RestartRules::default();
        assert_eq!(always.spares(Some(1), Some(1)), None);
        let big = RestartRules { if_rss_mb: Some(100), ..always };
        assert_eq!(big.spares(Some(100 * MB), Some(1)), None);
        assert_eq!(big.spares(Some(100 * MB - 1), Some(7_200)).unwrap(), "99 MB, 2 h old");
        assert_eq!(big.spares(None, Some(1)), None);
        let either = RestartRules { if_uptime_h: Some(48), ..big };
        assert_eq!(either.spares(Some(MB), Some(48 * 3_600)), None);
        assert_eq!(either.spares(Some(200 * MB), Some(0)), None);
        assert_eq!(either.spares(Some(MB), Some(48 * 3_600 - 1)).unwrap(), "1 MB, 47 h old");
    }
}
