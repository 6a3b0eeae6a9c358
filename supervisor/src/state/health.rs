//! Whether a run still lives: its own signs of life, what its check finds, and signals that stop it. Being unwell shows at
//! once; being replaced takes longer, and is not for PostgreSQL and Redis: they are slow for good reasons.
//!
//! ```text
//! silent, stopped, failing --(shows)--> --(its limit)--> condemned --(looked at)--> stop ladder, or KILL at once
//! ```

use std::borrow::Cow;

use nix::sys::signal::Signal;

use super::types::{Action, Id, Instance, Level, Millis, Phase, Stage, State};
use crate::plan::{Run, ServiceSpec};

/// A run that was stopped by a signal is replaced after so long, unless its watchdog finds it sooner.
pub(super) const STOPPED_LIMIT: Millis = 15_000;

/// Time to look at a condemned run before it is killed.
const LOOK_LIMIT: Millis = 1_000;

/// Woken this late, we were starved or frozen ourselves, and our services may have been too.
const STARVED: Millis = 1_000;

/// What is known about the life of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    /// What its check or probe last found wrong.
    pub(super) check: Option<String>,
    /// What an exec check printed when it failed last.
    pub(super) output: Option<String>,
    /// Failed checks in a row.
    pub(super) failures: u32,
    /// The last sign of life of a service with a watchdog.
    pub(super) heard_at: Option<Millis>,
    /// It has been silent for so long that it shows.
    pub(super) silent: bool,
    /// Stopped by this signal since then.
    pub(super) stopped: Option<(Signal, Millis)>,
    /// It has said that it stops.
    pub(super) leaving: bool,
    /// Stops by itself, unasked: by then it must have ended.
    pub(super) leave_by: Option<Millis>,
    /// To be replaced, once it has been looked at.
    pub(super) condemned: Option<Condemned>,
}

/// A run that hangs.
#[derive(Debug, Clone)]
pub(super) struct Condemned {
    /// For a person, after the service's name.
    pub(super) reason: String,
    /// Asking it to stop would only cost time.
    at_once: bool,
    /// It was only silent: a report clears it, for as long as nothing has been done to it.
    silent: bool,
    /// Looking at it must not take longer.
    until: Millis,
}

/// What is due about the life of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Its silence shows.
    Silence,
    /// It has been silent for too long.
    Silent,
    /// It has been stopped for too long.
    Stopped(Signal),
    /// It has not ended as it said it would.
    Lingers,
    /// It has been looked at for long enough.
    Looked,
}

impl Health {
    /// What is wrong, if anything is: the same words for as long as it is the same.
    pub(super) fn fault(&self) -> Option<Cow<'_, str>> {
        match (&self.condemned, self.stopped) {
            (Some(condemned), _) => Some(format!("{}; being replaced", condemned.reason).into()),
            (None, Some((signal, _))) => Some(format!("stopped by {signal}").into()),
            (None, None) if self.silent => Some("does not report".into()),
            (None, None) => self.check.as_deref().map(Cow::from),
        }
    }

    fn look_up(&mut self, now: Millis) {
        self.silent = false;
        self.heard_at = self.heard_at.map(|_| now);
    }
}

/// When something is due about the life of a run, and what.
fn due(spec: &ServiceSpec, instance: &Instance) -> Option<(Millis, Due)> {
    let health = &instance.health;
    if instance.ladder.is_some() || instance.stage == Stage::Sweeping {
        return None;
    }
    if let Some(condemned) = &health.condemned {
        return Some((condemned.until, Due::Looked));
    }
    let lingers = health.leave_by.map(|at| (at, Due::Lingers));
    let silence = |heard| match (health.silent, spec.liveness) {
        (false, _) => Some((heard + spec.silence_shows_ms(), Due::Silence)),
        (true, true) => Some((heard + spec.watchdog_ms, Due::Silent)),
        (true, false) => None,
    };
    let silent = health.heard_at.filter(|_| !health.leaving).and_then(silence);
    let stopped = health.stopped.filter(|_| spec.liveness && !spec.oneshot);
    let stopped = stopped.map(|(signal, since)| (since + STOPPED_LIMIT, Due::Stopped(signal)));
    [lingers, silent, stopped].into_iter().flatten().min_by_key(|(at, _)| *at)
}

impl State {
    /// The next moment at which something is due about the life of any run. While everything is being stopped nobody is
    /// replaced any more.
    pub(super) fn health_deadline(&self) -> Option<Millis> {
        if self.phase != Phase::Running {
            return None;
        }
        let pairs = self.plan.services.iter().zip(&self.services);
        pairs.flat_map(|(spec, service)| service.instances.iter().filter_map(|run| Some(due(spec, run)?.0))).min()
    }

