//! What happens to one run of a service: started, ready, ended, swept.

use super::health::Health;
use super::types::{
    Action, Asker, Exit, Id, Instance, Ladder, Level, Millis, Outcome, Phase, Stage, State, Until, Waiter,
};
use crate::error::exit;
use nix::sys::signal::Signal;

/// How a run failed.
pub(super) struct Failure {
    /// For a person, after the service's name.
    pub(super) reason: String,
    pub(super) exit: Option<Exit>,
    /// It had been well for long enough before.
    pub(super) recovered: bool,
    /// Why this does not count as an attempt.
    pub(super) excuse: Option<Excuse>,
    /// It was not ready in time, or not well; else it ended by itself.
    pub(super) unwell: bool,
}

/// Why a failure says nothing about the service itself.
pub(super) enum Excuse {
    /// The data disk is full: what is lacking.
    Space(String),
    /// The task says that another time may be better, or what the service waits for may be elsewhere.
    Circumstances,
}

impl State {
    /// Begins a new generation of a service.
    pub(super) fn launch(&mut self, index: usize, out: &mut Vec<Action>) {
        let now = self.now;
        let Some(spec) = self.plan.services.get(index) else { return };
        let deadline = spec.ready_within_ms.map(|within| now + within);
        let Some(service) = self.services.get_mut(index) else { return };
        service.generation += 1;
        if service.generation > 1 {
            service.restarts += 1;
        }
        service.retry_at = None;
        let generation = service.generation;
        service.instances.push(Instance {
            generation,
            pid: None,
            started_at: now,
            ready_at: None,
            stage: Stage::Starting { deadline },
            retired: false,
            ladder: None,
            health: Health::default(),
        });
        match service.current {
            None => service.current = Some(generation),
            Some(_) => service.candidate = Some(generation),
        }
        out.push(Action::Spawn(Id { service: index, generation }));
    }

    pub(super) fn spawned(&mut self, id: Id, pid: i32) {
        if let Some(instance) = self.instance(id) {
            instance.pid = Some(pid);
        }
    }

    pub(super) fn spawn_failed(&mut self, id: Id, error: &str, out: &mut Vec<Action>) {
        let Some(instance) = self.instance(id) else { return };
        let expected = instance.retired || instance.ladder.is_some();
        if !expected {
            let excuse = self.lack.clone().map(Excuse::Space);
            let reason = format!("cannot be started: {error}");
            self.failed(id, &Failure { reason, exit: None, recovered: false, excuse, unwell: false }, out);
        }
        self.swept(id);
    }

    pub(super) fn became_ready(&mut self, id: Id, out: &mut Vec<Action>) {
        let now = self.now;
        let Some(spec) = self.plan.services.get(id.service).cloned() else { return };
        let Some(instance) = self.instance(id) else { return };
        if !matches!(instance.stage, Stage::Starting { .. }) || instance.ladder.is_some() || spec.oneshot {
            return;
        }
        instance.stage = Stage::Ready;
        instance.ready_at = Some(now);
        instance.health.heard_at = (spec.watchdog_ms > 0).then_some(now);
        (instance.health.leaving, instance.health.check, instance.health.output) = (false, None, None);
        let took = now - instance.started_at;
        out.push(Action::Log(Level::Info, format!("{}: ready in {took} ms (generation {})", spec.name, id.generation)));
        let Some(service) = self.services.get_mut(id.service) else { return };
        service.satisfied = true;
        service.trial = None;
        service.trouble = None;
        service.wants_space = false;
        if service.candidate == Some(id.generation) {
            let old = service.current.replace(id.generation);
            service.candidate = None;
            service.forgive();
            if let Some(old) = old.and_then(|old| service.instance(old)) {
                old.retired = true;
                if old.ladder.is_none() && old.stage != Stage::Sweeping {
                    old.stage = Stage::Draining { deadline: now + spec.drain_ms };
                    out.push(Action::Signal(Id { service: id.service, generation: old.generation }, Signal::SIGUSR2));
                }
            }
        }
        let sentence = format!("{} is ready (generation {}, {took} ms)", spec.name, id.generation);
        self.answer(id.service, out, |waiter| match waiter.until {
            Until::ReadyAbove(generation) if id.generation > generation => Some(Ok(sentence.clone())),
            _ => None,
        });
    }

    /// A generation that is to replace another must be well. Without another, one that is not is better than none.
    pub(super) fn probed(&mut self, id: Id, fault: Option<String>, out: &mut Vec<Action>) {
        let name = self.name(id.service);
        let is_candidate =
            self.services.get(id.service).is_some_and(|service| service.candidate == Some(id.generation));
        match fault {
            Some(what) if is_candidate => self.begin_stop(id, Some(format!("failed its probe: {what}"))),
            fault => {
                if let Some(what) = fault.filter(|_| self.instance(id).is_some()) {
                    out.push(Action::Log(Level::Warn, format!("{name}: ready, but {what}")));
                }
                self.became_ready(id, out);
            }
        }
    }

