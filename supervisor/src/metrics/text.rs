//! The text format of Prometheus: a name, what it is, and its values with their labels.

use std::fmt::{Display, Write};

/// Metrics, one after the other.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// One metric, to be given its values.
#[derive(Debug)]
pub(super) struct Metric<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    /// Something that only grows, until the supervisor starts anew.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.begin(name, "counter", help)
    }

    /// Something that goes up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.begin(name, "gauge", help)
    }

    fn begin(&mut self, name: &'static str, kind: &str, help: &str) -> Metric<'_> {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Metric { page: &mut self.0, name }
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Metric<'_> {
    /// One value, told apart from others by its labels.
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.page.push_str(self.name);
        let mut before = '{';
        for (name, text) in labels {
            self.page.push(before);
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.page, "{name}=\"{escaped}\"");
            before = ',';
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.page, "{end} {value}");
    }
}
