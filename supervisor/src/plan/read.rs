//! Reads the plan file. Every fault is found in one go and told with its line.

use toml::de::{DeTable, DeValue};

use super::graph::{self, Node};
use super::types::{LogRules, Plan, ServiceSpec};
use super::values::{Reader, Section, set};
use super::written::written;
use crate::task::BackupRules;

/// Parses and checks a whole plan file.
///
/// # Errors
/// All faults, in the order of their lines, each as `line N: what is wrong`.
pub fn parse(source: &str) -> Result<Plan, Vec<String>> {
    let (document, syntax) = DeTable::parse_recoverable(source);
    let mut reader = Reader { source, errors: Vec::new() };
    for error in &syntax {
        let line = error.span().map_or(1, |span| reader.line(span.start));
        reader.errors.push((line, error.message().to_owned()));
    }
    let plan = if syntax.is_empty() { reader.document(document.into_inner()) } else { None };
    let mut errors = reader.errors;
    match plan {
        Some(plan) if errors.is_empty() => Ok(plan),
        _ => {
            errors.sort();
            errors.dedup();
            Err(errors.into_iter().map(|(line, message)| format!("line {line}: {message}")).collect())
        }
    }
}

impl<'s> Reader<'s> {
    fn document(&mut self, table: DeTable<'s>) -> Option<Plan> {
        let mut root = Section { path: String::new(), line: 1, table };
        let beside = |(key, _): &(String, String)| !key.starts_with("service.");
        let settings: Vec<_> = written(&root.table).into_iter().filter(beside).collect();
        let log = self.section(&mut root, "log").map_or_else(LogRules::default, |section| self.log(section));
        let backup =
            self.section(&mut root, "backup").map_or_else(BackupRules::default, |section| self.backup(section));
        let schedules = self.section(&mut root, "schedule").map_or_else(Vec::new, |section| self.schedules(section));
        let mut read: Vec<(usize, ServiceSpec, Node)> = Vec::new();
        if let Some(mut services) = self.section(&mut root, "service") {
            for (name, value) in std::mem::take(&mut services.table) {
                let (offset, name) = (name.span().start, name.into_inner().into_owned());
                let line = self.line(offset);
                match value.into_inner() {
                    DeValue::Table(table) => {
                        let written = written(&table);
                        let section = Section { path: format!("service.{name}"), line, table };
                        let (spec, node) = self.service(&name, section);
                        read.push((offset, ServiceSpec { written, ..spec }, node));
                    }
                    _ => self.fault(line, format!("service.{name}: must be a table")),
                }
            }
        }
        self.nothing_left(root);
        if read.is_empty() {
            self.fault(1, "no service is defined".to_owned());
            return None;
        }
        read.sort_by_key(|(offset, ..)| *offset);
        let (mut specs, nodes): (Vec<ServiceSpec>, Vec<Node>) =
            read.into_iter().map(|(_, spec, node)| (spec, node)).unzip();
        if specs.iter().filter(|spec| spec.listen).count() > 1 {
            self.fault(1, "only one service can have listen = true".to_owned());
        }
        let order = match graph::order(&nodes) {
            Ok(order) => order,
            Err(errors) => {
                self.errors.extend(errors);
                return None;
            }
        };
        let names: Vec<&str> = order.iter().filter_map(|old| nodes.get(*old)).map(|node| node.name.as_str()).collect();
        for (spec, node) in specs.iter_mut().zip(&nodes) {
            spec.after = positions(&names, &node.after);
            if let Some(without) = &mut spec.start_without {
                without.services = positions(&names, &node.without);
            }
        }
        let mut specs: Vec<Option<ServiceSpec>> = specs.into_iter().map(Some).collect();
        let services = order.iter().filter_map(|old| specs.get_mut(*old).and_then(Option::take)).collect();
        Some(Plan { services, log, backup, schedules, written: settings })
    }

    fn log(&mut self, mut section: Section<'s>) -> LogRules {
        let mut rules = LogRules::default();
        let bytes = |mb: u64| mb * 1024 * 1024;
        let line = section.line;
        set(&mut rules.max_bytes, self.integer(&mut section, "max_size_mb", 1, 10_240).map(bytes));
        set(&mut rules.files, self.integer(&mut section, "files", 1, 1_000).and_then(|n| u32::try_from(n).ok()));
        set(&mut rules.total_bytes, self.integer(&mut section, "total_mb", 1, 1_048_576).map(bytes));
        let lines = self.integer(&mut section, "tail_lines", 1, 100_000);
        set(&mut rules.tail_lines, lines.and_then(|n| usize::try_from(n).ok()));
        if rules.total_bytes < rules.max_bytes {
            self.fault(line, "log.total_mb: must not be less than max_size_mb, the size of one file".to_owned());
        }
        self.nothing_left(section);
        rules
    }

    fn backup(&mut self, mut section: Section<'s>) -> BackupRules {
        let mut rules = BackupRules::default();
        let number = |n: u64| u32::try_from(n).ok();
        set(&mut rules.nightly, self.boolean(&mut section, "nightly"));
        set(&mut rules.keep, self.integer(&mut section, "keep", 1, 10_000).and_then(number));
        set(&mut rules.within_s, self.integer(&mut section, "within_s", 1, 604_800).and_then(number));
        set(&mut rules.max_age_days, self.integer(&mut section, "max_age_days", 1, 36_500).and_then(number));
        self.nothing_left(section);
        rules
    }
}

/// Where those named stand in the order.
fn positions(order: &[&str], named: &[(String, usize)]) -> Vec<usize> {
    let is_named = |name: &str| named.iter().any(|(other, _)| other == name);
    order.iter().enumerate().filter(|(_, name)| is_named(name)).map(|(index, _)| index).collect()
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