    pub(super) fn exited(&mut self, id: Id, exit: Exit, out: &mut Vec<Action>) {
        let going_down = self.phase != Phase::Running;
        let now = self.now;
        let name = self.name(id.service);
        let oneshot = self.plan.services.get(id.service).is_some_and(|spec| spec.oneshot);
        let Some(service) = self.services.get_mut(id.service) else { return };
        let down = service.down || going_down;
        service.last_exit = Some(exit);
        let Some(instance) = service.instance(id.generation) else { return };
        let was_ready = instance.ready_at;
        let took = now - instance.started_at;
        let ladder = instance.ladder.take();
        let health = std::mem::take(&mut instance.health);
        let draining = instance.retired;
        instance.stage = Stage::Sweeping;
        instance.pid = None;
        out.push(Action::Sweep(id));
        let hung = health.condemned.map(|condemned| condemned.reason).filter(|_| ladder.is_none());
        let unwell = hung.or_else(|| ladder.as_ref()?.failure.clone());
        let was_late = unwell.is_some() && was_ready.is_none();
        if oneshot && exit == Exit::Code(0) && !down {
            self.task_done(id, took, out);
        } else if draining || down || (ladder.is_some() && unwell.is_none()) {
            let how = if draining { "generation drained" } else { "stopped" };
            let level = if exit == Exit::Code(0) { Level::Info } else { Level::Warn };
            let level =
                if matches!(exit, Exit::Signal(Signal::SIGTERM | Signal::SIGINT)) { Level::Info } else { level };
            out.push(Action::Log(level, format!("{name}: {how} ({exit}, generation {})", id.generation)));
        } else {
            let is_unwell = unwell.is_some();
            let reason = unwell.unwrap_or_else(|| match (oneshot, was_ready) {
                (true, _) => format!("failed ({exit})"),
                (false, None) => format!("ended before it was ready ({exit})"),
                (false, Some(_)) if health.leaving => format!("has stopped by itself ({exit})"),
                (false, Some(_)) => format!("ended unexpectedly ({exit})"),
            });
            let healthy = self.plan.services.get(id.service).map_or(0, |spec| spec.backoff.healthy_ms);
            let recovered = was_ready.is_some_and(|since| now - since >= healthy);
            let excuse = self.excuse(id, exit, was_late);
            let failure = Failure { reason, exit: Some(exit), recovered, excuse, unwell: is_unwell };
            self.failed(id, &failure, out);
        }
    }

    fn task_done(&mut self, id: Id, took: Millis, out: &mut Vec<Action>) {
        let name = self.name(id.service);
        out.push(Action::Log(Level::Info, format!("{name}: done in {took} ms")));
        let Some(service) = self.services.get_mut(id.service) else { return };
        service.satisfied = true;
        service.trial = None;
        service.trouble = None;
        service.wants_space = false;
        service.outcome = Some(Outcome::Done);
        self.answer(id.service, out, |_| Some(Ok(format!("{name} is done ({took} ms)"))));
    }

    /// A run has failed by itself: try again, keep the old generation, give up, or stop everything.
    fn failed(&mut self, id: Id, failure: &Failure, out: &mut Vec<Action>) {
        let Some(spec) = self.plan.services.get(id.service).cloned() else { return };
        let (name, reason) = (&spec.name, failure.reason.as_str());
        let Some(service) = self.services.get_mut(id.service) else { return };
        let by_hand = service.satisfied;
        if service.candidate == Some(id.generation) {
            service.candidate = None;
            let kept = service.current.map_or_else(String::new, |old| format!("; generation {old} stays"));
            out.push(Action::Log(Level::Error, format!("{name}: the new generation {reason}{kept}")));
            self.refuse(id, &format!("{name}: the new generation {reason}{kept}"), out);
            return self.take_back(id, out);
        }
        // Whoever came up beside it takes its place.
        if service.current == Some(id.generation) {
            service.current = service.candidate.take();
        }
        let replaced = service.current.is_some();
        if !replaced && let Some(consequence) = service.trial_of(id.generation) {
            out.push(Action::Log(Level::Error, format!("{name}: {reason}; {consequence}")));
            self.refuse(id, &format!("{name} {reason}; {consequence}"), out);
            return self.take_back(id, out);
        }
        if failure.recovered {
            service.forgive();
        }
        service.failures += 1;
        service.excused += u32::from(failure.excuse.is_some());
        let failures = service.failures;
        let attempts = failures - service.excused;
        self.refuse(id, &format!("{name} {reason}"), out);
        let is_final = match (spec.oneshot, &failure.excuse) {
            (true, excuse) => excuse.is_none() || by_hand,
            (false, _) => attempts >= spec.backoff.attempts,
        };
        if replaced {
            out.push(Action::Log(Level::Warn, format!("{name}: {reason}; the new generation is already starting")));
        } else if is_final {
            let given_up =
                if spec.oneshot { String::new() } else { format!("; given up after {attempts} failures in a row") };
            out.push(Action::Log(Level::Error, format!("{name}: {reason}{given_up}")));
            self.give_up(id.service, failure, spec.oneshot && by_hand, out);
        } else {
            let delay = self.delay(spec.backoff, failures);
            self.try_again(id.service, failure, delay, out);
        }
    }

