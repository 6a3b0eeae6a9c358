//! When a letter that was not taken is sent again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Pauses after each attempt that failed, in seconds; the last one is repeated.
const PAUSES: [u64; 7] = [1, 5, 30, 120, 600, 1_800, 3_600];

/// After this time a letter is given up, in hours.
const PATIENCE_HOURS: i64 = 24;

/// A receiver who asks for a longer pause gets at most this.
const LONGEST_WISH: Duration = Duration::from_hours(1);

/// No pause is longer: an hour, and a fifth.
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(72);

/// When to try again after `attempts` failures, the last one `now`. `wish` is how long the receiver wants to be left
/// alone, `chance` a random number from 0 to 1. `None`: it is given up.
pub(super) fn next(
    created: DateTime<Utc>,
    now: DateTime<Utc>,
    attempts: u32,
    wish: Option<Duration>,
    chance: f64,
) -> Option<DateTime<Utc>> {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let pause = Duration::from_secs(PAUSES.get(index).copied().unwrap_or(3_600));
    // Up to a fifth longer: many appliances with one receiver should not come all at once.
    let pause = pause.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 5.0);
    let pause = pause.max(wish.unwrap_or_default().min(LONGEST_WISH));
    let at = now + TimeDelta::from_std(pause).ok()?;
    (at - created <= TimeDelta::hours(PATIENCE_HOURS)).then_some(at)
}

/// Whether a letter whose next attempt was put at `next_at` is tried now. One further ahead than any pause goes back to a
/// clock that was wrong.
pub(super) fn is_due(next_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    next_at <= now || next_at - now > LONGEST_PAUSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_after_a_day() {
        let created = DateTime::from_timestamp(1_784_000_000, 0).unwrap();
        let (mut now, mut attempts, mut pauses) = (created, 1, Vec::new());
        while let Some(at) = next(created, now, attempts, None, 0.0) {
            pauses.push((at - now).num_seconds());
            now = at;
            attempts += 1;
        }
        assert_eq!(pauses[..8], [1, 5, 30, 120, 600, 1_800, 3_600, 3_600]);
        assert!((20..40).contains(&attempts), "{attempts}");
        assert!(now - created > TimeDelta::hours(22));
    }

    #[test]
    fn a_receivers_wish_and_chance_make_pauses_longer() {
        let now = DateTime::from_timestamp(1_784_000_000, 0).unwrap();
        let pause = |attempts, wish, chance| (next(now, now, attempts, wish, chance).unwrap() - now).num_milliseconds();
        assert_eq!(pause(1, Some(Duration::from_secs(7)), 0.0), 7_000);
        assert_eq!(pause(3, Some(Duration::from_secs(7)), 1.0), 36_000);
        assert_eq!(pause(1, Some(Duration::from_secs(1_000_000)), 0.0), 3_600_000);
    }

    #[test]
    fn a_letter_is_due_in_time_and_when_the_clock_was_set_back() {
        let now = DateTime::from_timestamp(1_784_000_000, 0).unwrap();
        let longest = next(now, now, 9, None, 1.0).unwrap();
        assert!(is_due(now, now) && !is_due(longest, now) && is_due(longest + TimeDelta::days(1), now));
    }
}
