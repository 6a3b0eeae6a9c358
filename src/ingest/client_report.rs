//! Reads client reports: what an SDK says that it has dropped itself.
//!
//! They are read here and not by the worker, since all that is left of them is some counts: browsers send one every few
//! seconds, and none of them is worth an entry of the queue.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ids::ProjectId;
use crate::protocol::{Category, Outcome, Tally, TallyKey};

/// A longer report is nobody's (Relay's limit is 4 KiB by its documentation, 100 KiB in effect).
const MAX_BYTES: usize = 100 * 1024;

/// Lines of a report that count.
const MAX_LINES: usize = 100;

/// No SDK drops more than this between two reports.
const MAX_QUANTITY: f64 = 1e7;

/// Reasons of the SDKs, by their documentation.
const REASONS: &[&str] = &[
    "backpressure",
    "before_send",
    "buffer_overflow",
    "cache_overflow",
    "event_processor",
    "ignored",
    "insufficient_data",
    "internal_sdk_error",
    "invalid",
    "network_error",
    "no_parent_span",
    "queue_overflow",
    "ratelimit_backoff",
    "sample_rate",
    "send_error",
    "too_large_for_envelope",
];

/// Reasons besides those that a process takes as they are; all further ones count as `other`. Each is a row of a table
/// for each project and hour, and whoever may send events can make them up.
const MAX_UNKNOWN: usize = 20;

/// Longest reason, in characters.
const MAX_REASON: usize = 64;

static UNKNOWN: Mutex<Option<HashSet<String>>> = Mutex::new(None);

#[derive(Deserialize)]
struct Report<'a> {
    #[serde(borrow, default)]
    discarded_events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default)]
    reason: Option<Cow<'a, str>>,
    #[serde(default)]
    category: Option<Cow<'a, str>>,
    quantity: f64,
}

/// Adds what the report says to `tally`; false when it says nothing that can be read. A line that is malformed is left
/// out.
pub(super) fn count(payload: &[u8], project: ProjectId, received_at: DateTime<Utc>, tally: &mut Tally) -> bool {
    if payload.len() > MAX_BYTES {
        return false;
    }
    let Ok(report) = serde_json::from_slice::<Report<'_>>(payload) else { return false };
    for raw in report.discarded_events.iter().take(MAX_LINES) {
        let Ok(line) = serde_json::from_str::<Line<'_>>(raw.get()) else { continue };
        let Some(category) = category(line.category.as_deref().unwrap_or_default()) else { continue };
        let reason = reason(line.reason.as_deref().unwrap_or_default());
        tally.add(TallyKey::new(project, received_at, category, Outcome::Discarded, reason), quantity(line.quantity));
    }
    true
}

/// True for a reason that SDKs are known to give; others are of their own making.
pub fn is_known_reason(reason: &str) -> bool {
    REASONS.contains(&reason)
}

/// What a line counts; none when those are no items. SDKs tell apart more than is counted here.
fn category(name: &str) -> Option<Category> {
    Some(match name {
        // Beside a line with the number of the same items.
        "log_byte" | "trace_metric_byte" | "profile_duration" | "profile_duration_ui" => return None,
        "attachment_item" => Category::Attachment,
        "profile_indexed" => Category::Profile,
        "replay_video" => Category::Replay,
        "span_indexed" => Category::Span,
        "transaction_indexed" | "transaction_processed" => Category::Transaction,
        "user_report" | "user_report_v2" => Category::Feedback,
        name => Category::from_name(name).unwrap_or(Category::Default),
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn quantity(number: f64) -> u64 {
    // NaN becomes 0.
    number.clamp(0.0, MAX_QUANTITY) as u64
}

fn reason(text: &str) -> Cow<'static, str> {
    if let Some(known) = REASONS.iter().find(|known| **known == text) {
        return Cow::Borrowed(known);
    }
    let is_word = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | ':');
    if text.is_empty() || text.len() > MAX_REASON || !text.chars().all(is_word) {
        return Cow::Borrowed("other");
    }
    let mut unknown = UNKNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let unknown = unknown.get_or_insert_default();
    if unknown.contains(text) || (unknown.len() < MAX_UNKNOWN && unknown.insert(text.to_owned())) {
        return Cow::Owned(text.to_owned());
    }
    Cow::Borrowed("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(report: &str) -> Vec<(String, String, u64)> {
        let mut tally = Tally::default();
        count(report.as_bytes(), ProjectId(1), Utc::now(), &mut tally);
        let rows = tally.iter();
        rows.map(|(key, quantity)| (key.category.to_string(), key.reason.to_string(), quantity)).collect()
    }

    #[test]
    fn lines_of_a_kind_add_up_and_malformed_ones_are_left_out() {
        let report = r#"{"timestamp":1,"discarded_events":[
            {"reason":"before_send","category":"error","quantity":2},{"reason":"before_send","category":"error","quantity":3},
            {"reason":"no_parent_span","category":"span","quantity":1.0},5,{"reason":7},{"category":"error"},
            {"reason":"x y","category":"from_the_future","quantity":1},{"reason":"queue_overflow","category":"session","quantity":-4}]}"#;
        let row = |category: &str, reason: &str, quantity| (category.to_owned(), reason.to_owned(), quantity);
        assert_eq!(
            read(report),
            [row("default", "other", 1), row("error", "before_send", 5), row("span", "no_parent_span", 1)]
        );
    }

    #[test]
    fn categories_of_sdks_count_as_ours_and_bytes_as_nothing() {
        for (name, ours) in [
            ("log_item", Some("log_item")),
            ("log_byte", None),
            ("trace_metric_byte", None),
            ("attachment_item", Some("attachment")),
            ("span_indexed", Some("span")),
            ("transaction_indexed", Some("transaction")),
            ("user_report", Some("feedback")),
            ("", Some("default")),
        ] {
            let line = format!(r#"{{"reason":"ignored","category":"{name}","quantity":3}}"#);
            let counted = read(&format!(r#"{{"discarded_events":[{line}]}}"#));
            let expected: Vec<_> = ours.map(|ours| (ours.to_owned(), "ignored".to_owned(), 3)).into_iter().collect();
            assert_eq!(counted, expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_report_counts_nothing() {
        for text in ["", "[]", "null", "{", r#"{"discarded_events":5}"#, "{}"] {
            assert_eq!(read(text), [], "{text}");
        }
    }

    #[test]
    fn made_up_reasons_cannot_fill_the_ledger() {
        let lines: Vec<String> =
            (0..100).map(|n| format!(r#"{{"reason":"made-up-{n}","category":"error","quantity":1}}"#)).collect();
        read(&format!(r#"{{"discarded_events":[{}]}}"#, lines.join(",")));
        let more = read(r#"{"discarded_events":[{"reason":"one-more","category":"error","quantity":1}]}"#);
        assert_eq!(more[0].1, "other");
    }
}
