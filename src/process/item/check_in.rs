//! Check-ins of monitors.

use serde_json::{Map, Value};

use super::{Fields, Unkept};
use crate::process::normalise::field::cut;
use crate::protocol::kept_item::{CheckIn, CheckInStatus, MonitorConfig, Schedule};

/// Characters of a slug.
const MAX_SLUG: usize = 50;

/// The environment of check-ins that name none.
const DEFAULT_ENVIRONMENT: &str = "production";

/// Limits of a configuration, in minutes and in check-ins.
const MAX_MINUTES: u64 = 40_320;
const MAX_THRESHOLD: u64 = 720;

/// A longer run has a wrong clock: a year, in milliseconds.
const MAX_DURATION_MS: f64 = 31_536_000_000.0;

/// Characters that occur in crontab lines, beside names of days and months.
const CRONTAB_MARKS: &str = "*/,-?#";

const ALIASES: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// One check-in. What else SDKs put there (Python: all of an event) is left alone.
pub(super) fn check_in(mut fields: Fields<'_>) -> Result<CheckIn, Unkept> {
    let slug = fields.word("monitor_slug", 1024).map(|text| slug(&text)).unwrap_or_default();
    if slug.is_empty() {
        return Err(Unkept::Filtered("no_monitor"));
    }
    let status = match fields.word("status", 32).map(|name| name.to_ascii_lowercase()).as_deref() {
        Some("in_progress") => CheckInStatus::InProgress,
        Some("ok") => CheckInStatus::Ok,
        Some("error") => CheckInStatus::Error,
        _ => CheckInStatus::Unknown,
    };
    let config = match fields.take("monitor_config") {
        Value::Object(object) => config(fields.of(object)),
        _ => None,
    };
    Ok(CheckIn {
        id: fields.uuid("check_in_id"),
        slug,
        environment: fields.environment().unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned()),
        status,
        duration_ms: fields.seconds("duration").map(|seconds| millis(seconds * 1_000.0)),
        release: fields.release(),
        trace_id: fields.inner("contexts").inner("trace").uuid("trace_id"),
        config,
    })
}

/// Lower case; letters, digits, `-` and `_`, runs of anything else as one `-`.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for character in text.trim().chars() {
        if character.is_alphanumeric() || character == '_' {
            slug.extend(character.to_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug: String = slug.chars().take(MAX_SLUG).collect();
    slug.trim_end_matches('-').to_owned()
}

/// A configuration, if its schedule and zone can be ones: a monitor keeps the one it has otherwise.
fn config(mut fields: Fields<'_>) -> Option<MonitorConfig> {
    let schedule = match fields.take("schedule") {
        Value::Object(object) => schedule(object)?,
        _ => return None,
    };
    let timezone = fields.word("timezone", 64).unwrap_or_else(|| "UTC".to_owned());
    let owner = fields.word("owner", 200);
    let is_zone = |character: char| character.is_ascii_alphanumeric() || "/_+-".contains(character);
    let mut number = |key: &str, or: u64, most: u64| {
        u32::try_from(fields.unsigned(key).filter(|number| *number > 0).unwrap_or(or).min(most)).unwrap_or(1)
    };
    timezone.chars().all(is_zone).then(|| MonitorConfig {
        schedule,
        checkin_margin: number("checkin_margin", 1, MAX_MINUTES),
        max_runtime: number("max_runtime", 30, MAX_MINUTES),
        failure_issue_threshold: number("failure_issue_threshold", 1, MAX_THRESHOLD),
        recovery_threshold: number("recovery_threshold", 1, MAX_THRESHOLD),
        timezone,
        owner,
    })
}

fn schedule(mut object: Map<String, Value>) -> Option<Schedule> {
    let value = object.remove("value").unwrap_or_default();
    match object.get("type")?.as_str()? {
        "crontab" => {
            let line = value.as_str()?.split_whitespace().collect::<Vec<_>>().join(" ");
            is_crontab(&line).then(|| Schedule::Crontab { value: cut(line, 200) })
        }
        "interval" => {
            let units = ["minute", "hour", "day", "week", "month", "year"];
            let unit = object.get("unit")?.as_str()?;
            let unit = units.into_iter().find(|name| *name == unit.trim_end_matches('s'))?;
            let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
            let number = u32::try_from(number).ok().filter(|number| *number > 0)?;
            Some(Schedule::Interval { value: number, unit })
        }
        _ => None,
    }
}

/// Five fields, or an alias. Which times they stand for is seen when they are asked for.
fn is_crontab(line: &str) -> bool {
    let is_field = |field: &str| field.chars().all(|one| one.is_ascii_alphanumeric() || CRONTAB_MARKS.contains(one));
    ALIASES.contains(&line) || (line.len() <= 200 && line.split(' ').count() == 5 && line.split(' ').all(is_field))
}

#[expect(clippy::cast_possible_truncation, reason = "bounded")]
fn millis(duration: f64) -> i64 {
    duration.min(MAX_DURATION_MS).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_words() {
        for (text, wanted) in [
            ("nightly", "nightly"),
            ("  Nightly Backup (EU)! ", "nightly-backup-eu"),
            ("每日备份", "每日备份"),
            ("a__b--c", "a__b-c"),
            ("///", ""),
        ] {
            assert_eq!(slug(text), wanted, "{text}");
        }
        assert_eq!(slug(&"x".repeat(99)).len(), MAX_SLUG);
    }

    #[test]
    fn crontab_lines_have_five_fields() {
        for line in ["*/5 * * * *", "0 3 * * mon-fri", "1,31 0-6/2 ? jan #", "@daily"] {
            assert!(is_crontab(line), "{line}");
        }
        for line in ["", "* * * *", "* * * * * *", "@reboot", "0 0 * * $(reboot)"] {
            assert!(!is_crontab(line), "{line}");
        }
    }
}
