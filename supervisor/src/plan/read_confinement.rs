//! Reads what a service may use and do, and what it gets to know.

use super::types::{Run, ServiceSpec};
use super::values::{Reader, Section, set};
use crate::limits;

const MB: u64 = 1024 * 1024;

impl<'s> Reader<'s> {
    pub(super) fn confinement(&mut self, section: &mut Section<'s>, spec: &mut ServiceSpec) {
        self.limits(section, spec);
        set(&mut spec.confinement.oom_score_adjust, self.oom_score_adjust(section));
        set(&mut spec.confinement.no_new_privs, self.boolean(section, "no_new_privs"));
        self.capabilities(section, spec);
    }

    /// `limits = { open_files = 1024, processes = 100, memory_mb = 512, core_mb = 0 }`.
    fn limits(&mut self, section: &mut Section<'s>, spec: &mut ServiceSpec) {
        let Some(mut table) = self.section(section, "limits") else { return };
        let limits = &mut spec.confinement.limits;
        limits.open_files = self.integer(&mut table, "open_files", 16, 1 << 30).or(limits.open_files);
        limits.processes = self.integer(&mut table, "processes", 1, 1 << 22).or(limits.processes);
        limits.memory = self.integer(&mut table, "memory_mb", 1, 1 << 24).map(|mb| mb * MB).or(limits.memory);
        limits.core = self.integer(&mut table, "core_mb", 0, 1 << 24).map(|mb| mb * MB).or(limits.core);
        self.nothing_left(table);
    }

    fn oom_score_adjust(&mut self, section: &mut Section<'s>) -> Option<i32> {
        let (value, line) = self.take(section, "oom_score_adjust")?;
        let score = value.get_ref().as_integer().and_then(|number| number.as_str().parse::<i32>().ok());
        let score = score.filter(|score| (-1000..=1000).contains(score));
        if score.is_none() {
            self.fault(line, format!("{}.oom_score_adjust: must be a whole number from -1000 to 1000", section.path));
        }
        score
    }

    /// `capabilities = ["NET_BIND_SERVICE"]`: what a service that runs as root keeps of root's rights.
    fn capabilities(&mut self, section: &mut Section<'s>, spec: &mut ServiceSpec) {
        let (line, key) = (section.line, format!("{}.capabilities", section.path));
        let Some(words) = self.strings(section, "capabilities") else { return };
        if !matches!(&spec.run, Run::Exec { user, .. } if user.as_ref().is_none_or(|user| user == "root")) {
            self.fault(line, format!("{key}: is for kind \"exec\" that runs as root; others have no rights to keep"));
        }
        let mut kept = 0;
        for (word, line) in &words {
            match limits::capabilities([word.as_str()]) {
                Ok(set) => kept |= set,
                Err(name) => {
                    self.fault(*line, format!("{key}: \"{name}\" is not a capability such as \"NET_BIND_SERVICE\""));
                }
            }
        }
        spec.confinement.capabilities = Some(kept);
    }

    /// `pass_env = ["HTTPS_PROXY"]`.
    pub(super) fn pass_env(&mut self, section: &mut Section<'s>) -> Vec<String> {
        let mut names = Vec::new();
        for (name, line) in self.strings(section, "pass_env").unwrap_or_default() {
            if name.is_empty() || name.contains(['=', '\0']) {
                self.fault(line, format!("{}.pass_env: {name:?} is not the name of a variable", section.path));
            }
            names.push(name);
        }
        names
    }
}
