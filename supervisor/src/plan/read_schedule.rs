//! Reads `[schedule.NAME]`.

use super::values::{Reader, Section, is_name};
use crate::schedule::{Line, Schedule, Window, Work, Zone};

/// Longest jitter and longest time for catching up, in seconds: a day.
const LONGEST_S: u64 = 86_400;

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
                Some(cron) if !window.meets(cron) => Err(format!("no time of cron is within {text:?}")),
                _ => Ok(window),
            });
            window.map_err(|error| self.fault(line, format!("{path}.window: {error}"))).ok()
        });
        self.nothing_left(section);
        let schedule = Schedule { name, line: cron?, zone, work: work?, jitter_s, catch_up_s, window };
        enabled.then_some(schedule)
    }
}
