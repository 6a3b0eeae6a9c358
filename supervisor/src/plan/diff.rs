//! What a new plan changes in the one in force, and what of that can be done while the appliance runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::types::{Plan, Run, ServiceSpec};

/// Settings of a service that count without a new process.
const IN_PLACE: [&str; 15] = [
    "after",
    "start_without",
    "ready_within_s",
    "patient",
    "liveness",
    "probe_every_s",
    "restart",
    "drain_s",
    "stop",
    "stop_clock",
    "backoff",
    "essential",
    "fail_exit",
    "pass_exit",
    "retry",
];

/// Settings that a bundled server keeps for as long as the supervisor runs.
const FIXED: [&str; 3] = ["kind", "oneshot", "ready"];

/// One setting that is another now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// As in the file, tables joined by dots.
    pub key: String,
    /// The value before; none when it was left to its default.
    pub old: Option<String>,
    /// The value now.
    pub new: Option<String>,
}

/// What becomes of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is new, and is started.
    Added,
    /// It is not in the file any more, and is stopped.
    Removed,
    /// It is replaced by a new generation.
    Restarted,
    /// Its process stays as it is; what has changed counts from now on.
    Adjusted,
}

/// One service that is affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// Its name.
    pub service: String,
    /// What becomes of it.
    pub fate: Fate,
    /// What has changed. Values of its environment, commands and checks are masked.
    pub keys: Vec<KeyChange>,
}

/// All that is different.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Beside the services: logs, backups, schedules.
    pub settings: Vec<KeyChange>,
    /// The services affected: those that stay or come in the order of the new plan, then those that go.
    pub services: Vec<ServiceChange>,
}

impl Difference {
    /// From the plan in force to a new one.
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let changed = |spec: &ServiceSpec| {
            let former = old.find(&spec.name).and_then(|index| old.services.get(index));
            let keys = compare(former.map_or(&[][..], |former| &former.written), &spec.written);
            let fate = match former {
                None => Fate::Added,
                Some(_) if keys.iter().all(|change| is_in_place(&change.key)) => Fate::Adjusted,
                Some(_) => Fate::Restarted,
            };
            let keys = keys.into_iter().map(masked).collect();
            ServiceChange { service: spec.name.clone(), fate, keys }
        };
        let gone = old.services.iter().filter(|spec| !spec.removed && new.find(&spec.name).is_none());
        let gone =
            gone.rev().map(|spec| ServiceChange { service: spec.name.clone(), fate: Fate::Removed, keys: Vec::new() });
        let services = new.services.iter().filter(|spec| !spec.removed).map(changed);
        let affected = |change: &ServiceChange| change.fate == Fate::Added || !change.keys.is_empty();
        Self {
            settings: compare(&old.written, &new.written),
            services: services.filter(affected).chain(gone).collect(),
        }
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.services.is_empty()
    }

    /// What of it cannot be done while the appliance runs: a sentence each. `has_app`: the application's program is open.
    pub fn obstacles(&self, old: &Plan, new: &Plan, has_app: bool) -> Vec<String> {
        let mut obstacles = Vec::new();
        for change in &self.services {
            let name = &change.service;
            let (was, is) = (old.has_bundled(name), new.has_bundled(name));
            let fixed = change.keys.iter().find(|change| FIXED.contains(&first(&change.key)));
            match (was, is, fixed) {
                (true, false, _) => obstacles.push(format!(
                    "{name} cannot be taken out while the appliance runs: the data are in its hands. Stop the appliance, change \
                     the file, and start it again"
                )),
                (false, true, _) => obstacles.push(format!(
                    "{name} cannot be added while the appliance runs: it is prepared before everything else. Start the appliance again"
                )),
                (true, true, Some(fixed)) => obstacles.push(format!(
                    "service.{name}.{} cannot be changed while the appliance runs. Start the appliance again",
                    fixed.key
                )),
                _ => {}
            }
            let is_role = new.find(name).and_then(|index| new.services.get(index)).is_some_and(|it| it.run == Run::App);
            if is_role && !has_app {
                obstacles.push(format!(
                    "{name} cannot be added while the appliance runs: it was started without any role of the application. Start it again"
                ));
            }
        }
        obstacles
    }
}

impl KeyChange {
    /// The same with its values as `clean` wants them.
    #[must_use]
    pub fn cleaned(self, clean: impl Fn(String) -> String) -> Self {
        Self { old: self.old.map(&clean), new: self.new.map(&clean), ..self }
    }
}

/// `log.files: 5 -> 7`; of what is masked only that it has changed.
impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if [&self.old, &self.new].into_iter().flatten().all(|value| value == MASK) {
            return write!(f, "{}: (changed)", self.key);
        }
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(default)".to_owned());
        write!(f, "{}: {} -> {}", self.key, shown(&self.old), shown(&self.new))
    }
}

impl Plan {
    /// The same plan with every service under the number it has in the plan in force; those that are not in it come after
    /// them. Services that are in force only stay as they are.
    #[must_use]
    pub fn numbered_like(self, in_force: &Self) -> Self {
        let mut services = in_force.services.clone();
        let mut numbers = Vec::new();
        for spec in &self.services {
            let known = in_force.services.iter().position(|other| other.name == spec.name);
            numbers.push(known.unwrap_or_else(|| {
                services.push(spec.clone());
                services.len() - 1
            }));
        }
        let number = |index: &usize| numbers.get(*index).copied();
        let renumbered = |indexes: &[usize]| indexes.iter().filter_map(number).collect::<Vec<_>>();
        for (rank, mut spec) in self.services.into_iter().enumerate() {
            spec.rank = rank;
            spec.after = renumbered(&spec.after);
            if let Some(without) = &mut spec.start_without {
                without.services = renumbered(&without.services);
            }
            if let Some(place) = number(&rank).and_then(|number| services.get_mut(number)) {
                *place = spec;
            }
        }
        Self { services, ..self }
    }
}

/// Whether a change of this setting counts without a new process.
fn is_in_place(key: &str) -> bool {
    IN_PLACE.contains(&first(key))
}

fn first(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

/// Stands for a value that is not shown.
const MASK: &str = "***";

/// What people put into environments is often secret, and so is what they put on command lines and into addresses.
fn masked(mut change: KeyChange) -> KeyChange {
    if ["env", "command", "check"].contains(&first(&change.key)) {
        for value in [&mut change.old, &mut change.new].into_iter().flatten() {
            MASK.clone_into(value);
        }
    }
    change
}

fn compare(old: &[(String, String)], new: &[(String, String)]) -> Vec<KeyChange> {
    let find = |all: &[(String, String)], key: &str| {
        all.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    };
    let mut keys: Vec<&String> = old.iter().chain(new).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let changes = keys.into_iter().map(|key| KeyChange { key: key.clone(), old: find(old, key), new: find(new, key) });
    changes.filter(|change| change.old != change.new).collect()
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
