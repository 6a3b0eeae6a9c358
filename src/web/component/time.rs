//! Times as people read them: "3 min ago", with the exact one behind it.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{Markup, html};

use crate::web::text::Lang;

/// A time relative to `now`; the exact time is its title and its `datetime`.
pub(crate) fn relative(lang: Lang, now: DateTime<Utc>, time: DateTime<Utc>) -> Markup {
    html! { time datetime=(machine(time)) title=(exact(time)) { (ago(lang, now - time)) } }
}

/// A time to the second, in UTC.
pub(crate) fn absolute(time: DateTime<Utc>) -> Markup {
    html! { time datetime=(machine(time)) title=(exact(time)) { (time.format("%Y-%m-%d %H:%M:%S")) " UTC" } }
}

/// How long ago, in one unit; what lies ahead by a clock's error is "just now".
pub(crate) fn ago(lang: Lang, age: TimeDelta) -> String {
    let seconds = age.num_seconds();
    match seconds {
        ..45 => lang.just_now().to_owned(),
        45..3_600 => lang.minutes_ago((seconds + 30) / 60),
        3_600..86_400 => lang.hours_ago(seconds / 3_600),
        86_400..2_592_000 => lang.days_ago(seconds / 86_400),
        2_592_000..31_536_000 => lang.months_ago(seconds / 2_592_000),
        _ => lang.years_ago(seconds / 31_536_000),
    }
}

/// A breadcrumb's distance from the event: `-1.2 s`, `-3 min 4 s`, `+20 ms`.
pub(crate) fn offset(delta: TimeDelta) -> String {
    let sign = if delta < TimeDelta::zero() { '-' } else { '+' };
    let millis = delta.num_milliseconds().unsigned_abs();
    let (seconds, minutes, hours) = (millis / 1_000, millis / 60_000, millis / 3_600_000);
    match millis {
        0..1_000 => format!("{sign}{millis} ms"),
        1_000..60_000 => format!("{sign}{seconds}.{} s", millis % 1_000 / 100),
        60_000..3_600_000 => format!("{sign}{minutes} min {} s", seconds % 60),
        3_600_000..172_800_000 => format!("{sign}{hours} h {} min", minutes % 60),
        _ => format!("{sign}{} d", hours / 24),
    }
}

fn machine(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn exact(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_in_one_unit() {
        let english = |seconds| ago(Lang::English, TimeDelta::seconds(seconds));
        assert_eq!(english(-5), "just now");
        assert_eq!(english(44), "just now");
        assert_eq!(english(45), "1 min ago");
        assert_eq!(english(90), "2 min ago");
        assert_eq!(english(3_600), "1 h ago");
        assert_eq!(english(86_400), "1 day ago");
        assert_eq!(english(2 * 86_400), "2 days ago");
        assert_eq!(english(65 * 86_400), "2 months ago");
        assert_eq!(english(800 * 86_400), "2 years ago");
        assert_eq!(ago(Lang::Chinese, TimeDelta::seconds(7_300)), "2 小时前");
    }

    #[test]
    fn offsets_keep_their_sign_and_scale() {
        let at = |millis| offset(TimeDelta::milliseconds(millis));
        assert_eq!(at(-20), "-20 ms");
        assert_eq!(at(0), "+0 ms");
        assert_eq!(at(-1_250), "-1.2 s");
        assert_eq!(at(-184_000), "-3 min 4 s");
        assert_eq!(at(-7_260_000), "-2 h 1 min");
        assert_eq!(at(-259_200_000), "-3 d");
    }
}
