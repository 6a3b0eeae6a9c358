//! The last lines of each service, in memory, and those who follow them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::format::{Stamp, text_line};

/// Most bytes kept per service, whatever the number of lines.
const MOST_BYTES: usize = 64 * 1024;

/// Bytes a follower may lag behind before it misses lines.
const LAG: usize = 256 * 1024;

/// Most followers at the same time.
const FOLLOWERS: usize = 16;

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
    waiting: Arc<Mutex<Waiting>>,
}

/// What somebody who follows has not yet taken.
#[derive(Debug, Default)]
struct Waiting {
    /// Lines that were read together, each with its end; all who follow share them.
    runs: VecDeque<Arc<str>>,
    bytes: usize,
    /// Lines that found no room after these.
    missed: u64,
    is_over: bool,
    waker: Option<Waker>,
}

/// The lines of some services as they come. Whoever lets go of it follows no more.
#[derive(Debug)]
pub struct Follow {
    waiting: Arc<Mutex<Waiting>>,
}

impl Follow {
    /// The next lines, each with its end, or a line that says how many were left out. `None`: there will be no more.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Arc<str>>> {
        let mut waiting = lock(&self.waiting);
        if let Some(run) = waiting.runs.pop_front() {
            waiting.bytes -= run.len();
            return Poll::Ready(Some(run));
        }
        let missed = std::mem::take(&mut waiting.missed);
        if missed > 0 {
            return Poll::Ready(Some(format!("... {missed} lines left out\n").into()));
        }
        if waiting.is_over {
            return Poll::Ready(None);
        }
        waiting.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Waiting {
    fn push(&mut self, run: &Arc<str>, lines: u64) {
        // Whoever has missed lines goes on after the place where that is said.
        if self.missed > 0 || self.bytes + run.len() > LAG {
            self.missed += lines;
        } else {
            self.bytes += run.len();
            self.runs.push_back(Arc::clone(run));
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.forget_those_who_have_gone();
        let wanting = |follower: &&Follower| follower.service.as_deref().is_none_or(|names| is_one_of(service, names));
        let mut wanting = self.followers.iter().filter(wanting).peekable();
        if wanting.peek().is_some() {
            let stamp = Stamp::of_millis(millis);
            let (mut run, mut count) = (Vec::new(), 0);
            for line in lines.clone() {
                text_line(&mut run, &stamp, service, line);
                count += 1;
            }
            let run = String::from_utf8_lossy(&run).into();
            wanting.for_each(|follower| lock(&follower.waiting).push(&run, count));
        }
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

    /// Every line from now on, unless there are as many followers as may be.
    pub(super) fn follow(&mut self, service: Option<String>) -> Option<Follow> {
        self.forget_those_who_have_gone();
        if self.followers.len() >= FOLLOWERS {
            return None;
        }
        let waiting = Arc::<Mutex<Waiting>>::default();
        self.followers.push(Follower { service, waiting: Arc::clone(&waiting) });
        Some(Follow { waiting })
    }

    fn forget_those_who_have_gone(&mut self) {
        self.followers.retain(|follower| Arc::strong_count(&follower.waiting) > 1);
    }

    /// There will be no more lines: true if anybody was waiting for one.
    pub(super) fn dismiss(&mut self) -> bool {
        self.forget_those_who_have_gone();
        let followers = std::mem::take(&mut self.followers);
        for follower in &followers {
            let mut waiting = lock(&follower.waiting);
            waiting.is_over = true;
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
        !followers.is_empty()
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

    fn next(follower: &mut Follow) -> Option<String> {
        match follower.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(run) => run.map(|run| run.to_string()),
            Poll::Pending => Some("nothing yet".to_owned()),
        }
    }

    #[test]
    fn a_follower_gets_a_burst_whole_and_is_told_what_does_not_fit() {
        let mut tails = Tails::default();
        let web: Arc<str> = "web".into();
        let mut follower = tails.follow(None).unwrap();
        let lines = vec!["x"; 500];
        let length = "1970-01-01T00:00:00.000Z web | x\n".len() * lines.len();
        for _ in 0..20 {
            tails.push(&web, 0, lines.iter().copied(), 3);
        }
        let fit = LAG / length;
        assert!(fit * lines.len() > 5_000);
        for _ in 0..fit {
            assert_eq!(next(&mut follower).unwrap().lines().count(), 500);
        }
        tails.push(&web, 0, ["still before the news"].into_iter(), 3);
        assert_eq!(next(&mut follower).unwrap(), format!("... {} lines left out\n", (20 - fit) * 500 + 1));
        tails.push(&web, 0, ["again"].into_iter(), 3);
        assert!(next(&mut follower).unwrap().ends_with(" web | again\n"));
        assert_eq!(next(&mut follower).unwrap(), "nothing yet");
        let others: Vec<Follow> = std::iter::from_fn(|| tails.follow(None)).collect();
        assert_eq!(others.len(), FOLLOWERS - 1);
        drop(others);
        assert!(tails.follow(None).is_some() && tails.dismiss());
        assert_eq!(next(&mut follower), None);
    }

    #[test]
    fn the_last_lines_of_all_services_come_in_their_order() {
        let mut tails = Tails::default();
        let (web, db): (Arc<str>, Arc<str>) = ("web".into(), "db".into());
        let mut follower = tails.follow(Some("db".into())).unwrap();
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
        assert_eq!(next(&mut follower).unwrap(), "2026-11-20T16:20:00.123Z db | 1\n");
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
