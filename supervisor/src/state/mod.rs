//! The supervisor's mind: a pure machine `(state, event) -> (state, actions)`. It knows no clock, process or file;
//! time comes in with every event, in milliseconds since the supervisor began, and timers are read from
//! [`State::next_deadline`].
//!
//! An event first changes the facts of one service ([`mod@lifecycle`], [`mod@health`], [`mod@request`]); then the whole graph is
//! reconciled: what may start is started, what must stop is stopped ([`mod@reconcile`]). The same facts thus always
//! lead to the same actions, in whatever order the events came.

use std::sync::Arc;

mod backoff;
mod health;
mod lifecycle;
mod reconcile;
mod reload;
mod reloaded;
mod request;
mod space;
mod status;
mod types;
mod watch;

pub use reloaded::{Reloaded, Taken};
pub use status::{Draining, ServiceStatus};
pub use types::{Action, Event, Exit, Id, Level, Millis, State, Verb};
pub use watch::{Change, Watch};

impl State {
    /// Takes one event in and says what is to be done.
    pub fn step(mut self, now: Millis, event: Event) -> (Self, Vec<Action>) {
        self.forgive_silence(now);
        self.now = now;
        let mut out = Vec::new();
        match event {
            Event::Begin | Event::Tick => {}
            Event::Spawned { id, pid } => self.spawned(id, pid),
            Event::SpawnFailed { id, error } => self.spawn_failed(id, &error, &mut out),
            Event::Ready { id } => self.became_ready(id, &mut out),
            Event::Probed { id, fault } => self.probed(id, fault, &mut out),
            Event::Health { id, fault } => self.checked(id, fault, String::new(), &mut out),
            Event::Exited { id, exit } => self.exited(id, exit, &mut out),
            Event::Swept { id } => self.swept(id),
            Event::Space { lack } => self.space_told(lack, &mut out),
            Event::Request { token, service, verb } => self.request(token, service, verb, &mut out),
            Event::Tasks { running } => self.tasks = running,
            Event::Shutdown { reason } => self.shut_down(0, &reason, &mut out),
            Event::Reload { token, plan } => self.reload(token, Arc::unwrap_or_clone(plan), &mut out),
            Event::Alive { id } => self.heard(id, &mut out),
            Event::Alarm { id } => self.gave_alarm(id, &mut out),
            Event::Leaving { id } => self.leaves(id, &mut out),
            Event::Extend { id, by } => self.extend(id, by),
            Event::Stopped { id, by } => self.stopped_or_woken(id, by, &mut out),
            Event::Checked { id, fault, output } => self.checked(id, fault, output, &mut out),
            Event::Examined { id } => self.execute(id),
        }
        self.reconcile(&mut out);
        (self, out)
    }
}

#[cfg(test)]
mod tests;
