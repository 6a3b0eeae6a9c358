//! Reads the plan file. Every fault is found in one go and told with its line.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use toml::de::{DeTable, DeValue};

use super::graph::{self, Node};
use super::types::{LogRules, Output, Plan, Ready, Run, ServiceSpec, StopClock, StopStep};
use super::values::{Reader, Section, set, to_millis};
use crate::schedule::{Line, Schedule, Work, Zone};
use crate::task::{BackupRules, Task};

/// Names a service cannot have, because they mean something else in the logs or on the command line.
const RESERVED: [&str; 2] = ["supervisor", "all"];

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
                        let section = Section { path: format!("service.{name}"), line, table };
                        let (spec, node) = self.service(&name, section);
                        read.push((offset, spec, node));
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
        Some(Plan { services, log, backup, schedules })
    }

    fn log(&mut self, mut section: Section<'s>) -> LogRules {
        let default = LogRules::default();
        let rules = LogRules {
            max_bytes: self
                .integer(&mut section, "max_size_mb", 1, 10_240)
                .map_or(default.max_bytes, |mb| mb * 1024 * 1024),
            files: self
                .integer(&mut section, "files", 1, 1_000)
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(default.files),
            tail_lines: self
                .integer(&mut section, "tail_lines", 1, 100_000)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(default.tail_lines),
        };
        self.nothing_left(section);
        rules
    }

    fn backup(&mut self, mut section: Section<'s>) -> BackupRules {
        let mut rules = BackupRules::default();
        let number = |n: u64| u32::try_from(n).ok();
        set(&mut rules.nightly, self.boolean(&mut section, "nightly"));
        set(&mut rules.keep, self.integer(&mut section, "keep", 1, 10_000).and_then(number));
        set(&mut rules.max_age_days, self.integer(&mut section, "max_age_days", 1, 36_500).and_then(number));
        self.nothing_left(section);
        rules
    }

    fn schedules(&mut self, mut sections: Section<'s>) -> Vec<Schedule> {
        let names: Vec<String> = sections.table.keys().map(|name| name.get_ref().to_string()).collect();
        let sections = names.into_iter().filter_map(|name| {
            let section = self.section(&mut sections, &name)?;
            self.schedule(name, section)
        });
        sections.collect()
    }

    fn schedule(&mut self, name: String, mut section: Section<'s>) -> Option<Schedule> {
        let (path, line) = (section.path.clone(), section.line);
        if !is_name(&name) {
            let message =
                format!("{name:?} cannot be the name of a schedule: at most 32 lower-case letters, digits and dashes");
            self.fault(line, message);
        }
        for key in ["cron", "task"] {
            if !section.table.contains_key(key) {
                self.fault(line, format!("{path}.{key}: is missing"));
            }
        }
        let work = self.choice(&mut section, "task", &Work::ALL);
        let cron = self.string(&mut section, "cron").and_then(|(text, line)| {
            Line::parse(&text).map_err(|error| self.fault(line, format!("{path}.cron: {error}"))).ok()
        });
        let zone = self.string(&mut section, "timezone").and_then(|(text, line)| {
            Zone::parse(&text).map_err(|error| self.fault(line, format!("{path}.timezone: {error}"))).ok()
        });
        self.nothing_left(section);
        Some(Schedule { name, line: cron?, zone, work: work? })
    }

    fn service(&mut self, name: &str, mut section: Section<'s>) -> (ServiceSpec, Node) {
        if !is_name(name) || RESERVED.contains(&name) || Task::NAMES.contains(&name) {
            let message =
                format!("\"{name}\" cannot be the name of a service: at most 32 lower-case letters, digits and dashes");
            self.fault(section.line, message);
        }
        let mut spec = ServiceSpec::named(name);
        spec.run = self.run(name, &mut section);
        spec.oneshot = self.boolean(&mut section, "oneshot").unwrap_or(false);
        let after = self.strings(&mut section, "after").unwrap_or_default();
        let mut node = Node { name: name.to_owned(), line: section.line, after, without: Vec::new() };
        self.start_without(&mut section, &mut spec, &mut node);
        self.readiness(&mut section, &mut spec);
        set(&mut spec.essential, self.boolean(&mut section, "essential"));
        set(&mut spec.listen, self.boolean(&mut section, "listen"));
        set(&mut spec.overlap, self.choice(&mut section, "restart", &[("overlap", true), ("stop-start", false)]));
        if spec.oneshot && spec.overlap {
            self.fault(section.line, format!("{}.restart: a oneshot cannot overlap", section.path));
        }
        set(&mut spec.drain_ms, self.millis(&mut section, "drain_s"));
        set(&mut spec.output, self.choice(&mut section, "output", &[("log", Output::Log), ("plain", Output::Plain)]));
        self.backoff(&mut section, &mut spec);
        if let Some(steps) = self.stop(&mut section) {
            spec.stop = steps;
        }
        set(
            &mut spec.stop_clock,
            self.choice(
                &mut section,
                "stop_clock",
                &[("service", StopClock::Service), ("shutdown", StopClock::Shutdown)],
            ),
        );
        set(&mut spec.fail_exit, self.integer(&mut section, "fail_exit", 1, 125).and_then(|n| u8::try_from(n).ok()));
        spec.pass_exit = self.exit_codes(&mut section, "pass_exit");
        self.retry(&mut section, &mut spec);
        self.nothing_left(section);
        (spec, node)
    }

    fn run(&mut self, name: &str, section: &mut Section<'s>) -> Run {
        #[derive(Clone, Copy, PartialEq)]
        enum Kind {
            Bundled,
            App,
            Exec,
        }
        let line = section.line;
        if !section.table.contains_key("kind") {
            self.fault(line, format!("{}.kind: is missing", section.path));
        }
        let kind =
            self.choice(section, "kind", &[("bundled", Kind::Bundled), ("app", Kind::App), ("exec", Kind::Exec)]);
        if kind == Some(Kind::Exec) {
            let command: Vec<String> =
                self.strings(section, "command").unwrap_or_default().into_iter().map(|(word, _)| word).collect();
            if command.first().is_none_or(String::is_empty) {
                self.fault(
                    line,
                    format!("{}.command: kind \"exec\" needs the program and its arguments", section.path),
                );
            }
            let user = self.string(section, "user").map(|(user, _)| user);
            return Run::Exec { command, env: self.environment(section), user };
        }
        if kind == Some(Kind::Bundled) && !["prepare", "postgres", "redis"].contains(&name) {
            self.fault(line, format!("{}.kind: \"bundled\" is for prepare, postgres and redis", section.path));
        }
        if kind == Some(Kind::Bundled) { Run::Bundled } else { Run::App }
    }

    fn environment(&mut self, section: &mut Section<'s>) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        let Some(mut table) = self.section(section, "env") else { return env };
        for (name, value) in std::mem::take(&mut table.table) {
            let line = self.line(value.span().start);
            match value.get_ref().as_str() {
                Some(text) => {
                    env.insert(name.into_inner().into_owned(), text.to_owned());
                }
                None => self.fault(line, format!("{}.{}: must be a string", table.path, name.get_ref())),
            }
        }
        env
    }

    fn readiness(&mut self, section: &mut Section<'s>, spec: &mut ServiceSpec) {
        let line = section.line;
        let given = self.choice(
            section,
            "ready",
            &[("probe", Ready::Probe), ("notify", Ready::Notify), ("started", Ready::Started)],
        );
        if spec.oneshot && given.is_some() {
            self.fault(
                line,
                format!("{}.ready: a oneshot is ready when it has ended with 0; leave this out", section.path),
            );
        }
        if given == Some(Ready::Probe) && spec.run != Run::Bundled {
            self.fault(line, format!("{}.ready: \"probe\" is for postgres and redis", section.path));
        }
        if spec.oneshot {
            spec.ready_within_ms = None;
        }
        set(&mut spec.ready, given);
        if let Some(within) = self.millis(section, "ready_within_s") {
            spec.ready_within_ms = (within > 0).then_some(within);
        }
        if let Some(every) = self.millis(section, "probe_every_s") {
            spec.probe_every_ms = every.max(1_000);
        }
    }

    fn backoff(&mut self, section: &mut Section<'s>, spec: &mut ServiceSpec) {
        let Some(mut table) = self.section(section, "backoff") else { return };
        set(&mut spec.backoff.base_ms, self.millis(&mut table, "base_s"));
        set(&mut spec.backoff.max_ms, self.millis(&mut table, "max_s"));
        set(&mut spec.backoff.healthy_ms, self.millis(&mut table, "healthy_s"));
        set(
            &mut spec.backoff.attempts,
            self.integer(&mut table, "attempts", 1, 1_000_000).and_then(|n| u32::try_from(n).ok()),
        );
        self.nothing_left(table);
    }

    /// `stop = ["TERM", "KILL@2"]`: the first signal at once, the others so many seconds later.
    fn stop(&mut self, section: &mut Section<'s>) -> Option<Vec<StopStep>> {
        let words = self.strings(section, "stop")?;
        let mut steps: Vec<StopStep> = Vec::new();
        for (word, line) in words {
            let (name, seconds) = word.split_once('@').unwrap_or((&word, "0"));
            let signal = format!("SIG{name}").parse::<Signal>().ok();
            let at_ms = seconds.parse::<f64>().ok().and_then(to_millis);
            let (Some(signal), Some(at_ms)) = (signal, at_ms) else {
                self.fault(
                    line,
                    format!("{}.stop: \"{word}\" is not a step such as \"TERM\" or \"KILL@2.5\"", section.path),
                );
                continue;
            };
            let in_order = steps.last().map_or(at_ms == 0, |last| at_ms >= last.at_ms);
            if !in_order {
                self.fault(line, format!("{}.stop: the first step comes at once, and times ascend", section.path));
            }
            steps.push(StopStep { signal, at_ms });
        }
        if steps.last().is_none_or(|last| last.signal != Signal::SIGKILL) {
            self.fault(
                section.line,
                format!("{}.stop: the last step must be KILL, so that the stop has an end", section.path),
            );
        }
        Some(steps)
    }
}

/// Where those named stand in the order.
fn positions(order: &[&str], named: &[(String, usize)]) -> Vec<usize> {
    let is_named = |name: &str| named.iter().any(|(other, _)| other == name);
    order.iter().enumerate().filter(|(_, name)| is_named(name)).map(|(index, _)| index).collect()
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=32).contains(&name.len()) && name.chars().all(allowed)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
