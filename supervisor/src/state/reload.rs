//! A new plan for a machine that runs: only what is different is touched, and what does not work under the new plan
//! goes on under the old one.
//!
//! ```text
//! services that come    start in their order; one that fails before it is ready is taken out again
//! services that change  after all they come after: a new generation, on trial until it is ready; the old one serves
//!                       meanwhile where generations overlap. If it fails, the former settings count again
//! services that go      last and in reverse order; one stays if what comes after it has kept its former settings
//! ```

use super::reloaded::{Reloaded, Taken};
use super::types::{Action, Asker, Id, Millis, Outcome, Phase, Service, State, Until, Waiter};
use crate::plan::{Difference, Fate, KeyChange, Plan, Run, ServiceChange, ServiceSpec};

/// A reload that is not over.
#[derive(Debug, Clone)]
pub(super) struct Reloading {
    token: u64,
    settings: Vec<KeyChange>,
    parts: Vec<Part>,
    /// A service listened before it.
    listened: bool,
}

/// One service's part in it.
#[derive(Debug, Clone)]
struct Part {
    service: usize,
    change: ServiceChange,
    turn: Turn,
    /// The settings to be tried.
    next: Option<Box<ServiceSpec>>,
    /// What it came after until now.
    former_after: Vec<usize>,
    /// When it was begun.
    began: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Turn {
    Waits,
    Begun,
    Over(Result<String, String>),
}

/// Of a service that does not run.
const LATER: &str = "counts from its next start on";

/// A start that may take for ever is waited for so long: meanwhile nobody can reload again.
const PATIENCE: Millis = 60_000;

/// A service whose settings have yet to prove themselves.
#[derive(Debug, Clone)]
pub(super) enum Trial {
    /// It is new.
    Added,
    /// Generations above `since` run under other settings than those before.
    Changed { former: Box<ServiceSpec>, outcome: Option<Outcome>, since: u64 },
}

impl Service {
    /// What follows if this generation fails, for it is to show that its settings are good.
    pub(super) fn trial_of(&self, generation: u64) -> Option<&'static str> {
        match &self.trial {
            Some(Trial::Added) => Some("it is taken out again"),
            Some(Trial::Changed { since, .. }) if generation > *since => Some("its former settings count again"),
            _ => None,
        }
    }
}

impl State {
    pub(super) fn reload(&mut self, token: u64, plan: Plan, out: &mut Vec<Action>) {
        let refusal = match (self.phase, &self.reloading) {
            (Phase::Running, None) => None,
            (Phase::Running, Some(_)) => Some("another reload is under way"),
            _ => Some("the appliance is stopping"),
        };
        if let Some(reason) = refusal {
            return out.push(Action::Reloaded { token, result: Err(reason.to_owned()) });
        }
        let difference = Difference::between(&self.plan, &plan);
        if difference.is_empty() {
            return out.push(Action::Reloaded { token, result: Ok(Reloaded::default()) });
        }
        let listened = self.listens();
        let mut plan = plan.numbered_like(&self.plan);
        self.services.resize_with(plan.services.len(), Default::default);
        let changes = difference.services.into_iter();
        let parts = changes.filter_map(|change| self.part(change, &mut plan)).collect();
        self.adopt(plan, out);
        self.reloading = Some(Reloading { token, settings: difference.settings, parts, listened });
    }

    /// The part of one service. In `plan` it keeps its settings until it is its turn, but for its place in the order.
    fn part(&mut self, change: ServiceChange, plan: &mut Plan) -> Option<Part> {
        let number = plan.find(&change.service)?;
        let former = self.plan.services.get(number);
        let former_after = former.map_or_else(Vec::new, |spec| spec.after.clone());
        let spec = plan.services.get_mut(number)?;
        let (mut turn, mut next) = (Turn::Waits, None);
        match change.fate {
            Fate::Added => {
                let service = self.services.get_mut(number)?;
                service.down = false;
                service.released = false;
                service.satisfied = false;
                service.outcome = None;
                service.trouble = None;
                service.retry_at = None;
                service.forgive();
                service.trial = Some(Trial::Added);
                service.waiters.push(Waiter { asker: Asker::Reload, until: Until::ReadyAbove(service.generation) });
                turn = Turn::Begun;
            }
            Fate::Restarted if self.services.get(number).is_none_or(|service| service.down || !service.released) => {
                turn = Turn::Over(Ok(LATER.to_owned()));
            }
            Fate::Restarted => {
                let kept = in_new_order(former?, spec);
                next = Some(Box::new(std::mem::replace(spec, kept)));
            }
            Fate::Adjusted => turn = Turn::Over(Ok("counts from now on".to_owned())),
            Fate::Removed => {}
        }
        Some(Part { service: number, change, turn, next, former_after, began: self.now })
    }

