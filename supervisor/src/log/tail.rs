//! The last lines of each service, in memory, and those who follow them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

/// Most bytes kept per service, whatever the number of lines.
const MOST_BYTES: usize = 64 * 1024;

/// Lines a follower may lag behind before it misses some.
const LAG: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Tails {
    services: HashMap<Arc<str>, Tail>,
    followers: Vec<Follower>,
    /// Numbers all lines, so that several services can be shown in one order.
    next: u64,
}

#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<(u64, Arc<str>)>,
    bytes: usize,
}

#[derive(Debug)]
struct Follower {
    service: Option<String>,
    lines: mpsc::Sender<Arc<str>>,
}

impl Tails {
    pub(super) fn push(&mut self, service: &Arc<str>, line: &str, most: usize) {
        let line: Arc<str> = line.into();
        self.followers.retain(|follower| {
            if follower.service.as_deref().is_none_or(|name| name == service.as_ref()) {
                // Full is his own fault: he misses this line.
                !matches!(follower.lines.try_send(Arc::clone(&line)), Err(mpsc::error::TrySendError::Closed(_)))
            } else {
                !follower.lines.is_closed()
            }
        });
        let tail = self.services.entry(Arc::clone(service)).or_default();
        tail.bytes += line.len();
        tail.lines.push_back((self.next, line));
        self.next += 1;
        while tail.lines.len() > most || tail.bytes > MOST_BYTES {
            let Some((_, gone)) = tail.lines.pop_front() else { break };
            tail.bytes -= gone.len();
        }
    }

    /// The last `count` lines of one service or of all, oldest first.
    pub(super) fn last(&self, service: Option<&str>, count: usize) -> Vec<Arc<str>> {
        let wanted = self.services.iter().filter(|(name, _)| service.is_none_or(|wanted| wanted == name.as_ref()));
        let mut lines: Vec<&(u64, Arc<str>)> = wanted.flat_map(|(_, tail)| &tail.lines).collect();
        lines.sort_by_key(|(number, _)| *number);
        let skip = lines.len().saturating_sub(count);
        lines.into_iter().skip(skip).map(|(_, line)| Arc::clone(line)).collect()
    }

    /// Every line from now on.
    pub(super) fn follow(&mut self, service: Option<String>) -> mpsc::Receiver<Arc<str>> {
        let (lines, receiver) = mpsc::channel(LAG);
        self.followers.push(Follower { service, lines });
        receiver
    }

    /// There will be no more lines: true if anybody was waiting for one.
    pub(super) fn dismiss(&mut self) -> bool {
        !std::mem::take(&mut self.followers).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_all_services_come_in_their_order() {
        let mut tails = Tails::default();
        let (web, db): (Arc<str>, Arc<str>) = ("web".into(), "db".into());
        let mut follower = tails.follow(Some("db".into()));
        for number in 0..10 {
            tails.push(if number % 2 == 0 { &web } else { &db }, &number.to_string(), 3);
        }
        let shown = |service, count| tails.last(service, count).join(" ");
        assert_eq!(shown(None, 100), "4 5 6 7 8 9");
        assert_eq!(shown(Some("db"), 2), "7 9");
        assert_eq!(follower.try_recv().unwrap().as_ref(), "1");
        drop(follower);
        tails.push(&web, "10", 3);
        assert!(!tails.dismiss(), "who has gone is forgotten at the next line of any service");
    }
}
