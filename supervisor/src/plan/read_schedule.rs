//! Reads `[schedule.NAME]`.

use chrono::TimeDelta;

use super::values::{Reader, Section, is_name, set};
use crate::schedule::{Line, Schedule, Window, Work, Zone};
use crate::task::RestartRules;

/// Longest jitter and longest time for catching up, in seconds: a day.
const LONGEST_S: u64 = 86_400;

/// Longest time in hours: a year.
const LONGEST_H: u64 = 8_784;

/// Settings that only a restart has.
const RESTART_KEYS: [&str; 6] = ["mode", "only_if", "min_uptime_h", "max_backlog", "max_disk_percent", "breaker_h"];

impl<'s> Reader<'s> {
    pub(super) fn schedules(&mut self, mut sections: Section<'s>) -> Vec<Schedule> {
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
        let enabled = self.boolean(&mut section, "enabled").unwrap_or(true);
        let seconds = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        let jitter_s = seconds(self.integer(&mut section, "jitter_s", 0, LONGEST_S));
        let catch_up_s = seconds(self.integer(&mut section, "catch_up_s", 0, LONGEST_S));
        let window = self.string(&mut section, "window").and_then(|(text, line)| {
            let window = Window::parse(&text).and_then(|window| match &cron {
                Some(cron) => match window.margin(cron) {
                    None => Err(format!("no time of cron is within {text:?}")),
                    // On some appliances every run would be left out, and on others none.
                    Some(margin) if margin <= TimeDelta::seconds(i64::from(jitter_s)) => {
                        let before = margin.num_seconds();
                        Err(format!("cron comes up to {before} s before the end of {text:?}, and jitter_s goes beyond"))
                    }
                    Some(_) => Ok(window),
                },
                None => Ok(window),
            });
            window.map_err(|error| self.fault(line, format!("{path}.window: {error}"))).ok()
        });
        let rules = self.restart_rules(&mut section, work);
        self.nothing_left(section);
        let schedule = Schedule { name, line: cron?, zone, work: work?, jitter_s, catch_up_s, window, rules };
        enabled.then_some(schedule)
    }

    /// What only a restart keeps to.
    fn restart_rules(&mut self, section: &mut Section<'s>, work: Option<Work>) -> RestartRules {
        let mut rules = RestartRules::default();
        if work.is_some_and(|work| work != Work::ScheduledRestart) {
            for key in RESTART_KEYS {
                if let Some((_, line)) = self.take(section, key) {
                    let path = &section.path;
                    self.fault(line, format!("{path}.{key}: is for task \"scheduled-restart\""));
                }
            }
            return rules;
        }
        set(&mut rules.report_only, self.choice(section, "mode", &[("recycle", false), ("report-only", true)]));
        if let Some(mut limits) = self.section(section, "only_if") {
            rules.if_rss_mb = self.integer(&mut limits, "rss_mb", 1, 1_000_000);
            rules.if_uptime_h = self.integer(&mut limits, "uptime_h", 1, LONGEST_H);
            if limits.table.is_empty() && rules.if_rss_mb.is_none() && rules.if_uptime_h.is_none() {
                self.fault(limits.line, format!("{}: needs rss_mb or uptime_h", limits.path));
            }
            self.nothing_left(limits);
        }
        set(&mut rules.min_uptime_h, self.integer(section, "min_uptime_h", 0, LONGEST_H));
        rules.max_backlog = self.integer(section, "max_backlog", 0, 1_000_000_000);
        set(&mut rules.max_disk_percent, self.integer(section, "max_disk_percent", 1, 100));
        set(&mut rules.breaker_h, self.integer(section, "breaker_h", 0, LONGEST_H));
        rules
    }
}