    /// Begins whatever it is time for. True if that was something, so that everything has to be looked at again.
    pub(super) fn advance_reload(&mut self, out: &mut Vec<Action>) -> bool {
        let Some(reloading) = &self.reloading else { return false };
        let undecided = reloading.parts.iter().enumerate();
        let mut undecided = undecided.filter(|(_, part)| !matches!(part.turn, Turn::Over(_)));
        let next = undecided.find_map(|(index, part)| Some((index, self.step_of(part)?)));
        let now = self.now;
        let Some((index, step)) = next else {
            if reloading.parts.iter().all(|part| matches!(part.turn, Turn::Over(_))) {
                self.end_reload(out);
            }
            return false;
        };
        let Some(part) = self.reloading.as_mut().and_then(|reloading| reloading.parts.get_mut(index)) else {
            return false;
        };
        let service = part.service;
        match step {
            Step::Over(result) => {
                part.turn = Turn::Over(result);
                self.forget_waiter(service, true);
            }
            Step::Leave(sentence) => {
                part.turn = Turn::Over(Ok(sentence));
                self.forget_waiter(service, false);
            }
            Step::TakeBack(reason) => {
                part.turn = Turn::Over(Err(reason));
                self.forget_waiter(service, true);
                self.take_out(service, out);
            }
            Step::Begin => {
                part.turn = Turn::Begun;
                part.began = now;
                match part.next.take() {
                    Some(spec) => self.begin_trial(service, *spec, out),
                    None => self.begin_removal(service, out),
                }
            }
        }
        true
    }

    /// What is to be done about a part, if anything.
    fn step_of(&self, part: &Part) -> Option<Step> {
        let reloading = self.reloading.as_ref()?;
        let service = self.services.get(part.service)?;
        let others = || reloading.parts.iter().filter(|other| other.service != part.service);
        let is_over = |other: &Part| matches!(other.turn, Turn::Over(_));
        let has_failed = |other: &Part, fate| other.change.fate == fate && matches!(other.turn, Turn::Over(Err(_)));
        if part.change.fate == Fate::Removed {
            if part.turn == Turn::Begun || others().any(|other| !is_over(other) && other.change.fate != Fate::Removed) {
                return None;
            }
            let mut needing = others().filter(|other| other.former_after.contains(&part.service));
            let keeper = needing.clone().find(|other| has_failed(other, Fate::Restarted));
            if let Some(keeper) = keeper {
                let text = format!("stays: {}, which comes after it, has its former settings", keeper.change.service);
                return Some(Step::Over(Err(text)));
            }
            if let Some(keeper) = needing.clone().find(|other| has_failed(other, Fate::Removed)) {
                let text = format!("stays: {}, which comes after it, stays", keeper.change.service);
                return Some(Step::Over(Err(text)));
            }
            return needing.all(is_over).then_some(Step::Begin);
        }
        let spec = part.next.as_deref().or_else(|| self.plan.services.get(part.service))?;
        let before = || others().filter(|other| self.comes_after(&spec.after, other.service));
        let failed = before()
            .find(|other| has_failed(other, Fate::Added))
            .map(|other| format!("{}, which it comes after, does not run", other.change.service));
        match (&part.turn, failed) {
            (Turn::Waits, Some(reason)) => Some(Step::Over(Err(format!("is left as it was: {reason}")))),
            (Turn::Begun, Some(reason)) if matches!(service.trial, Some(Trial::Added)) && !service.released => {
                Some(Step::TakeBack(format!("is not added: {reason}")))
            }
            (Turn::Waits, None) => {
                let is_free = before().all(is_over) && service.candidate.is_none();
                is_free.then_some(Step::Begin)
            }
            (Turn::Begun, _) if self.patience_ends_at(part).is_some_and(|at| at <= self.now) => {
                // One failure of a task may end everything: what was before stays ready for that.
                let consequence = service.trial_of(service.generation).filter(|_| spec.oneshot);
                Some(consequence.map_or_else(
                    || Step::Over(Ok("is still starting; counts from now on".to_owned())),
                    |consequence| Step::Leave(format!("is still running; if it fails, {consequence}")),
                ))
            }
            // For what this reload does not bring nobody waits.
            (Turn::Begun, None) if !service.released && !service.down => {
                let missing = self.waits_for(part.service);
                let is_coming = |name: &String| others().any(|other| !is_over(other) && other.change.service == *name);
                let is_stuck = !missing.is_empty() && !missing.iter().any(is_coming);
                is_stuck.then(|| Step::Over(Ok(format!("waits for {}", missing.join(", ")))))
            }
            _ => None,
        }
    }

