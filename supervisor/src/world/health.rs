//! What the machine wants to know about runs that hang, and what is shown of the one that ended everything.

use std::io::Write;

use nix::unistd::Pid;

use super::World;
use crate::snapshot;
use crate::state::{Event, Id, Level};
use crate::supervisor::Message;

/// Last lines of a service that hangs, in the supervisor's log.
const LINES_OF_HUNG: usize = 5;

/// Last lines of the service that ended everything.
const LINES_OF_BLAMED: usize = 20;

impl World {
    /// The run whose main process this is.
    pub fn find_main(&self, pid: Pid) -> Option<Id> {
        self.runs.iter().find(|(_, run)| run.alive && run.trace.main == pid).map(|(id, _)| *id)
    }

    /// Writes down what a run is doing, in a thread of its own; the machine hears when that is done.
    pub(super) fn examine(&mut self, id: Id) {
        let name = self.name(id).to_owned();
        let Some(run) = self.runs.get(&id).filter(|run| run.alive) else {
            return self.pending.push_back(Event::Examined { id });
        };
        let (pid, log, messages) = (run.trace.main.as_raw(), self.log.clone(), self.messages.clone());
        drop(tokio::task::spawn_blocking(move || {
            for line in snapshot::take(pid) {
                log.say(Level::Warn, format!("{name}: process {pid}: {line}"));
            }
            for line in log.last(Some(&name), LINES_OF_HUNG) {
                log.say(Level::Warn, format!("{name}: said before: {line}"));
            }
            let _ = messages.send(Message::Event(Event::Examined { id }));
        }));
    }

    /// Shows the last lines of the service that ended everything on our standard error, after all else: whoever looks at
    /// the end of the container's log sees why.
    pub fn show_blame(&self) {
        let Some(service) = self.blamed.and_then(|index| self.plan.services.get(index)) else { return };
        let bytes = self.log.obituary(&service.name, LINES_OF_BLAMED);
        let _ = std::io::stderr().lock().write_all(&bytes);
    }
}
