//! `supervisor logs` and `supervisor events`: the last lines, and those to come.

use std::io::Write;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};

use super::output::{Colour, Paint};
use crate::control::{Client, Failure};
use crate::events::Entry;

/// Puts pieces together to lines.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Hands every line that is complete now to `take`, its end included, until that says `false`.
    fn push(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8]) -> bool) -> bool {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            if !take(&line) {
                return false;
            }
        }
        true
    }
}

pub(super) async fn logs(
    data_dir: PathBuf,
    services: Vec<String>,
    lines: usize,
    since: Option<String>,
    follow: bool,
) -> Result<u8, Failure> {
    let since = since.map(|text| moment(&text, Utc::now())).transpose()?;
    let mut client = Client::connect(&data_dir).await?;
    let Some(since) = since else {
        client.logs(&services, lines, follow, write).await?;
        return Ok(0);
    };
    let mut pieces = Lines::default();
    let show = |bytes: &[u8]| pieces.push(bytes, |line| !is_younger(line, since) || write(line));
    client.logs(&services, usize::MAX, follow, show).await?;
    Ok(0)
}

pub(super) async fn events(data_dir: PathBuf, lines: usize, follow: bool, json: bool) -> Result<u8, Failure> {
    let mut client = Client::connect(&data_dir).await?;
    if json {
        client.events(lines, follow, write).await?;
        return Ok(0);
    }
    let (mut pieces, paint) = (Lines::default(), Paint::for_output());
    let show = |bytes: &[u8]| {
        pieces.push(bytes, |line| match serde_json::from_slice::<Entry>(line) {
            Ok(entry) => write(format!("{}\n", shown(&entry, paint)).as_bytes()),
            Err(_) => write(line),
        })
    };
    client.events(lines, follow, show).await?;
    Ok(0)
}

/// One event for people.
fn shown(entry: &Entry, paint: Paint) -> String {
    let time = entry.ts.format("%Y-%m-%d %H:%M:%S%.3f");
    let kind = format!("{:<16}", entry.kind);
    let kind = match entry.level.as_ref() {
        "error" => paint.colour(Colour::Red, &kind),
        "warn" => paint.colour(Colour::Yellow, &kind),
        _ => kind,
    };
    let mut whose = entry.service.as_ref().map_or_else(String::new, |service| format!("{service}: "));
    let about =
        [("generation", entry.generation.map(|it| it.to_string())), ("process", entry.pid.map(|it| it.to_string()))];
    let about: Vec<String> = about.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))).collect();
    whose.push_str(&entry.text);
    if !about.is_empty() {
        whose = format!("{whose} ({})", about.join(", "));
    }
    format!("{time}  {kind} {whose}")
}

/// A time, or an age such as `10m`.
fn moment(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let parts = text.char_indices().last().and_then(|(end, unit)| Some((text.get(..end)?.parse::<i64>().ok()?, unit)));
    let age = parts.filter(|(count, _)| *count >= 0).and_then(|(count, unit)| match unit {
        's' => TimeDelta::try_seconds(count),
        'm' => TimeDelta::try_minutes(count),
        'h' => TimeDelta::try_hours(count),
        'd' => TimeDelta::try_days(count),
        _ => None,
    });
    age.and_then(|age| now.checked_sub_signed(age)).ok_or_else(|| {
        Failure(format!(
            "--since: {text:?} is neither an age such as 90s, 10m, 2h or 1d, nor a time such as 2026-01-31T03:01:00Z."
        ))
    })
}

/// Whether a line of the log is that young; one without a time belongs to the one before it, and is shown.
fn is_younger(line: &[u8], since: DateTime<Utc>) -> bool {
    let first = line.split(|byte| *byte == b' ').next().and_then(|word| std::str::from_utf8(word).ok());
    let time = first.and_then(|word| DateTime::parse_from_rfc3339(word).ok());
    time.is_none_or(|time| time >= since)
}

fn write(bytes: &[u8]) -> bool {
    let mut output = std::io::stdout().lock();
    output.write_all(bytes).and_then(|()| output.flush()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_times_are_understood_and_nothing_else() {
        let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
        let at = |text: &str| moment(text, now).map(|time| time.format("%d %H:%M:%S").to_string());
        assert_eq!(at("90s").unwrap(), "01 11:58:30");
        assert_eq!(at("2h").unwrap(), "01 10:00:00");
        assert_eq!(at("1d").unwrap(), "28 12:00:00");
        assert_eq!(at("2026-03-01T14:00:00+02:00").unwrap(), "01 12:00:00");
        for text in ["", "m", "10", "10w", "-5m", "ä", "99999999999999999d", "yesterday"] {
            assert!(at(text).is_err(), "{text}");
        }
        let since = moment("90s", now).unwrap();
        assert!(!is_younger(b"2026-03-01T11:58:29.999Z web | x\n", since));
        assert!(is_younger(b"2026-03-01T11:58:30.000Z web | x\n", since) && is_younger(b"x\n", since));
    }

    #[test]
    fn pieces_become_lines() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for piece in [&b"a\nb"[..], b"c", b"\n\nd"] {
            lines.push(piece, |line| {
                seen.push(String::from_utf8_lossy(line).into_owned());
                true
            });
        }
        assert_eq!(seen, ["a\n", "bc\n", "\n"]);
    }
}