    /// When a part is over although nobody can say yet whether it takes: where a start has no time limit of its own.
    fn patience_ends_at(&self, part: &Part) -> Option<Millis> {
        let (spec, service) = (self.plan.services.get(part.service)?, self.services.get(part.service)?);
        let waits = part.turn == Turn::Begun && part.change.fate != Fate::Removed && service.released && !service.down;
        let started = service.instances.last().map_or(0, |instance| instance.started_at);
        (waits && spec.ready_within_ms.is_none()).then(|| part.began.max(started) + PATIENCE)
    }

    /// The next moment at which a part is over without any event.
    pub(super) fn reload_deadline(&self) -> Option<Millis> {
        let parts = self.reloading.iter().flat_map(|reloading| &reloading.parts);
        parts.filter_map(|part| self.patience_ends_at(part)).filter(|at| *at > self.now).min()
    }

    /// Whether one of these is `service` or comes after it.
    fn comes_after(&self, after: &[usize], service: usize) -> bool {
        let deeper =
            |index: &usize| self.plan.services.get(*index).is_some_and(|spec| self.comes_after(&spec.after, service));
        after.contains(&service) || after.iter().any(deeper)
    }

    fn begin_trial(&mut self, index: usize, spec: ServiceSpec, out: &mut Vec<Action>) {
        let mut plan = (*self.plan).clone();
        let Some(former) = plan.services.get_mut(index).map(|place| std::mem::replace(place, spec)) else { return };
        self.adopt(plan, out);
        let is_prepared = former.oneshot && former.run == Run::Bundled;
        let Some(service) = self.services.get_mut(index) else { return };
        if service.down || !service.released || is_prepared {
            return self.note(index, &Ok(LATER.to_owned()));
        }
        let (outcome, since) = (service.outcome.clone(), service.generation);
        service.trial = Some(Trial::Changed { former: Box::new(former), outcome, since });
        self.ask_restart(Asker::Reload, index, out);
    }

    fn begin_removal(&mut self, index: usize, out: &mut Vec<Action>) {
        self.take_out(index, out);
        if let Some(service) = self.services.get_mut(index) {
            service.waiters.push(Waiter { asker: Asker::Reload, until: Until::Gone });
        }
    }

    /// Takes a service out of the plan; what runs of it is stopped.
    fn take_out(&mut self, index: usize, out: &mut Vec<Action>) {
        let name = self.name(index);
        self.answer(index, out, |waiter| match waiter.until {
            Until::ReadyAbove(_) => Some(Err(format!("{name} is not in the plan any more"))),
            Until::Gone => None,
        });
        let mut plan = (*self.plan).clone();
        let is_bound = |service: &Service| matches!(service.trial, Some(Trial::Added)) && !service.released;
        // Nobody waits for it any more; what came with it and waits for it goes with it.
        let free = plan.services.iter_mut().zip(&self.services).filter(|(_, service)| !is_bound(service));
        for (spec, _) in free {
            spec.after.retain(|needed| *needed != index);
            if let Some(without) = &mut spec.start_without {
                without.services.retain(|needed| *needed != index);
            }
        }
        if let Some(spec) = plan.services.get_mut(index) {
            spec.removed = true;
            spec.essential = false;
        }
        self.adopt(plan, out);
        let Some(service) = self.services.get_mut(index) else { return };
        service.down = true;
        service.trial = None;
        service.retry_at = None;
    }

