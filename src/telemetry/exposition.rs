//! The text that Prometheus reads: a name, what it is, and its values with their labels.

use std::fmt::{Display, Write};

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, until the process starts anew.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Metrics in the text format, one after the other.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// One metric, to be given its values.
#[derive(Debug)]
pub struct Metric<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins a metric; `help` is one line for people.
    pub fn metric(&mut self, name: &'static str, kind: MetricKind, help: &str) -> Metric<'_> {
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        // Writing to a string does not fail.
        let _written = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Metric { text: &mut self.0, name }
    }

    /// A counter without labels.
    pub fn counter(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.metric(name, MetricKind::Counter, help).value(&[], value);
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.metric(name, MetricKind::Gauge, help).value(&[], value);
    }

    /// Everything, behind what another part has to say.
    pub fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// Whole lines in the same format that somebody else has written, about other metrics.
    pub fn append_text(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl Metric<'_> {
    /// One value, told apart from others by its labels.
    pub fn value(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        for (index, (name, text)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            for character in text.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        // Writing to a string does not fail.
        let _written = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_quoted_whatever_is_in_them() {
        let mut text = Exposition::default();
        text.gauge("a_seconds", "How long.", 0.25);
        text.metric("b_total", MetricKind::Counter, "How many.").value(&[("x", "a\"b\\c\nd"), ("y", "")], 7);
        assert_eq!(
            text.into_text(),
            "# HELP a_seconds How long.\n# TYPE a_seconds gauge\na_seconds 0.25\n# HELP b_total How many.\n\
             # TYPE b_total counter\nb_total{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 7\n"
        );
    }
}
