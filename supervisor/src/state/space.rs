//! Failures that are not the service's own: a full disk, a database elsewhere that is away. They are not counted, and
//! what failed for want of space is started again as soon as there is some.

use super::lifecycle::{Excuse, Failure};
use super::types::{Action, Exit, Id, Level, Millis, Phase, Service, State};

/// Between two looks for space, while a service waits for it.
const LOOK_EVERY: Millis = 1_000;

impl State {
    /// Whether the end of this run, now and like this, is a failure: nobody wants the service down.
    pub fn is_failure(&self, id: Id, exit: Exit) -> bool {
        let Some(service) = self.services.get(id.service) else { return false };
        let is_done = exit == Exit::Code(0) && self.plan.services.get(id.service).is_some_and(|spec| spec.oneshot);
        let instance = service.instances.iter().find(|instance| instance.generation == id.generation);
        self.phase == Phase::Running
            && !service.down
            && !is_done
            && instance.is_some_and(|instance| !instance.retired && instance.ladder.is_none())
    }

    /// Why a failure does not count as an attempt.
    pub(super) fn excuse(&self, id: Id, exit: Exit, was_late: bool) -> Option<Excuse> {
        let spec = self.plan.services.get(id.service)?;
        if let Exit::Code(code) = exit
            && spec.oneshot
            && spec.pass_exit.iter().any(|known| i32::from(*known) == code)
        {
            // A verdict, whatever the disk.
            return None;
        }
        if let Some(lack) = &self.lack {
            return Some(Excuse::Space(lack.clone()));
        }
        let is_asked_for = spec.retry.as_ref().is_some_and(
            |retry| matches!(exit, Exit::Code(code) if retry.exit.iter().any(|known| i32::from(*known) == code)),
        );
        ((was_late && spec.patient) || is_asked_for).then_some(Excuse::Circumstances)
    }

    /// Plans the next start after a failure that is not final.
    pub(super) fn try_again(&mut self, index: usize, failure: &Failure, delay: Millis, out: &mut Vec<Action>) {
        let (now, name) = (self.now, self.name(index));
        let Some(service) = self.services.get_mut(index) else { return };
        let reason = &failure.reason;
        service.retry_at = Some(now + delay);
        let is_news = service.trouble.as_ref() != Some(reason);
        service.trouble = Some(reason.clone());
        let when = if delay == 0 { "at once".to_owned() } else { format!("in {delay} ms") };
        let text = match &failure.excuse {
            Some(Excuse::Space(lack)) => {
                service.trouble = Some(format!("{reason}; {lack}"));
                self.look_at = self.look_at.or(Some(now + LOOK_EVERY));
                // Once: what it says itself, each time it tries, is in its own log.
                if std::mem::replace(&mut service.wants_space, true) {
                    return;
                }
                format!("{name}: {reason}; {lack}: starting again {when}, and as soon as there is more")
            }
            // What goes on for hours is said once; the task itself says why, each time.
            Some(Excuse::Circumstances) if !is_news => return,
            Some(Excuse::Circumstances) => {
                format!("{name}: {reason}; starting again {when}, and for as long as it takes")
            }
            None => format!("{name}: {reason}; starting again {when}"),
        };
        out.push(Action::Log(Level::Warn, text));
    }

    /// With room again, whoever waited for it starts at once.
    pub(super) fn space_told(&mut self, lack: Option<String>, out: &mut Vec<Action>) {
        self.lack = lack;
        if self.lack.is_some() {
            return;
        }
        let mut waited = Vec::new();
        for (spec, service) in self.plan.services.iter().zip(&mut self.services) {
            if std::mem::take(&mut service.wants_space) {
                waited.push(spec.name.as_str());
                service.forgive();
                service.retry_at = service.retry_at.map(|_| self.now);
            }
        }
        if !waited.is_empty() {
            let text = format!("the data disk has room again for {}", waited.join(", "));
            out.push(Action::Log(Level::Info, text));
        }
    }

    /// Asks for a look at the disk when it is time, for as long as a service waits for space.
    pub(super) fn look_for_space(&mut self, out: &mut Vec<Action>) {
        let waits = |service: &Service| service.wants_space && !service.down && service.outcome.is_none();
        let is_wanted = self.phase == Phase::Running && self.services.iter().any(waits);
        if !is_wanted {
            self.look_at = None;
        } else if self.look_at.is_none_or(|at| at <= self.now) {
            self.look_at = Some(self.now + LOOK_EVERY);
            out.push(Action::LookForSpace);
        }
    }
}
