//! Going over to another plan.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::World;
use crate::plan::Plan;
use crate::state::Reloaded;
use crate::task::Refusal;

impl World {
    /// Whether a reload may begin: not beside a task that counts on the services as they are.
    ///
    /// # Errors
    /// One sentence saying why not.
    pub fn may_reload(&self) -> Result<(), Refusal> {
        if self.is_reloading() {
            return Err(Refusal::Busy("Busy: another reload is under way.".to_owned()));
        }
        self.tasks.exclusive().map_or(Ok(()), |sentence| Err(Refusal::Busy(sentence)))
    }

    /// Whether one is under way.
    pub(super) fn is_reloading(&self) -> bool {
        !self.reloads.is_empty()
    }

    /// Keeps the line of whoever wants a reload open; the token names it.
    pub fn expect_reloaded(&mut self, reply: oneshot::Sender<Result<Reloaded, Refusal>>) -> u64 {
        self.last_token += 1;
        self.reloads.insert(self.last_token, reply);
        self.last_token
    }

    pub(super) fn reloaded(&mut self, token: u64, result: Result<Reloaded, String>) {
        if let Some(reply) = self.reloads.remove(&token) {
            let _ = reply.send(result.map_err(|reason| Refusal::Failed(format!("Not reloaded: {reason}."))));
        }
    }

    /// From now on this plan counts.
    pub(super) fn adopt(&mut self, plan: Arc<Plan>) {
        if plan.log != self.plan.log {
            self.log.set_rules(plan.log);
        }
        if plan.schedules != self.plan.schedules
            && let Some(timetable) = &self.timetable
        {
            timetable.replace(plan.schedules.clone());
        }
        let former = std::mem::replace(&mut self.plan, Arc::clone(&plan));
        let specs = former.services.iter().zip(&plan.services).enumerate();
        let changed = specs.filter(|(_, (old, new))| old.probe_every_ms != new.probe_every_ms);
        let changed: Vec<usize> = changed.map(|(index, _)| index).collect();
        let runs = self.runs.iter().filter(|(id, run)| run.alive && changed.contains(&id.service));
        for id in runs.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.watch_over(id);
        }
        self.plans.send_replace(plan);
    }
}
