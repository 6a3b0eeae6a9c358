//! What must hold whatever happens.

use super::*;

impl Weather {
    pub(super) fn look_at_start(&self, id: Id) {
        let spec = &self.state().plan().services[id.service];
        let last = self.last_generation.get(&id.service).copied().unwrap_or(0);
        self.check(id.generation == last + 1, "generations count up by one");
        self.check(self.state().phase == Phase::Running, "nothing is started while everything is being stopped");
        if last == 0 {
            let without = spec.start_without.as_ref().filter(|without| without.after_ms <= self.now);
            let is_missing = |needed: &usize| !self.been_ready.contains(needed);
            let may_lack = |needed: &usize| without.is_some_and(|without| without.services.contains(needed));
            let held_back = spec.after.iter().any(|needed| is_missing(needed) && !may_lack(needed));
            self.check(!held_back, "nothing is started before what it comes after");
        }
        let beside = self.lives.keys().filter(|other| other.service == id.service).count();
        self.check(spec.overlap || beside == 0, "without overlap nothing of the last run is left");
    }

    /// While everything is being stopped, what others come after outlives them.
    pub(super) fn look_at_stop(&self, id: Id) {
        if self.state().phase == Phase::Running {
            return;
        }
        let services = &self.state().plan().services;
        let dependents = self.lives.keys().filter(|other| services[other.service].after.contains(&id.service));
        // What not even KILL ends is not waited for.
        let is_stuck = |other: &Id| {
            self.lives.get(other) == Some(&Life::Alive)
                && self.killed.get(other).is_some_and(|at| at + 1_500 <= self.now)
        };
        let early: Vec<&Id> = dependents.filter(|other| !is_stuck(other)).collect();
        let was_going = self.state().services[id.service].instances.iter().any(|instance| {
            instance.generation == id.generation
                && (instance.retired
                    || self.state().services[id.service].down
                    || instance
                        .ladder
                        .as_ref()
                        .is_some_and(|ladder| ladder.failure.is_some() || ladder.began < self.stopping_since()))
        });
        self.check(early.is_empty() || was_going, "the ordered stop goes backwards");
    }

    fn stopping_since(&self) -> Millis {
        match self.state().phase {
            Phase::Stopping { since, .. } => since,
            _ => self.now,
        }
    }

    /// What holds at any time.
    pub(super) fn look(&mut self) {
        // The world forgets what is swept when it says so.
        let state = self.state.as_ref().unwrap();
        let known: BTreeSet<Id> = state
            .services
            .iter()
            .enumerate()
            .flat_map(|(service, facts)| {
                facts.instances.iter().map(move |it| Id { service, generation: it.generation })
            })
            .collect();
        self.lives.retain(|id, _| known.contains(id));
        self.asked_to_end.retain(|id| known.contains(id));
        for service in &self.state().services {
            let serving = service.instances.iter().filter(|it| !it.retired && it.stage != Stage::Sweeping);
            self.check(serving.count() <= 2, "at most one generation and its successor");
            let roles = [service.current, service.candidate];
            let has = |generation: u64| service.instances.iter().any(|instance| instance.generation == generation);
            self.check(roles.into_iter().flatten().all(has), "whoever has a role exists");
            self.check(roles[0].is_none() || roles[0] != roles[1], "nobody has two roles");
            let idle =
                service.instances.iter().filter(|it| !it.retired && it.ladder.is_none() && it.stage != Stage::Sweeping);
            let has_role = |generation: u64| roles.contains(&Some(generation));
            self.check(
                idle.map(|instance| instance.generation).all(has_role),
                "whoever runs and is not being ended has a role",
            );
        }
    }

    /// Whether nothing is due but that somebody shows that he lives; everybody does.
    pub(super) fn watches_only(&mut self) -> bool {
        for id in self.with(Life::Alive) {
            self.tell(Event::Stopped { id, by: None });
            self.tell(Event::Alive { id });
        }
        let is_going = |id: Id| {
            let health = &self.instance(id).health;
            health.condemned.is_some() || health.leave_by.is_some()
        };
        let next = self.state().health_deadline();
        next.is_some() && self.state().next_deadline() == next && !self.with(Life::Alive).into_iter().any(is_going)
    }

    pub(super) fn wants_to_end(&self, id: Id) -> bool {
        let is_task = self.state().plan().services[id.service].oneshot;
        is_task || self.asked_to_end.contains(&id) || self.instance(id).retired
    }

    pub(super) fn is_starting(&self, id: Id) -> bool {
        matches!(self.instance(id).stage, Stage::Starting { .. })
    }

    /// What must hold at rest.
    pub(in crate::state::tests) fn look_at_rest(&self) {
        if self.is_finished() {
            self.check(self.unanswered.is_empty(), "at the end every request has been answered");
            self.check(self.reloads.is_empty(), "at the end every reload has been answered");
            return self.check(self.lives.is_empty(), "at the end nothing is left");
        }
        self.check(self.reloads.is_empty(), "at rest every reload is over");
        let status = self.state().status();
        let waits = |service: &usize| {
            let name = &self.state().plan().services[*service].name;
            status.iter().any(|status| status.name == *name && status.state == "waiting")
        };
        self.check(self.unanswered.values().all(waits), "at rest every request has been answered");
        for status in status {
            let rests = ["ready", "done", "stopped", "failed"].contains(&status.state.as_str());
            // For something that an operator stopped, or that was given up, before it was ever ready.
            let waits = status.state == "waiting" && status.health.starts_with("waits for ");
            self.check(rests || waits, &format!("at rest {} is {}", status.name, status.state));
            self.check(status.draining.is_empty(), "at rest nothing drains");
        }
    }
}
