//! What an operator asks of one service.

use crate::plan::Run;

use super::types::{Action, Asker, Id, Phase, Stage, State, Until, Verb, Waiter};

impl State {
    pub(super) fn request(&mut self, token: u64, index: usize, verb: Verb, out: &mut Vec<Action>) {
        let is_removed = self.plan.services.get(index).is_none_or(|spec| spec.removed);
        let refusal = match (self.phase, self.services.get(index).filter(|_| !is_removed)) {
            (_, None) => Some("there is no such service".to_owned()),
            (Phase::Running, Some(_)) if verb != Verb::Stop && self.is_settled(index) => Some(format!(
                "{} has done its work before the servers were started; it is repeated when the appliance is started again",
                self.name(index)
            )),
            (Phase::Running, Some(_)) => None,
            _ => Some("the appliance is stopping".to_owned()),
        };
        if let Some(reason) = refusal {
            return out.push(Action::Answer { token, result: Err(reason) });
        }
        let asker = Asker::Operator(token);
        match verb {
            Verb::Stop => self.ask_stop(asker, index, out),
            Verb::Start => self.ask_start(asker, index, out),
            Verb::Restart => self.ask_restart(asker, index, out),
        }
    }

    /// The preparation works on the files of the bundled servers: never again once one may run.
    fn is_settled(&self, index: usize) -> bool {
        let spec = self.plan.services.get(index);
        spec.is_some_and(|spec| spec.oneshot && spec.run == Run::Bundled)
            && self.services.get(index).is_some_and(|service| service.satisfied)
    }

    fn ask_stop(&mut self, asker: Asker, index: usize, out: &mut Vec<Action>) {
        let name = self.name(index);
        if self.plan.services.get(index).is_some_and(|spec| spec.listen) {
            out.push(Action::CloseListener);
        }
        self.answer(index, out, |waiter| match waiter.until {
            Until::ReadyAbove(_) => Some(Err(format!("{name} was stopped meanwhile"))),
            Until::Gone => None,
        });
        let Some(service) = self.services.get_mut(index) else { return };
        service.down = true;
        service.retry_at = None;
        service.trial = None;
        service.waiters.push(Waiter { asker, until: Until::Gone });
    }

    fn ask_start(&mut self, asker: Asker, index: usize, out: &mut Vec<Action>) {
        let name = self.name(index);
        let Some(service) = self.services.get_mut(index) else { return };
        service.down = false;
        let current = service.current().filter(|instance| instance.ladder.is_none());
        let coming = match current.map(|instance| instance.stage) {
            Some(Stage::Ready) => {
                return self.reply(asker, index, Ok(format!("{name} is already running")), out);
            }
            Some(Stage::Starting { .. }) => service.generation - 1,
            _ => {
                service.outcome = None;
                service.forgive();
                service.retry_at = None;
                service.generation
            }
        };
        service.waiters.push(Waiter { asker, until: Until::ReadyAbove(coming) });
    }

    pub(super) fn ask_restart(&mut self, asker: Asker, index: usize, out: &mut Vec<Action>) {
        let overlap = self.plan.services.get(index).is_some_and(|spec| spec.overlap);
        let Some(service) = self.services.get_mut(index) else { return };
        let current = service.current().filter(|instance| instance.ladder.is_none() && !service.down);
        let (generation, stage) = match current {
            Some(instance) if instance.stage != Stage::Sweeping => (instance.generation, instance.stage),
            _ => return self.ask_start(asker, index, out),
        };
        if let Some(candidate) = service.candidate {
            return service.waiters.push(Waiter { asker, until: Until::ReadyAbove(candidate - 1) });
        }
        service.waiters.push(Waiter { asker, until: Until::ReadyAbove(service.generation) });
        if overlap && stage == Stage::Ready {
            self.launch(index, out);
        } else {
            service.forgive();
            self.begin_stop(Id { service: index, generation }, None);
        }
    }
}