    /// After a pause of our own everybody gets a fresh period: nobody could be heard meanwhile.
    pub(super) fn forgive_silence(&mut self, now: Millis) {
        if self.health_deadline().is_none_or(|at| now < at + STARVED) {
            return;
        }
        for instance in self.services.iter_mut().flat_map(|service| &mut service.instances) {
            instance.health.look_up(now);
            instance.health.stopped = instance.health.stopped.map(|(signal, _)| (signal, now));
        }
    }

    /// Does what is due.
    pub(super) fn pass_health(&mut self, out: &mut Vec<Action>) {
        if self.phase != Phase::Running {
            return;
        }
        let mut found = Vec::new();
        for (index, (spec, service)) in self.plan.services.iter().zip(&self.services).enumerate() {
            for instance in &service.instances {
                let id = Id { service: index, generation: instance.generation };
                found.extend(due(spec, instance).filter(|(at, _)| *at <= self.now).map(|(_, due)| (id, due)));
            }
        }
        for (id, due) in found {
            self.pass(id, due, out);
        }
    }

    fn pass(&mut self, id: Id, due: Due, out: &mut Vec<Action>) {
        let (now, name) = (self.now, self.name(id.service));
        let Some(spec) = self.plan.services.get(id.service) else { return };
        let (is_bundled, watchdog_s) = (spec.run == Run::Bundled, spec.watchdog_ms.div_ceil(1_000));
        let Some(instance) = self.instance(id) else { return };
        let health = &mut instance.health;
        match due {
            Due::Silence => {
                health.silent = true;
                if health.stopped.is_none() {
                    let seconds = health.heard_at.map_or(0, |heard| (now - heard) / 1_000);
                    let text = format!("{name}: not healthy: has not reported for {seconds} s");
                    out.push(Action::Log(Level::Warn, text));
                }
            }
            Due::Silent => {
                if let Some((signal, _)) = health.stopped {
                    // It wakes with the first signal, and may end in order.
                    return self.condemn(id, format!("was stopped by {signal}"), false, out);
                }
                self.condemn(id, format!("has not reported for {watchdog_s} s"), true, out);
                if let Some(condemned) = self.instance(id).and_then(|instance| instance.health.condemned.as_mut()) {
                    condemned.silent = true;
                }
            }
            Due::Stopped(signal) if is_bundled => {
                // To kill it would cost its clients everything; to wake it costs nothing.
                health.stopped = Some((signal, now));
                out.push(Action::Log(Level::Warn, format!("{name}: was stopped by {signal}; waking it")));
                out.push(Action::Signal(id, Signal::SIGCONT));
            }
            Due::Stopped(signal) => self.condemn(id, format!("was stopped by {signal}"), false, out),
            Due::Lingers => self.condemn(id, "has not ended although it said that it stops".to_owned(), false, out),
            Due::Looked => self.execute(id),
        }
    }

    /// It hangs: it is looked at, and then replaced.
    fn condemn(&mut self, id: Id, reason: String, at_once: bool, out: &mut Vec<Action>) {
        let (now, name) = (self.now, self.name(id.service));
        let Some(instance) = self.instance(id) else { return };
        if instance.ladder.is_some() || instance.health.condemned.is_some() {
            return;
        }
        instance.health.leave_by = None;
        out.push(Action::Log(Level::Error, format!("{name}: generation {} {reason}; replacing it", id.generation)));
        instance.health.condemned = Some(Condemned { reason, at_once, silent: false, until: now + LOOK_LIMIT });
        out.push(Action::Examine(id));
    }

    /// It has been looked at. If it has shown meanwhile that it lives, nothing comes of it.
    pub(super) fn execute(&mut self, id: Id) {
        let last = self.plan.services.get(id.service).map_or(0, |spec| spec.stop.len().saturating_sub(1));
        let Some(instance) = self.instance(id).filter(|instance| instance.ladder.is_none()) else { return };
        let Some(condemned) = instance.health.condemned.clone() else { return };
        self.begin_stop(id, Some(condemned.reason));
        if let Some(ladder) = self.instance(id).and_then(|instance| instance.ladder.as_mut())
            && condemned.at_once
        {
            ladder.hurry(last);
        }
    }

    /// A sign of life.
    pub(super) fn heard(&mut self, id: Id, out: &mut Vec<Action>) {
        let (now, name) = (self.now, self.name(id.service));
        let has_watchdog = self.plan.services.get(id.service).is_some_and(|spec| spec.watchdog_ms > 0);
        let Some(instance) = self.instance(id).filter(|_| has_watchdog) else { return };
        let was_silent = instance.health.silent && instance.health.condemned.is_none();
        let is_pardoned = instance.health.condemned.as_ref().is_some_and(|condemned| condemned.silent);
        if (was_silent || is_pardoned) && instance.ladder.is_none() {
            instance.health.condemned = None;
            out.push(Action::Log(Level::Info, format!("{name}: reports again")));
        }
        instance.health.silent = false;
        instance.health.heard_at = Some(now);
    }

