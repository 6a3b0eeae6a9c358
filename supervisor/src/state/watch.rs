//! What has changed from one step to the next, as events for people: read off the facts, so that whatever leads to a
//! change it is told the same way, once.

use std::borrow::Cow;

use super::types::{Instance, Level, Millis, Outcome, Phase, Service, Stage, State};

/// One thing that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What kind of change, one word.
    pub kind: &'static str,
    /// Its weight.
    pub level: Level,
    /// Of which service; none when it is about the whole appliance.
    pub service: Option<String>,
    /// Of which of its generations.
    pub generation: Option<u64>,
    /// Its process id.
    pub pid: Option<i32>,
    /// For people.
    pub text: String,
}

/// What was seen last. Looking costs next to nothing while nothing changes.
#[derive(Debug, Default)]
pub struct Watch {
    services: Vec<Seen>,
    up: bool,
    stopping: bool,
    finished: bool,
    lack: Option<String>,
}

#[derive(Debug, Default)]
struct Seen {
    name: String,
    runs: Vec<SeenRun>,
    current: Option<u64>,
    retry_at: Option<Millis>,
    ended: Ended,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ended {
    #[default]
    No,
    Done,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenRun {
    generation: u64,
    pid: Option<i32>,
    at: At,
    fault: Option<String>,
    /// The next rung of the stop ladder.
    rung: Option<usize>,
    /// Stopped because it failed, not because somebody wanted it.
    failing: bool,
    retired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Starting,
    Ready,
    Draining,
    Sweeping,
}

impl Watch {
    /// Tells everything that has changed since the last look.
    pub fn look(&mut self, state: &State, mut tell: impl FnMut(Change)) {
        self.services.resize_with(state.services.len(), Seen::default);
        for (index, service) in state.services.iter().enumerate() {
            let Some(spec) = state.plan.services.get(index) else { continue };
            let Some(slot) = self.services.get(index) else { continue };
            if slot.name != spec.name {
                self.bring(index, &spec.name);
            }
            let Some(seen) = self.services.get_mut(index).filter(|seen| !seen.agrees(service)) else { continue };
            let teller = Teller { state, index, name: &spec.name, service };
            teller.compare(seen, &mut tell);
            seen.take(service);
        }
        self.look_at_all(state, &mut tell);
    }

    /// Puts what is known of a service where it is now: the plan may have changed.
    fn bring(&mut self, index: usize, name: &str) {
        if let Some(from) = self.services.iter().position(|seen| seen.name == name) {
            self.services.swap(from, index);
        } else {
            let displaced = self.services.get_mut(index).map(std::mem::take);
            self.services.extend(displaced.filter(|seen| !seen.name.is_empty()));
        }
        if let Some(seen) = self.services.get_mut(index) {
            name.clone_into(&mut seen.name);
        }
    }

    fn look_at_all(&mut self, state: &State, tell: &mut impl FnMut(Change)) {
        let mut say = |kind, level, text: String| {
            tell(Change { kind, level, service: None, generation: None, pid: None, text });
        };
        if state.lack != self.lack {
            match &state.lack {
                Some(lack) => say("disk-low", Level::Error, lack.clone()),
                None => say("disk-ok", Level::Info, "the data disk has room again".to_owned()),
            }
            self.lack.clone_from(&state.lack);
        }
        if state.announced && !self.up {
            self.up = true;
            say("up", Level::Info, format!("ready in {} ms", state.now));
        }
        match state.phase {
            Phase::Stopping { exit, .. } if !self.stopping => {
                self.stopping = true;
                let level = if exit == 0 { Level::Info } else { Level::Error };
                say("shutdown", level, format!("everything is being stopped (exit {exit})"));
            }
            Phase::Finished if !self.finished => {
                self.finished = true;
                say("stopped", Level::Info, "nothing runs any more".to_owned());
            }
            Phase::Running | Phase::Stopping { .. } | Phase::Finished => {}
        }
    }
}

impl Seen {
    fn agrees(&self, service: &Service) -> bool {
        self.current == service.current
            && self.retry_at == service.retry_at
            && self.ended == Ended::of(service)
            && self.runs.len() == service.instances.len()
            && self.runs.iter().zip(&service.instances).all(|(seen, run)| seen.agrees(run))
    }

    fn take(&mut self, service: &Service) {
        self.current = service.current;
        self.retry_at = service.retry_at;
        self.ended = Ended::of(service);
        self.runs = service.instances.iter().map(SeenRun::of).collect();
    }
}

impl Ended {
    fn of(service: &Service) -> Self {
        match service.outcome {
            None => Self::No,
            Some(Outcome::Done) => Self::Done,
            Some(Outcome::Failed(_)) => Self::Failed,
        }
    }
}

impl SeenRun {
    fn of(run: &Instance) -> Self {
        Self {
            generation: run.generation,
            pid: run.pid,
            at: At::of(run.stage),
            fault: run.health.fault().map(Cow::into_owned),
            rung: run.ladder.as_ref().map(|ladder| ladder.next),
            failing: run.ladder.as_ref().is_some_and(|ladder| ladder.failure.is_some()),
            retired: run.retired,
        }
    }

    fn agrees(&self, run: &Instance) -> bool {
        self.generation == run.generation
            && self.pid == run.pid
            && self.at == At::of(run.stage)
            && self.fault.as_deref() == run.health.fault().as_deref()
            && self.rung == run.ladder.as_ref().map(|ladder| ladder.next)
            && self.retired == run.retired
    }
}

impl At {
    fn of(stage: Stage) -> Self {
        match stage {
            Stage::Starting { .. } => Self::Starting,
            Stage::Ready => Self::Ready,
            Stage::Draining { .. } => Self::Draining,
            Stage::Sweeping => Self::Sweeping,
        }
    }
}

/// Tells about one service.
struct Teller<'a> {
    state: &'a State,
    index: usize,
    name: &'a str,
    service: &'a Service,
}

impl Teller<'_> {
    fn compare(&self, seen: &Seen, tell: &mut impl FnMut(Change)) {
        for run in &self.service.instances {
            let before = seen.runs.iter().find(|before| before.generation == run.generation);
            self.compare_run(before, run, tell);
        }
        if let (Some(old), Some(new)) = (seen.current, self.service.current)
            && old != new
            && self.service.instances.iter().any(|run| run.generation == old)
        {
            self.say(
                "replaced",
                Level::Info,
                Some(new),
                None,
                format!("serves in the place of generation {old}"),
                tell,
            );
        }
        if seen.retry_at != self.service.retry_at
            && let Some(at) = self.service.retry_at
        {
            let trouble = self.service.trouble.as_deref().unwrap_or("failed");
            let text = format!("{trouble}; next attempt in {} ms", at.saturating_sub(self.state.now));
            self.say("backoff", Level::Warn, None, None, text, tell);
        }
        match &self.service.outcome {
            Some(Outcome::Failed(reason)) if seen.ended != Ended::Failed => {
                self.say("failed", Level::Error, None, None, format!("given up: {reason}"), tell);
            }
            Some(Outcome::Done) if seen.ended != Ended::Done => {
                self.say("done", Level::Info, None, None, "done".to_owned(), tell);
            }
            _ => {}
        }
    }

