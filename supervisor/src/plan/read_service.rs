//! Reads `[service.NAME]`.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;

use super::graph::Node;
use super::types::{Output, Ready, Run, ServiceSpec, StopClock, StopStep};
use super::values::{Reader, Section, is_name, set, to_millis};
use crate::task::Task;

/// Names a service cannot have, because they mean something else in the logs or on the command line.
const RESERVED: [&str; 2] = ["supervisor", "all"];

impl<'s> Reader<'s> {
    pub(super) fn service(&mut self, name: &str, mut section: Section<'s>) -> (ServiceSpec, Node) {
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
        self.health(&mut section, &mut spec);
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
        spec.fail_exit = self.integer(&mut section, "fail_exit", 1, 125).and_then(|n| u8::try_from(n).ok());
        spec.pass_exit = self.exit_codes(&mut section, "pass_exit");
        self.retry(&mut section, &mut spec);
        self.confinement(&mut section, &mut spec);
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
            let pass_env = self.pass_env(section);
            return Run::Exec { command, env: self.environment(section), pass_env, user };
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
            &[("probe", Ready::Probe), ("notify", Ready::Notify), ("started", Ready::Started), ("check", Ready::Check)],
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
        if given == Some(Ready::Check) && spec.check.is_none() {
            self.fault(line, format!("{}.ready: \"check\" needs a check", section.path));
        }
        if spec.check.is_some() {
            spec.ready = Ready::Check;
        }
        set(&mut spec.ready, given);
        if spec.watchdog_ms > 0 && spec.ready != Ready::Notify {
            self.fault(line, format!("{}.watchdog_s: is for a service with ready = \"notify\"", section.path));
        }
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
