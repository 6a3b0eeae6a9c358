//! The last lines of each service, in memory, and those who follow them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::format::{Stamp, text_line};

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

/// The text of all its lines in one piece, and where each of them ends.
#[derive(Debug, Default)]
struct Tail {
    text: VecDeque<u8>,
    lines: VecDeque<Line>,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    number: u64,
    /// When it was read, in milliseconds since 1970.
    millis: i64,
    length: usize,
}

#[derive(Debug)]
struct Follower {
    service: Option<String>,
    lines: mpsc::Sender<Arc<str>>,
}

impl Tails {
    /// Keeps lines of a service that were read together; `most` lines are kept of it.
    pub(super) fn push<'l>(
        &mut self,
        service: &Arc<str>,
        millis: i64,
        lines: impl Iterator<Item = &'l str> + Clone,
        most: usize,
    ) {
        if !self.followers.is_empty() {
            self.show(service, millis, &lines);
        }
        let tail = self.services.entry(Arc::clone(service)).or_default();
        for line in lines {
            tail.push(Line { number: self.next, millis, length: line.len() }, line, most);
            self.next += 1;
        }
    }

    fn show<'l>(&mut self, service: &Arc<str>, millis: i64, lines: &(impl Iterator<Item = &'l str> + Clone)) {
        let stamp = Stamp::of_millis(millis);
        self.followers.retain(|follower| {
            if follower.service.as_deref().is_none_or(|names| is_one_of(service, names)) {
                for line in lines.clone() {
                    // Full is his own fault: he misses this line.
                    let _ = follower.lines.try_send(shown(&stamp, service, line));
                }
            }
            !follower.lines.is_closed()
        });
    }

    /// The last `count` lines of some services (their names with commas between) or of all, oldest first, as people see
    /// them.
    pub(super) fn last(&self, service: Option<&str>, count: usize) -> Vec<Arc<str>> {
        let wanted = self.services.iter().filter(|(name, _)| service.is_none_or(|names| is_one_of(name, names)));
        let mut lines: Vec<(u64, Arc<str>)> = Vec::new();
        for (name, tail) in wanted {
            let skip = tail.lines.len().saturating_sub(count);
            let mut at: usize = tail.lines.iter().take(skip).map(|line| line.length).sum();
            for line in tail.lines.iter().skip(skip) {
                let text: Vec<u8> = tail.text.range(at..at + line.length).copied().collect();
                at += line.length;
                let text = String::from_utf8_lossy(&text);
                lines.push((line.number, shown(&Stamp::of_millis(line.millis), name, &text)));
            }
        }
        lines.sort_by_key(|(number, _)| *number);
        let skip = lines.len().saturating_sub(count);
        lines.into_iter().skip(skip).map(|(_, line)| line).collect()
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

impl Tail {
    fn push(&mut self, line: Line, text: &str, most: usize) {
        while self.lines.len() >= most || self.text.len() + text.len() > MOST_BYTES {
            let Some(gone) = self.lines.pop_front() else { break };
            self.text.drain(..gone.length);
        }
        if text.len() <= MOST_BYTES {
            self.text.extend(text.as_bytes());
            self.lines.push_back(line);
        }
    }
}

fn shown(stamp: &Stamp, service: &str, text: &str) -> Arc<str> {
    let mut line = Vec::new();
    text_line(&mut line, stamp, service, text);
    line.pop();
    String::from_utf8_lossy(&line).into()
}

/// `names` have commas between them.
fn is_one_of(name: &str, names: &str) -> bool {
    names.split(',').any(|wanted| wanted == name)
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
            tails.push(
                if number % 2 == 0 { &web } else { &db },
                1_795_191_600_123,
                [&*number.to_string()].into_iter(),
                3,
            );
        }
        let texts = |lines: Vec<Arc<str>>| {
            lines.iter().map(|line| line.split_once("| ").unwrap().1.to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts(tails.last(None, 100)), "4 5 6 7 8 9");
        assert_eq!(texts(tails.last(Some("db"), 2)), "7 9");
        assert_eq!(texts(tails.last(Some("db,web"), 3)), "7 8 9");
        assert_eq!(follower.try_recv().unwrap().as_ref(), "2026-11-20T16:20:00.123Z db | 1");
        drop(follower);
        tails.push(&web, 0, ["10"].into_iter(), 3);
        assert!(!tails.dismiss(), "who has gone is forgotten at the next line of any service");
    }

    #[test]
    fn a_tail_is_bounded_in_bytes_and_in_lines() {
        let mut tails = Tails::default();
        let web: Arc<str> = "web".into();
        for size in [40_000, 20_000, 5_537, MOST_BYTES, MOST_BYTES + 2] {
            tails.push(&web, 0, ["\u{e9}".repeat(size / 2).as_str(), "a", "b"].into_iter(), 5);
            let tail = &tails.services[&web];
            assert!(tail.text.len() <= MOST_BYTES && tail.text.capacity() <= 2 * MOST_BYTES && tail.lines.len() <= 5);
            assert_eq!(tail.text.len(), tail.lines.iter().map(|line| line.length).sum::<usize>());
        }
        // What is longer than all that is kept pushes everything out and is not kept.
        assert_eq!(tails.last(None, 9).len(), 2);
    }
}
