//! The supervisor's mind: a pure machine `(state, event) -> (state, actions)`. It knows no clock, process or file;
//! time comes in with every event, in milliseconds since the supervisor began, and timers are read from
//! [`State::next_deadline`].
//!
//! An event first changes the facts of one service ([`mod@lifecycle`], [`mod@request`]); then the whole graph is
//! reconciled: what may start is started, what must stop is stopped ([`mod@reconcile`]). The same facts thus always
//! lead to the same actions, in whatever order the events came.

use std::sync::Arc;

mod backoff;
mod lifecycle;
mod reconcile;
mod reload;
mod request;
mod space;
mod status;
mod types;
mod watch;

pub use reload::{Reloaded, Taken};
pub use status::{Draining, ServiceStatus};
pub use types::{Action, Event, Exit, Id, Level, Millis, State, Verb};
pub use watch::{Change, Watch};

impl State {
    /// Takes one event in and says what is to be done.
    pub fn step(mut self, now: Millis, event: Event) -> (Self, Vec<Action>) {
        self.now = now;
        let mut out = Vec::new();
        match event {
            Event::Begin | Event::Tick => {}
            Event::Spawned { id, pid } => self.spawned(id, pid),
            Event::SpawnFailed { id, error } => self.spawn_failed(id, &error, &mut out),
            Event::Ready { id } => self.became_ready(id, &mut out),
            Event::Probed { id, fault } => self.probed(id, fault, &mut out),
            Event::Health { id, fault } => self.health_changed(id, fault, &mut out),
            Event::Exited { id, exit } => self.exited(id, exit, &mut out),
            Event::Swept { id } => self.swept(id),
            Event::Space { lack } => self.space_told(lack, &mut out),
            Event::Request { token, service, verb } => self.request(token, service, verb, &mut out),
            Event::Tasks { running } => self.tasks = running,
            Event::Shutdown { reason } => self.shut_down(0, &reason, &mut out),
            Event::Reload { token, plan } => self.reload(token, Arc::unwrap_or_clone(plan), &mut out),
        }
        self.reconcile(&mut out);
        (self, out)
    }
}

#[cfg(test)]
mod tests;
