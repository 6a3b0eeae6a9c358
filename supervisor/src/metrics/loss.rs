//! Log lines that are lost on the way to one place: counted each time, told as an event now and then.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Counters;
use crate::events::{Entry, Events};
use crate::state::Level;

/// At most one event in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// Counts for one writing thread.
#[derive(Debug)]
pub struct Loss {
    counters: Arc<Counters>,
    events: Arc<Events>,
    is_output: bool,
    told: Option<Instant>,
}

impl Loss {
    /// For the log files.
    pub fn of_files(counters: &Arc<Counters>, events: &Arc<Events>) -> Self {
        Self { counters: Arc::clone(counters), events: Arc::clone(events), is_output: false, told: None }
    }

    /// For our own output.
    pub fn of_output(counters: &Arc<Counters>, events: &Arc<Events>) -> Self {
        Self { is_output: true, ..Self::of_files(counters, events) }
    }

    /// So many more are lost.
    pub fn add(&mut self, lines: u64) {
        if lines == 0 {
            return;
        }
        let (count, place) = if self.is_output {
            (&self.counters.lost_output_lines, "the output: whoever reads it is too slow")
        } else {
            (&self.counters.lost_file_lines, "the log files: their disk is slow, full or broken")
        };
        let total = count.fetch_add(lines, Relaxed) + lines;
        if self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            self.told = Some(Instant::now());
            let text = format!("{total} log lines so far did not get into {place}");
            self.events.add(&Entry::new("log-lost", Level::Error, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_counted_and_the_first_is_told_at_once() {
        let (counters, events) = (Arc::default(), Arc::default());
        let mut loss = Loss::of_files(&counters, &events);
        for lines in [0, 3, 4] {
            loss.add(lines);
        }
        assert_eq!(counters.lost_file_lines.load(Relaxed), 7);
        let (told, _) = events.read(10, false);
        assert!(told.len() == 1 && told[0].contains("3 log lines"), "{told:?}");
    }
}
