//! How full the data disk is, as far as the machine has to know.

use super::World;
use crate::disk::Room;
use crate::plan::Run;
use crate::state::{Event, Id, Level};

impl World {
    /// What the data disk lacks now that a run has failed. For a server that is to keep its data, the ballast is given up.
    pub fn lack_at_failure(&mut self, id: Id) -> Event {
        let is_bundled = self.plan.services.get(id.service).is_some_and(|service| service.run == Run::Bundled);
        if is_bundled
            && self.lack().is_some()
            && let Some(text) = self.ballast.give_up()
        {
            self.say(Level::Warn, text);
        }
        Event::Space { lack: self.lack() }
    }

    pub(super) fn lack(&self) -> Option<String> {
        Room::of(&self.launcher.context().data.dir)?.lack()
    }

    /// Keeps some of the disk in reserve from now on.
    pub fn keep_ballast(&mut self) {
        self.ballast.begin();
    }
}
