//! How a line looks in a file and as text, and what can be told from its words.

use chrono::{DateTime, Datelike, Timelike, Utc};

use crate::state::Level;

/// The shape of the supervisor's own output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-20T16:20:00.123Z service | line`
    Text,
    /// One JSON object a line with `ts`, `level`, `svc` and `msg`.
    Json,
}

/// A UTC time with milliseconds, written once for all lines that were read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(String);

impl Stamp {
    pub(super) fn now() -> Self {
        Self::of(Utc::now())
    }

    pub(super) fn of_millis(millis: i64) -> Self {
        Self::of(DateTime::from_timestamp_millis(millis).unwrap_or_default())
    }

    /// One that was written before.
    pub(super) fn again(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn of(time: DateTime<Utc>) -> Self {
        let (year, month, day) = (time.year(), time.month(), time.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        let millis = time.nanosecond() / 1_000_000;
        Self(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Bytes that a line of a file has beside its text: the time, a space, the end.
pub(super) const FILE_EXTRA: usize = 26;

/// Appends a line of a log file, end included.
pub(super) fn file_line(to: &mut Vec<u8>, stamp: &Stamp, text: &str) {
    for part in [stamp.as_str(), " ", text, "\n"] {
        to.extend_from_slice(part.as_bytes());
    }
}

/// Appends a line as people see it, end included.
pub(super) fn text_line(to: &mut Vec<u8>, stamp: &Stamp, service: &str, text: &str) {
    for part in [stamp.as_str(), " ", service, " | ", text, "\n"] {
        to.extend_from_slice(part.as_bytes());
    }
}

/// The line without a UTC time of its own at the beginning: every line gets one from us.
pub(super) fn without_time(text: &str) -> &str {
    // Almost no line looks like that: this settles it without reading one as a date.
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(10) != Some(&b'T') {
        return text;
    }
    match text.split_once(' ') {
        Some((first, rest)) if first.ends_with('Z') && DateTime::parse_from_rfc3339(first).is_ok() => rest,
        _ => text,
    }
}

/// The weight of a service's line, as far as its words tell (PostgreSQL and Redis have no other way).
pub(super) fn guess_level(text: &str) -> Level {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["ERROR", "FATAL", "PANIC", "panicked at"]) {
        Level::Error
    } else if has(&["WARN"]) {
        Level::Warn
    } else {
        Level::Info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_files_carry_the_utc_time() {
        let stamp = Stamp::of_millis(1_795_191_600_123);
        let mut lines = Vec::new();
        text_line(&mut lines, &stamp, "web", "hello");
        file_line(&mut lines, &stamp, "hello");
        let expected = "2026-11-20T16:20:00.123Z web | hello\n2026-11-20T16:20:00.123Z hello\n";
        assert_eq!(String::from_utf8(lines).unwrap(), expected);
        assert_eq!(stamp.as_str().len() + 2, FILE_EXTRA);
    }

    #[test]
    fn a_time_of_the_services_own_is_not_shown_twice() {
        assert_eq!(without_time("2026-11-20T16:20:00.123456Z INFO  ready"), "INFO  ready");
        for text in ["2026-11-20 16:20:00 UTC LOG", "Z ready", "2026-11-20T16:20:00Z", "2026-11-99T16:20:00Z x", ""] {
            assert_eq!(without_time(text), text);
        }
    }
}
