//! How a line looks in a file, as text on our output, and as JSON there.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::Record;
use crate::state::Level;

/// The shape of the supervisor's own output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-20T16:20:00.123Z service | line`
    Text,
    /// One JSON object a line with `ts`, `level`, `svc` and `msg`.
    Json,
}

/// UTC with milliseconds.
pub(super) fn timestamp(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A line of a log file, end included.
pub(super) fn file_line(record: &Record) -> Vec<u8> {
    format!("{} {}\n", timestamp(record.time), record.text).into_bytes()
}

/// A line as people see it, end not included.
pub(super) fn text_line(record: &Record) -> String {
    format!("{} {} | {}", timestamp(record.time), record.service, record.text)
}

/// A line of the supervisor's output, end included.
pub(super) fn output_line(record: &Record, format: Format) -> Vec<u8> {
    let mut line = match format {
        Format::Text => text_line(record),
        Format::Json => json_line(record),
    };
    line.push('\n');
    line.into_bytes()
}

/// A service that logs JSON itself keeps its fields; what is missing is added.
fn json_line(record: &Record) -> String {
    let own =
        if record.text.starts_with('{') { serde_json::from_str::<Map<String, Value>>(&record.text).ok() } else { None };
    let mut line = own.unwrap_or_default();
    let plain = line.is_empty();
    let known = |line: &mut Map<String, Value>, names: &[&str]| names.iter().find_map(|name| line.remove(*name));
    let time = known(&mut line, &["ts", "timestamp", "time"]).unwrap_or_else(|| timestamp(record.time).into());
    let level = match known(&mut line, &["level"]) {
        Some(Value::String(level)) => level.to_ascii_lowercase().into(),
        Some(other) => other,
        None => record.level.name().into(),
    };
    let message =
        known(&mut line, &["msg", "message"]).or_else(|| line.get_mut("fields")?.as_object_mut()?.remove("message"));
    let message =
        message.unwrap_or_else(|| if plain { record.text.clone().into() } else { Value::String(String::new()) });
    let mut whole = Map::new();
    whole.insert("ts".to_owned(), time);
    whole.insert("level".to_owned(), level);
    whole.insert("svc".to_owned(), record.service.as_ref().into());
    whole.insert("msg".to_owned(), message);
    line.remove("svc");
    whole.append(&mut line);
    Value::Object(whole).to_string()
}

/// The line without a UTC time of its own at the beginning: every line gets one from us.
pub(super) fn without_time(text: &str) -> &str {
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
    use crate::log::Stream;

    fn record(text: &str) -> Record {
        let time = DateTime::from_timestamp_millis(1_795_191_600_123).unwrap();
        Record { time, service: "web".into(), stream: Stream::Out, level: Level::Warn, text: text.into() }
    }

    #[test]
    fn text_and_files_carry_the_utc_time() {
        assert_eq!(output_line(&record("hello"), Format::Text), b"2026-11-20T16:20:00.123Z web | hello\n");
        assert_eq!(file_line(&record("hello")), b"2026-11-20T16:20:00.123Z hello\n");
    }

    #[test]
    fn a_time_of_the_services_own_is_not_shown_twice() {
        assert_eq!(without_time("2026-11-20T16:20:00.123456Z INFO  ready"), "INFO  ready");
        for text in ["2026-11-20 16:20:00 UTC LOG", "Z ready", "2026-11-20T16:20:00Z", ""] {
            assert_eq!(without_time(text), text);
        }
    }

    #[test]
    fn json_lines_are_objects_and_keep_the_fields_of_the_service() {
        let line = |text| String::from_utf8(output_line(&record(text), Format::Json)).unwrap();
        assert_eq!(
            line("say \"hi\""),
            "{\"level\":\"warn\",\"msg\":\"say \\\"hi\\\"\",\"svc\":\"web\",\"ts\":\"2026-11-20T16:20:00.123Z\"}\n"
        );
        assert_eq!(
            line(r#"{"timestamp":"T","level":"ERROR","fields":{"message":"m","project.id":1},"target":"x"}"#),
            "{\"fields\":{\"project.id\":1},\"level\":\"error\",\"msg\":\"m\",\"svc\":\"web\",\"target\":\"x\",\"ts\":\"T\"}\n"
        );
        assert!(line("{broken").contains("\"msg\":\"{broken\""));
    }
}