    fn compare_run(&self, before: Option<&SeenRun>, run: &Instance, tell: &mut impl FnMut(Change)) {
        let mut say = |kind, level, pid: Option<i32>, text: String| {
            self.say(kind, level, Some(run.generation), pid, text, tell);
        };
        if before.is_none_or(|before| before.pid.is_none())
            && let Some(pid) = run.pid
        {
            say("starting", Level::Info, Some(pid), "started".to_owned());
        }
        let (was, now) = (before.map_or(At::Starting, |before| before.at), At::of(run.stage));
        if was == At::Starting && matches!(now, At::Ready | At::Draining) {
            let took = run.ready_at.unwrap_or(self.state.now).saturating_sub(run.started_at);
            say("ready", Level::Info, run.pid, format!("ready after {took} ms"));
        }
        let fault = before.and_then(|before| before.fault.as_deref());
        match (fault, run.health.fault().as_deref()) {
            (old, Some(what)) if old != Some(what) => say("unhealthy", Level::Warn, run.pid, what.to_owned()),
            (Some(_), None) if now != At::Sweeping => say("healthy", Level::Info, run.pid, "healthy again".to_owned()),
            _ => {}
        }
        if was != At::Draining && now == At::Draining {
            say("draining", Level::Info, run.pid, "finishes what it has begun".to_owned());
        }
        let rung = before.and_then(|before| before.rung);
        if let Some(ladder) = &run.ladder {
            if rung.is_none() {
                match &ladder.failure {
                    Some(failure) => say("stopping", Level::Warn, run.pid, format!("is being stopped: it {failure}")),
                    None => say("stopping", Level::Info, run.pid, "is being stopped".to_owned()),
                }
            }
            let steps = self.state.plan.services.get(self.index).map_or(&[][..], |spec| &spec.stop);
            let sent = steps.iter().take(ladder.next).skip(rung.unwrap_or(0));
            if sent.into_iter().any(|step| step.signal == nix::sys::signal::Signal::SIGKILL) {
                say("killed", Level::Warn, run.pid, "did not stop in time and is killed".to_owned());
            }
        }
        if was != At::Sweeping && now == At::Sweeping {
            let spec = self.state.plan.services.get(self.index);
            let is_done = spec.is_some_and(|spec| spec.oneshot) && self.service.last_exit == Some(super::Exit::Code(0));
            let wanted = self.service.down || self.state.phase != Phase::Running || run.retired || is_done;
            let wanted = wanted || before.is_some_and(|before| before.rung.is_some() && !before.failing);
            let exit = self.service.last_exit.map_or_else(|| "ended".to_owned(), |exit| format!("ended ({exit})"));
            let pid = before.and_then(|before| before.pid);
            say("exited", if wanted { Level::Info } else { Level::Warn }, pid, exit);
        }
    }

    fn say(
        &self,
        kind: &'static str,
        level: Level,
        generation: Option<u64>,
        pid: Option<i32>,
        text: String,
        tell: &mut impl FnMut(Change),
    ) {
        tell(Change { kind, level, service: Some(self.name.to_owned()), generation, pid, text });
    }
}
