//! How many messages a destination gets.
//!
//! A window begins with a message. In it go out at most [`Policy::singles`] messages of one issue each, as soon as
//! they are known. What comes beyond waits for a digest: one in each window, [`Policy::gather`] after the first of
//! what it tells, and whatever comes still later waits for the next window, which begins with the next digest.

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::notice::channel::{Waiting, Window};

/// The bounds.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Messages of one issue each in a window.
    pub singles: i32,
    /// Length of a window.
    pub window: TimeDelta,
    /// How long a digest waits to tell more.
    pub gather: TimeDelta,
}

/// The bounds that the README states.
pub const POLICY: Policy = Policy { singles: 10, window: TimeDelta::minutes(10), gather: TimeDelta::minutes(1) };

/// A clock is set back by so much in the usual course of things.
const CLOCK_STEP: TimeDelta = TimeDelta::minutes(1);

/// What to do for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing waits.
    Rest,
    /// Nothing may go out before then.
    WaitUntil(DateTime<Utc>),
    /// One issue in a message; the window once it is sent.
    Single(Window),
    /// All that waits in one message; the window once it is sent.
    Digest(Window),
}

/// Decides.
pub fn decide(policy: &Policy, window: Window, waiting: Waiting, now: DateTime<Utc>) -> Action {
    let Some(since) = waiting.since.filter(|_| waiting.count > 0) else { return Action::Rest };
    // A window that begins in the future was opened by a clock that was ahead: there is none.
    let end = window.started_at.filter(|at| *at <= now + CLOCK_STEP).map(|at| at + policy.window);
    let Some(end) = end.filter(|end| now < *end) else {
        // What was held back goes out together; else this is the first message for a while.
        let was_held_back = waiting.count > 1 && end.is_some_and(|end| since < end);
        return if was_held_back {
            Action::Digest(Window { started_at: Some(now), singles: 0, digests: 1 })
        } else {
            Action::Single(Window { started_at: Some(now), singles: 1, digests: 0 })
        };
    };
    // After a digest the storm is not over yet: what comes now waits, however few singles there were.
    if window.digests > 0 {
        return Action::WaitUntil(end);
    }
    if window.singles < policy.singles {
        return Action::Single(Window { singles: window.singles + 1, ..window });
    }
    let gathered_at = since + policy.gather;
    if now < gathered_at {
        return Action::WaitUntil(gathered_at.min(end));
    }
    Action::Digest(Window { digests: window.digests + 1, ..window })
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
    }

    /// Seconds, singles and issues told of in digests, when issues come at these seconds.
    fn play(comings: &[(i64, i64)], until: i64) -> Vec<(i64, &'static str, i64)> {
        let (mut window, mut waiting, mut told) = (Window::default(), Vec::new(), Vec::new());
        for second in 0..until {
            for (_, count) in comings.iter().filter(|(at, _)| *at == second) {
                waiting.extend((0..*count).map(|_| second));
            }
            let now = noon() + TimeDelta::seconds(second);
            loop {
                let since = waiting.first().map(|at| noon() + TimeDelta::seconds(*at));
                let count = i64::try_from(waiting.len()).unwrap();
                match decide(&POLICY, window, Waiting { count, since }, now) {
                    Action::Rest => break,
                    Action::WaitUntil(at) => {
                        assert!(at > now);
                        break;
                    }
                    Action::Single(next) => {
                        waiting.remove(0);
                        told.push((second, "single", 1));
                        window = next;
                    }
                    Action::Digest(next) => {
                        waiting.clear();
                        told.push((second, "digest", count));
                        window = next;
                    }
                }
            }
        }
        told
    }

    #[test]
    fn few_issues_are_told_at_once() {
        assert_eq!(
            play(&[(0, 1), (5, 2), (700, 1)], 1000),
            [(0, "single", 1), (5, "single", 1), (5, "single", 1), (700, "single", 1)]
        );
    }

    #[test]
    fn a_storm_is_ten_messages_and_a_digest() {
        let told = play(&[(0, 500)], 3600);
        assert_eq!(told.len(), 11);
        assert!(told.iter().take(10).all(|message| *message == (0, "single", 1)));
        assert_eq!(told[10], (60, "digest", 490));
    }

    #[test]
    fn a_storm_that_lasts_is_a_digest_each_window() {
        let comings: Vec<(i64, i64)> = (0..3600).map(|second| (second, 1)).collect();
        let told = play(&comings, 3600);
        let digests: Vec<i64> = told.iter().filter(|message| message.1 == "digest").map(|message| message.0).collect();
        assert_eq!(digests, [70, 600, 1200, 1800, 2400, 3000]);
        assert_eq!(told.len(), 10 + digests.len());
        // Nothing is dropped: all but what came after the last digest has been told.
        assert_eq!(told.iter().map(|message| message.2).sum::<i64>(), 3001);
    }

    #[test]
    fn a_window_of_a_clock_that_was_ahead_holds_nothing_back() {
        let window = Window { started_at: Some(noon() + TimeDelta::days(400)), singles: 10, digests: 1 };
        let waiting = Waiting { count: 3, since: Some(noon()) };
        let begun = Window { started_at: Some(noon()), singles: 1, digests: 0 };
        assert_eq!(decide(&POLICY, window, waiting, noon()), Action::Single(begun));
    }

    #[test]
    fn one_straggler_of_a_storm_is_told_by_itself() {
        assert_eq!(play(&[(0, 20), (100, 1)], 3600)[11..], [(600, "single", 1)]);
    }
}