    /// It says itself that it must be replaced.
    pub(super) fn gave_alarm(&mut self, id: Id, out: &mut Vec<Action>) {
        let is_watched = self.plan.services.get(id.service).is_some_and(|spec| spec.watchdog_ms > 0 && spec.liveness);
        if is_watched {
            self.condemn(id, "says that it hangs".to_owned(), true, out);
        }
    }

    /// It stops: as it was asked to, or by itself.
    pub(super) fn leaves(&mut self, id: Id, out: &mut Vec<Action>) {
        let (now, name) = (self.now, self.name(id.service));
        let Some(drain) = self.plan.services.get(id.service).map(|spec| spec.drain_ms) else { return };
        let Some(instance) = self.instance(id) else { return };
        let was_leaving = std::mem::replace(&mut instance.health.leaving, true);
        if instance.ladder.is_none() && instance.stage == Stage::Ready && !was_leaving {
            instance.health.leave_by = Some(now + drain);
            out.push(Action::Log(Level::Warn, format!("{name}: stops by itself (generation {})", id.generation)));
        }
    }

    /// It needs more time to start, to drain or to stop. An ordered stop of everything keeps its deadlines.
    pub(super) fn extend(&mut self, id: Id, by: Millis) {
        let until = self.now + by;
        let is_ending = self.phase != Phase::Running;
        let Some(instance) = self.instance(id) else { return };
        if let Some(ladder) = &mut instance.ladder {
            if !is_ending {
                ladder.not_before = ladder.not_before.max(until);
            }
            return;
        }
        match &mut instance.stage {
            Stage::Starting { deadline: Some(deadline) } | Stage::Draining { deadline } => {
                *deadline = until.max(*deadline);
            }
            _ => {}
        }
        instance.health.leave_by = instance.health.leave_by.map(|at| at.max(until));
    }

    /// A signal has stopped it, or it runs again.
    pub(super) fn stopped_or_woken(&mut self, id: Id, by: Option<Signal>, out: &mut Vec<Action>) {
        let (now, name) = (self.now, self.name(id.service));
        let Some(instance) = self.instance(id) else { return };
        let is_news = instance.ladder.is_none() && instance.health.stopped.map(|(signal, _)| signal) != by;
        instance.health.stopped = by.map(|signal| (signal, now));
        if by.is_none() {
            instance.health.look_up(now);
        }
        if is_news {
            out.push(match by {
                Some(signal) => Action::Log(Level::Warn, format!("{name}: not healthy: stopped by {signal}")),
                None => Action::Log(Level::Info, format!("{name}: runs again")),
            });
        }
    }

    /// What its check or probe has found.
    pub(super) fn checked(&mut self, id: Id, fault: Option<String>, output: String, out: &mut Vec<Action>) {
        let name = self.name(id.service);
        let Some(spec) = self.plan.services.get(id.service) else { return };
        let most = spec.check.as_ref().map_or(0, |check| check.failures);
        let most = if spec.liveness { most } else { 0 };
        let Some(instance) = self.instance(id) else { return };
        if instance.ladder.is_some() || instance.health.condemned.is_some() {
            return;
        }
        let health = &mut instance.health;
        match instance.stage {
            Stage::Ready => {}
            Stage::Starting { .. } => {
                health.check = fault;
                health.output = Some(output).filter(|output| !output.is_empty());
                return;
            }
            Stage::Draining { .. } | Stage::Sweeping => return,
        }
        let Some(what) = fault else {
            if health.check.is_some() {
                out.push(Action::Log(Level::Info, format!("{name}: healthy again")));
            }
            (health.check, health.output, health.failures) = (None, None, 0);
            return;
        };
        health.failures += 1;
        if health.check.as_ref() != Some(&what) {
            out.push(Action::Log(Level::Warn, format!("{name}: not healthy: {what}")));
            for line in output.lines().filter(|line| !line.trim().is_empty()) {
                out.push(Action::Log(Level::Warn, format!("{name}: its check: {line}")));
            }
        }
        health.output = Some(output).filter(|output| !output.is_empty());
        let failures = health.failures;
        health.check = Some(what.clone());
        if most > 0 && failures >= most {
            let times = if most == 1 { String::new() } else { format!(" {failures} times in a row") };
            self.condemn(id, format!("failed its check{times}: {what}"), false, out);
        }
    }
}