    /// If the run that has failed was on trial, what was before counts again.
    pub(super) fn take_back(&mut self, id: Id, out: &mut Vec<Action>) {
        let Some(service) = self.services.get_mut(id.service).filter(|it| it.trial_of(id.generation).is_some()) else {
            return;
        };
        match service.trial.take() {
            Some(Trial::Changed { former, outcome, .. }) => {
                if service.current.is_none() {
                    service.outcome = outcome;
                    service.retry_at = None;
                    service.forgive();
                }
                let mut plan = (*self.plan).clone();
                if let Some(place) = plan.services.get_mut(id.service) {
                    *place = in_new_order(&former, place);
                }
                self.adopt(plan, out);
            }
            _ => self.take_out(id.service, out),
        }
    }

    fn adopt(&mut self, plan: Plan, out: &mut Vec<Action>) {
        for ((old, new), service) in self.plan.services.iter().zip(&plan.services).zip(&mut self.services) {
            if old.stop == new.stop {
                continue;
            }
            // Wherever it was on the former ladder: the last step has yet to come.
            for ladder in service.instances.iter_mut().filter_map(|instance| instance.ladder.as_mut()) {
                ladder.next = ladder.next.min(new.stop.len() - 1);
            }
        }
        self.plan = plan.into();
        out.push(Action::Adopt(self.plan.clone()));
    }

    /// A service's part is over.
    pub(super) fn note(&mut self, index: usize, result: &Result<String, String>) {
        let parts = self.reloading.iter_mut().flat_map(|reloading| &mut reloading.parts);
        for part in parts.filter(|part| part.service == index && !matches!(part.turn, Turn::Over(_))) {
            part.turn = Turn::Over(result.clone());
        }
    }

    /// Everything is being stopped.
    pub(super) fn break_off_reload(&mut self, out: &mut Vec<Action>) {
        let parts = self.reloading.iter_mut().flat_map(|reloading| &mut reloading.parts);
        for part in parts.filter(|part| !matches!(part.turn, Turn::Over(_))) {
            part.turn = Turn::Over(Err("the appliance is stopping".to_owned()));
        }
        self.end_reload(out);
    }

    fn end_reload(&mut self, out: &mut Vec<Action>) {
        let Some(reloading) = self.reloading.take() else { return };
        if reloading.listened && !self.listens() {
            out.push(Action::CloseListener);
        }
        let taken = |part: Part| {
            let (ok, message) = match part.turn {
                Turn::Over(Ok(message)) => (Some(true), Some(message)),
                Turn::Over(Err(message)) => (Some(false), Some(message)),
                Turn::Waits | Turn::Begun => (None, None),
            };
            Taken { change: part.change, ok, message }
        };
        let services = reloading.parts.into_iter().map(taken).collect();
        let result = Ok(Reloaded { settings: reloading.settings, services });
        out.push(Action::Reloaded { token: reloading.token, result });
    }

    fn forget_waiter(&mut self, index: usize, ends_trial: bool) {
        let Some(service) = self.services.get_mut(index) else { return };
        service.waiters.retain(|waiter| waiter.asker != Asker::Reload);
        if ends_trial {
            service.trial = None;
        }
    }

    fn listens(&self) -> bool {
        self.plan.services.iter().any(|spec| spec.listen && !spec.removed)
    }
}

/// What to do about one part.
enum Step {
    Begin,
    Over(Result<String, String>),
    /// It is over, and the trial goes on.
    Leave(String),
    TakeBack(String),
}

/// The former settings at the place the new plan has for the service: its order holds for all.
fn in_new_order(former: &ServiceSpec, new: &ServiceSpec) -> ServiceSpec {
    let (after, start_without) = (new.after.clone(), new.start_without.clone());
    ServiceSpec { after, start_without, rank: new.rank, removed: false, ..former.clone() }
}
