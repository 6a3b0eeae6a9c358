//! Reads what of a service depends on an earlier start: going without another one, trying again.

use super::graph::Node;
use super::types::{Retry, ServiceSpec, StartWithout};
use super::values::{Reader, Section};

impl<'s> Reader<'s> {
    /// `start_without = { services = ["migrate"], after_s = 3, if_exists = "spool/keys" }`. The services are noted in
    /// the node until all are known.
    pub(super) fn start_without(&mut self, section: &mut Section<'s>, spec: &mut ServiceSpec, node: &mut Node) {
        let Some(mut table) = self.section(section, "start_without") else { return };
        node.without = self.strings(&mut table, "services").unwrap_or_default();
        for (name, line) in &node.without {
            if !node.after.iter().any(|(needed, _)| needed == name) {
                self.fault(*line, format!("{}.services: \"{name}\" is not in {}.after", table.path, section.path));
            }
        }
        let after_ms = self.needed(&mut table, "after_s", Self::millis);
        let if_exists = self.file(&mut table);
        if let (Some(after_ms), Some(if_exists)) = (after_ms, if_exists) {
            spec.start_without = Some(StartWithout { services: Vec::new(), after_ms, if_exists });
        }
        self.nothing_left(table);
    }

    /// `retry = { exit = [75], if_exists = "spool/keys" }`.
    pub(super) fn retry(&mut self, section: &mut Section<'s>, spec: &mut ServiceSpec) {
        let Some(mut table) = self.section(section, "retry") else { return };
        if !spec.oneshot {
            self.fault(table.line, format!("{}: is for a oneshot; others are started again anyway", table.path));
        }
        let exit = self.needed(&mut table, "exit", |reader, table, key| Some(reader.exit_codes(table, key)));
        let if_exists = self.file(&mut table);
        if let (Some(exit), Some(if_exists)) = (exit, if_exists) {
            spec.retry = Some(Retry { exit, if_exists });
        }
        self.nothing_left(table);
    }

    /// A list of exit codes, empty when it is not there.
    pub(super) fn exit_codes(&mut self, section: &mut Section<'s>, key: &str) -> Vec<u8> {
        let mut codes = Vec::new();
        for (value, line) in self.list(section, key).unwrap_or_default() {
            match value.as_integer().and_then(|n| n.as_str().parse::<u8>().ok()) {
                Some(code) if (1..=125).contains(&code) => codes.push(code),
                _ => self.fault(line, format!("{}.{key}: exit codes are whole numbers from 1 to 125", section.path)),
            }
        }
        codes
    }

    fn needed<T>(
        &mut self,
        table: &mut Section<'s>,
        key: &str,
        read: impl FnOnce(&mut Self, &mut Section<'s>, &str) -> Option<T>,
    ) -> Option<T> {
        if !table.table.contains_key(key) {
            self.fault(table.line, format!("{}.{key}: is missing", table.path));
            return None;
        }
        read(self, table, key)
    }

    /// The file on which a condition depends: a path within the data directory.
    fn file(&mut self, table: &mut Section<'s>) -> Option<String> {
        let (path, line) = self.needed(table, "if_exists", Self::string)?;
        let is_inside = path.split('/').all(|step| !matches!(step, "" | "." | ".."));
        if !is_inside {
            self.fault(line, format!("{}.if_exists: must be a path within the data directory", table.path));
        }
        is_inside.then_some(path)
    }
}