    /// `harmless`: a task repeated by hand, whose failure changes nothing for the others.
    fn give_up(&mut self, index: usize, failure: &Failure, harmless: bool, out: &mut Vec<Action>) {
        let reason = &failure.reason;
        let Some(spec) = self.plan.services.get(index).cloned() else { return };
        if let Some(service) = self.services.get_mut(index) {
            service.outcome = Some(Outcome::Failed(reason.clone()));
        }
        if spec.listen {
            out.push(Action::CloseListener);
        }
        if spec.essential && !harmless {
            let own = match failure.exit {
                Some(Exit::Code(code)) => u8::try_from(code).ok().filter(|code| spec.pass_exit.contains(code)),
                _ => None,
            };
            let general = if failure.unwell { exit::HEALTH } else { exit::SERVICE };
            out.push(Action::Blame(index));
            let code = own.or(spec.fail_exit).unwrap_or(general);
            self.shut_down(code, &format!("{} {reason}", spec.name), out);
        }
    }

    /// Nothing of this run is left.
    pub(super) fn swept(&mut self, id: Id) {
        let Some(service) = self.services.get_mut(id.service) else { return };
        service.instances.retain(|instance| instance.generation != id.generation);
        if service.current == Some(id.generation) {
            service.current = None;
        }
        if service.candidate == Some(id.generation) {
            service.candidate = None;
        }
    }

    pub(super) fn shut_down(&mut self, exit: u8, reason: &str, out: &mut Vec<Action>) {
        if self.phase != Phase::Running {
            return out.push(Action::Log(Level::Info, format!("{reason}: already stopping")));
        }
        self.phase = Phase::Stopping { since: self.now, exit };
        out.push(Action::Log(
            if exit == 0 { Level::Info } else { Level::Error },
            format!("stopping everything: {reason}"),
        ));
        if self.plan.services.iter().any(|spec| spec.listen) {
            out.push(Action::CloseListener);
        }
        out.push(Action::EndTasks);
        for index in 0..self.services.len() {
            self.answer(index, out, |_| Some(Err("the appliance is stopping".to_owned())));
        }
        self.break_off_reload(out);
    }

    /// Climbs onto the stop ladder, unless already there.
    pub(super) fn begin_stop(&mut self, id: Id, failure: Option<String>) {
        let now = self.now;
        let Some(instance) = self.instance(id) else { return };
        if instance.ladder.is_none() && instance.stage != Stage::Sweeping {
            instance.ladder = Some(Ladder::new(now, failure));
        }
    }

    pub(super) fn instance(&mut self, id: Id) -> Option<&mut Instance> {
        self.services.get_mut(id.service)?.instance(id.generation)
    }

    pub(super) fn name(&self, index: usize) -> String {
        self.plan.services.get(index).map_or_else(String::new, |spec| spec.name.clone())
    }

    /// Tells those who wait for this run, or one before it, that it has failed.
    fn refuse(&mut self, id: Id, reason: &str, out: &mut Vec<Action>) {
        self.answer(id.service, out, |waiter| match waiter.until {
            Until::ReadyAbove(generation) if id.generation > generation => Some(Err(reason.to_owned())),
            _ => None,
        });
    }

    /// Answers the waiters for which `result` has one.
    pub(super) fn answer(
        &mut self,
        index: usize,
        out: &mut Vec<Action>,
        result: impl Fn(&Waiter) -> Option<Result<String, String>>,
    ) {
        let Some(service) = self.services.get_mut(index) else { return };
        for waiter in std::mem::take(&mut service.waiters) {
            match result(&waiter) {
                Some(result) => self.reply(waiter.asker, index, result, out),
                None => self.services.get_mut(index).into_iter().for_each(|service| service.waiters.push(waiter)),
            }
        }
    }

    /// Tells whoever asked.
    pub(super) fn reply(&mut self, asker: Asker, index: usize, result: Result<String, String>, out: &mut Vec<Action>) {
        match asker {
            Asker::Operator(token) => out.push(Action::Answer { token, result }),
            Asker::Reload => self.note(index, &result),
        }
    }
}
