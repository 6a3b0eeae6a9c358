//! The periods the page can show.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::web::text::Lang;

/// A time up to now, and the steps it is drawn in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    pub(super) const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// Its name in the address.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.name() == name)
    }

    pub(super) const fn title(self, lang: Lang) -> &'static str {
        match self {
            Self::Day => lang.last_24_hours(),
            Self::Week => lang.last_7_days(),
            Self::Month => lang.last_30_days(),
        }
    }

    /// The length of a bar.
    pub(super) const fn step(self) -> TimeDelta {
        match self {
            Self::Day | Self::Week => TimeDelta::hours(1),
            Self::Month => TimeDelta::days(1),
        }
    }

    /// How many bars there are.
    pub(super) fn count(self) -> usize {
        usize::try_from(self.length().num_seconds() / self.step().num_seconds()).unwrap_or_default()
    }

    /// The start of the first bar, when the last one is that of `now`.
    pub(super) fn start(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.duration_trunc(self.step()).unwrap_or(now) + self.step() - self.length()
    }

    /// A bar's time as it is written under the chart.
    pub(super) fn label(self, at: DateTime<Utc>) -> String {
        let form = match self {
            Self::Day => "%H:%M",
            Self::Week => "%m-%d %H:%M",
            Self::Month => "%m-%d",
        };
        at.format(form).to_string()
    }

    const fn length(self) -> TimeDelta {
        match self {
            Self::Day => TimeDelta::hours(24),
            Self::Week => TimeDelta::days(7),
            Self::Month => TimeDelta::days(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_ends_with_the_step_of_now() {
        let now = "2026-03-31T05:06:07Z".parse().unwrap();
        for (period, start, count) in [
            (Period::Day, "2026-03-30T06:00:00Z", 24),
            (Period::Week, "2026-03-24T06:00:00Z", 168),
            (Period::Month, "2026-03-02T00:00:00Z", 30),
        ] {
            assert_eq!(period.start(now), start.parse::<DateTime<Utc>>().unwrap());
            assert_eq!(period.count(), count);
            assert_eq!(Period::from_name(period.name()), Some(period));
        }
    }
}
