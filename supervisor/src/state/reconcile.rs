//! Looks at all facts and does what follows from them: deadlines, stop ladders, starts, the end.

use super::types::{Action, Id, Instance, Level, Millis, Outcome, Phase, Stage, State, Until};
use crate::plan::StopClock;

/// However late a ladder begins, at least this part of each gap between two of its steps is left...
const LEAST_PART: Millis = 4;

/// ... and at least so much, unless the gap is shorter: a signal that comes with the next one is none.
const LEAST_GAP: Millis = 700;

/// A main process that outlives KILL for so long is stuck in the kernel: what it needs is stopped without it.
const STUCK: Millis = 1_500;

impl State {
    pub(super) fn reconcile(&mut self, out: &mut Vec<Action>) {
        self.pass_deadlines(out);
        self.pass_health(out);
        self.look_for_space(out);
        match self.phase {
            Phase::Running => {
                self.announce(out);
                loop {
                    for index in 0..self.services.len() {
                        self.reconcile_service(index, out);
                    }
                    if !self.advance_reload(out) {
                        break;
                    }
                }
            }
            Phase::Stopping { exit, .. } => self.reconcile_stop(exit, out),
            Phase::Finished => {}
        }
        self.climb_ladders(out);
    }

    /// The next moment at which something is due without any event, if there is one.
    pub fn next_deadline(&self) -> Option<Millis> {
        let mut due: Vec<Millis> = self.look_at.into_iter().chain(self.health_deadline()).collect();
        due.extend(self.reload_deadline());
        for (index, service) in self.services.iter().enumerate() {
            // What is left of the last run may be in the way of one that is due: the end of that is an event.
            due.extend(service.retry_at.filter(|at| self.phase == Phase::Running && *at > self.now));
            due.extend(self.goes_without_at(index).filter(|at| *at > self.now));
            for instance in &service.instances {
                match instance.stage {
                    _ if instance.ladder.is_some() => {
                        due.extend(self.ladder_due(index, instance.generation));
                        due.extend(self.stuck_at(index, instance).filter(|at| *at > self.now));
                    }
                    Stage::Starting { deadline } => due.extend(deadline),
                    Stage::Draining { deadline } => due.push(deadline),
                    Stage::Ready | Stage::Sweeping => {}
                }
            }
        }
        due.into_iter().min()
    }

    fn pass_deadlines(&mut self, out: &mut Vec<Action>) {
        let mut late = Vec::new();
        for (index, service) in self.services.iter().enumerate() {
            for instance in service.instances.iter().filter(|instance| instance.ladder.is_none()) {
                let id = Id { service: index, generation: instance.generation };
                match instance.stage {
                    Stage::Starting { deadline: Some(deadline) } if deadline <= self.now => {
                        let seconds = (deadline - instance.started_at).div_ceil(1_000);
                        let why = instance.health.check.as_ref().map_or_else(String::new, |what| format!(": {what}"));
                        late.push((id, Some(format!("was not ready within {seconds} s{why}"))));
                    }
                    Stage::Draining { deadline } if deadline <= self.now => late.push((id, None)),
                    _ => {}
                }
            }
        }
        for (id, failure) in late {
            let what = failure.as_deref().unwrap_or("has not drained in time");
            out.push(Action::Log(
                Level::Warn,
                format!("{}: generation {} {what}", self.name(id.service), id.generation),
            ));
            self.begin_stop(id, failure);
        }
    }

    /// Once all that is essential has been ready: say so.
    fn announce(&mut self, out: &mut Vec<Action>) {
        let mut essential = self.plan.services.iter().zip(&self.services).filter(|(spec, _)| spec.essential);
        if !self.announced && essential.all(|(_, service)| service.satisfied) {
            self.announced = true;
            out.push(Action::Log(Level::Info, format!("ready in {} ms", self.now)));
        }
    }

    fn reconcile_service(&mut self, index: usize, out: &mut Vec<Action>) {
        let name = self.name(index);
        let missing = self.waits_for(index);
        let goes_without = self.goes_without_at(index).is_some_and(|at| at <= self.now);
        let Some(service) = self.services.get_mut(index) else { return };
        if service.down {
            let generations: Vec<u64> = service.instances.iter().map(|instance| instance.generation).collect();
            if generations.is_empty() {
                self.answer(index, out, |waiter| {
                    (waiter.until == Until::Gone).then(|| Ok(format!("{name} is stopped")))
                });
            }
            for generation in generations {
                self.begin_stop(Id { service: index, generation }, None);
            }
            return;
        }
        if !service.released && (missing.is_empty() || goes_without) {
            service.released = true;
            if !missing.is_empty() {
                let text = format!("{name}: is started without {}, which takes too long", missing.join(", "));
                out.push(Action::Log(Level::Warn, text));
            }
        }
        let released = service.released;
        let over = matches!(service.outcome, Some(Outcome::Done | Outcome::Failed(_)));
        let in_the_way = service.instances.iter().any(|instance| !instance.retired);
        let due = service.retry_at.is_none_or(|at| at <= self.now);
        // Whoever waited for the stop that a later start has overtaken: it was stopped.
        if !in_the_way {
            self.answer(index, out, |waiter| (waiter.until == Until::Gone).then(|| Ok(format!("{name} was stopped"))));
        }
        if released && !over && !in_the_way && due {
            self.launch(index, out);
        }
    }

