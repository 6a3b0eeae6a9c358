//! What an answer means.

use std::time::Duration;

use serde_json::Value;

use crate::text::{line, shorten};

/// Asked to slow down without a word for how long.
pub(crate) const A_MINUTE: Duration = Duration::from_mins(1);

/// No service is left alone for longer, whatever it asks for.
const LONGEST: Duration = Duration::from_hours(24);

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has arrived.
    Taken,
    /// Not now: the service is busy, or nobody can tell.
    Later {
        /// In one line.
        why: String,
        /// How long the service wants to be left alone, when it says so.
        after: Option<Duration>,
    },
    /// Not at all: the address, the secret or the message is wrong, and stays so until somebody changes it.
    Refused {
        /// In one line.
        why: String,
        /// The message is at fault: others may be taken.
        is_message: bool,
    },
}

impl Verdict {
    pub(crate) fn later(why: impl Into<String>, after: Option<Duration>) -> Self {
        Self::Later { why: why.into(), after: after.map(|after| after.min(LONGEST)) }
    }

    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), is_message: false }
    }

    /// The message is at fault, as far as the status tells.
    pub(crate) fn refused_message(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), is_message: true }
    }

    /// The same with nothing in it but the status: for whoever must not read what the receiver said.
    #[must_use]
    pub fn without_words(self, status: u16) -> Self {
        let why = format!("HTTP {status}");
        match self {
            Self::Taken => Self::Taken,
            Self::Later { after, .. } => Self::Later { why, after },
            Self::Refused { is_message, .. } => Self::Refused { why, is_message },
        }
    }
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// From `Retry-After`, in seconds.
    pub(crate) after: Option<Duration>,
    pub(crate) body: &'a [u8],
    /// From the service itself, not from a program of people's own that takes the same.
    pub(crate) is_own: bool,
}

impl<'a> Answer<'a> {
    /// A `Retry-After` that is a date is left to the caller, who knows what time it is.
    pub(crate) fn new(status: u16, retry_after: Option<&str>, body: &'a [u8]) -> Self {
        Self {
            status,
            after: retry_after.and_then(|text| text.trim().parse().ok()).and_then(seconds),
            body,
            is_own: true,
        }
    }

    pub(crate) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Nothing found: at a server of people's own that may be a proxy whose program is being replaced.
    pub(crate) fn may_be_replaced(&self) -> bool {
        !self.is_own && matches!(self.status, 404 | 405)
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body).ok()
    }

    /// What the service says in plain text, in one short line; empty for pages of HTML.
    pub(crate) fn words(&self) -> String {
        let start = self.body.get(..self.body.len().min(1_000)).unwrap_or_default();
        let text = line(&String::from_utf8_lossy(start), 200);
        if text.starts_with('<') { String::new() } else { text }
    }

    /// What the status alone says; `words` are the service's own, and may be empty.
    pub(crate) fn by_status(&self, words: &str) -> Verdict {
        let why = told(&format!("HTTP {}", self.status), words);
        match self.status {
            200..=299 => Verdict::Taken,
            429 => Verdict::later(why, Some(self.after.unwrap_or(A_MINUTE))),
            401 | 403 | 404 | 405 | 410 => Verdict::refused(why),
            400 | 406 | 411 | 413 | 414 | 415 | 422 => Verdict::refused_message(why),
            _ => Verdict::later(why, self.after),
        }
    }
}

/// `what: words`, or only what when there are no words.
pub(crate) fn told(what: &str, words: &str) -> String {
    let words = shorten(words, 300);
    if words.is_empty() { what.to_owned() } else { format!("{what}: {words}") }
}

/// A duration of so many seconds; none for what is none.
pub(crate) fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok().map(|after| after.min(LONGEST))
}

/// The text at this place of the answer, in one short line.
pub(crate) fn text_at(value: &Value, pointer: &str) -> String {
    line(value.pointer(pointer).and_then(Value::as_str).unwrap_or_default(), 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_to_come_back() {
        let by = |status, after| Answer::new(status, after, b"").by_status("");
        let why = |status: u16| format!("HTTP {status}");
        assert_eq!(by(204, None), Verdict::Taken);
        assert_eq!(by(429, None), Verdict::later(why(429), Some(A_MINUTE)));
        assert_eq!(by(429, Some("7")), Verdict::later(why(429), Some(Duration::from_secs(7))));
        assert_eq!(by(503, Some(" 1.5 ")), Verdict::later(why(503), Some(Duration::from_millis(1_500))));
        for status in [302, 408, 409, 425, 500, 502, 599] {
            assert_eq!(by(status, Some("Thu, 01 Jan 2026 00:00:00 GMT")), Verdict::later(why(status), None));
        }
        for status in [401, 403, 404, 405, 410] {
            assert_eq!(by(status, None), Verdict::refused(why(status)));
        }
        for status in [400, 413, 422] {
            assert_eq!(by(status, None), Verdict::refused_message(why(status)));
        }
    }

    #[test]
    fn nobody_is_left_alone_for_ever_and_nonsense_is_no_time() {
        let after = |text: &str| Answer::new(429, Some(text), b"").after;
        assert_eq!(after("99999999999999"), Some(LONGEST));
        for nonsense in ["-1", "NaN", "inf", "soon", ""] {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn words_can_be_taken_out_of_a_verdict() {
        let after = Some(A_MINUTE);
        assert_eq!(Verdict::Taken.without_words(200), Verdict::Taken);
        assert_eq!(Verdict::later("HTTP 503: s3cret", after).without_words(503), Verdict::later("HTTP 503", after));
        assert_eq!(Verdict::refused("code 1: s3cret").without_words(200), Verdict::refused("HTTP 200"));
        let message = Verdict::refused_message("HTTP 400: s3cret");
        assert_eq!(message.without_words(400), Verdict::refused_message("HTTP 400"));
    }

    #[test]
    fn words_are_one_line_and_no_page() {
        assert_eq!(Answer::new(400, None, b"invalid\npayload").words(), "invalid payload");
        assert_eq!(Answer::new(502, None, b"<html>Bad gateway</html>").words(), "");
    }
}