    /// Those of `after` that have not been ready yet.
    pub(super) fn waits_for(&self, index: usize) -> Vec<String> {
        let after = self.plan.services.get(index).map_or(&[][..], |spec| &spec.after);
        let missing = after.iter().filter(|needed| !self.is_satisfied(**needed));
        missing.map(|needed| self.name(*needed)).collect()
    }

    fn is_satisfied(&self, index: usize) -> bool {
        self.services.get(index).is_some_and(|service| service.satisfied)
    }

    /// When a service that still waits is started without some of those it comes after, if it is.
    fn goes_without_at(&self, index: usize) -> Option<Millis> {
        let (spec, service) = (self.plan.services.get(index)?, self.services.get(index)?);
        let without = spec.start_without.as_ref()?;
        let mut needed = spec.after.iter().filter(|needed| !without.services.contains(needed));
        let waits = self.phase == Phase::Running && !service.released && !service.down;
        (waits && needed.all(|needed| self.is_satisfied(*needed))).then_some(without.after_ms)
    }

    /// Reverse order: a service is stopped once nothing that comes after it is left.
    fn reconcile_stop(&mut self, exit: u8, out: &mut Vec<Action>) {
        // Tasks work with the services, so they go first; that takes them two seconds at most.
        if self.tasks {
            return;
        }
        let mut stop = Vec::new();
        for (index, service) in self.services.iter().enumerate() {
            if self.dependents(index).all(|dependent| self.gone_with_dependents(dependent)) {
                stop.extend(
                    service.instances.iter().map(|instance| Id { service: index, generation: instance.generation }),
                );
            }
        }
        for id in stop {
            self.begin_stop(id, None);
        }
        if self.services.iter().all(|service| service.instances.is_empty()) {
            self.phase = Phase::Finished;
            out.push(Action::Finish(exit));
        }
    }

    /// Nothing runs of this service nor of those that come after it, directly or not: nothing that a signal ends.
    fn gone_with_dependents(&self, index: usize) -> bool {
        let is_stuck = |instance: &Instance| self.stuck_at(index, instance).is_some_and(|at| at <= self.now);
        self.services.get(index).is_none_or(|service| service.instances.iter().all(is_stuck))
            && self.dependents(index).all(|dependent| self.gone_with_dependents(dependent))
    }

    /// When it shows, during the ordered stop, that not even KILL ends a run.
    fn stuck_at(&self, index: usize, instance: &Instance) -> Option<Millis> {
        let spec = self.plan.services.get(index).filter(|_| matches!(self.phase, Phase::Stopping { .. }))?;
        let ladder = instance.ladder.as_ref().filter(|ladder| ladder.next >= spec.stop.len())?;
        Some(ladder.sent_at + STUCK)
    }

    /// Those that come right after a service.
    fn dependents(&self, index: usize) -> impl Iterator<Item = usize> {
        let specs = self.plan.services.iter().enumerate();
        specs.filter(move |(_, spec)| spec.after.contains(&index)).map(|(dependent, _)| dependent)
    }

    /// Sends the signals whose time has come.
    fn climb_ladders(&mut self, out: &mut Vec<Action>) {
        let mut generations: Vec<Id> = Vec::new();
        for (service, facts) in self.services.iter().enumerate() {
            generations.extend(facts.instances.iter().map(|instance| Id { service, generation: instance.generation }));
        }
        let now = self.now;
        for id in generations {
            while self.ladder_due(id.service, id.generation).is_some_and(|due| due <= self.now) {
                let Some(spec) = self.plan.services.get(id.service) else { break };
                let steps = spec.stop.clone();
                let Some(ladder) = self.instance(id).and_then(|instance| instance.ladder.as_mut()) else { break };
                if let Some(step) = steps.get(ladder.next) {
                    out.push(Action::Signal(id, step.signal));
                }
                ladder.next += 1;
                ladder.sent_at = now;
            }
        }
    }

    /// When the next rung of an instance's ladder is due.
    fn ladder_due(&self, index: usize, generation: u64) -> Option<Millis> {
        let spec = self.plan.services.get(index)?;
        let service = self.services.get(index)?;
        let instance = service.instances.iter().find(|instance| instance.generation == generation)?;
        let ladder = instance.ladder.as_ref()?;
        let step = spec.stop.get(ladder.next)?;
        let origin = match (self.phase, spec.stop_clock) {
            (Phase::Stopping { since, .. }, StopClock::Shutdown) => since,
            _ => ladder.began,
        };
        if ladder.hurried {
            return Some(ladder.began);
        }
        // The first signal goes out with the stop itself, whatever the clock.
        let Some(before) = ladder.next.checked_sub(1).and_then(|before| spec.stop.get(before)) else {
            return Some(ladder.began);
        };
        let gap = step.at_ms.saturating_sub(before.at_ms);
        let least = (gap / LEAST_PART).max(gap.min(LEAST_GAP));
        Some((origin + step.at_ms).max(ladder.sent_at + least).max(ladder.not_before))
    }
}
