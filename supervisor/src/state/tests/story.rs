//! How a test tells the machine a story.

use std::sync::Arc;

use nix::sys::signal::Signal;

use crate::plan;
use crate::state::*;

/// One database, one task, one server in front: the shape of the real graph.
pub(super) const PLAN: &str = r#"
[service.db]
kind = "exec"
command = ["db"]
ready_within_s = 0
stop = ["INT", "QUIT@8.5", "KILL@9"]
stop_clock = "shutdown"
[service.task]
kind = "exec"
command = ["task"]
oneshot = true
after = ["db"]
fail_exit = 12
pass_exit = [13]
[service.web]
kind = "exec"
command = ["web"]
ready = "notify"
ready_within_s = 10
restart = "overlap"
drain_s = 30
listen = true
after = ["task"]
backoff = { base_s = 1, max_s = 4, healthy_s = 30, attempts = 4 }
"#;

pub(super) struct Story {
    pub(super) state: Option<State>,
    pub(super) now: Millis,
}

impl Story {
    pub(super) fn new(text: &str) -> Self {
        let state = State::new(Arc::new(plan::parse(text).unwrap()), 7);
        Self { state: Some(state), now: 0 }
    }

    /// A story in which all of `PLAN` is up.
    pub(super) fn up() -> Self {
        let mut story = Self::new(PLAN);
        story.tell("begin");
        for line in ["spawned db.1", "ready db.1", "exited task.1 0", "swept task.1", "spawned web.1", "ready web.1"] {
            story.tell(line);
        }
        story
    }

    fn id(&self, word: &str) -> Id {
        let (name, generation) = word.split_once('.').unwrap();
        // What has been taken out may be running still.
        let mut services = self.state.as_ref().unwrap().plan().services.iter();
        let service = services.position(|spec| spec.name == name).unwrap();
        Id { service, generation: generation.parse().unwrap() }
    }

    fn event(&self, line: &str) -> Event {
        let words: Vec<&str> = line.split(' ').collect();
        let service = |name: &str| self.state.as_ref().unwrap().plan().find(name).unwrap();
        match words[..] {
            ["begin"] => Event::Begin,
            ["tick"] => Event::Tick,
            ["full"] => Event::Space { lack: Some("the data disk has 3 MB free".into()) },
            ["room"] => Event::Space { lack: None },
            ["tasks", running] => Event::Tasks { running: running == "run" },
            ["term"] => Event::Shutdown { reason: "SIGTERM".into() },
            ["spawned", id] => Event::Spawned { id: self.id(id), pid: 100 },
            ["unspawnable", id] => Event::SpawnFailed { id: self.id(id), error: "exec: no".into() },
            ["ready", id] => Event::Ready { id: self.id(id) },
            ["probed", id] => Event::Probed { id: self.id(id), fault: None },
            ["unfit", id] => Event::Probed { id: self.id(id), fault: Some("it answers 503".into()) },
            ["sick", id] => Event::Health { id: self.id(id), fault: Some("refused".into()) },
            ["well", id] => Event::Health { id: self.id(id), fault: None },
            ["alive", id] => Event::Alive { id: self.id(id) },
            ["alarm", id] => Event::Alarm { id: self.id(id) },
            ["leaving", id] => Event::Leaving { id: self.id(id) },
            ["extend", id, by] => Event::Extend { id: self.id(id), by: by.parse().unwrap() },
            ["halted", id] => Event::Stopped { id: self.id(id), by: Some(Signal::SIGSTOP) },
            ["woken", id] => Event::Stopped { id: self.id(id), by: None },
            ["failing", id] => {
                Event::Checked { id: self.id(id), fault: Some("it answers 500".into()), output: String::new() }
            }
            ["passing", id] => Event::Checked { id: self.id(id), fault: None, output: String::new() },
            ["examined", id] => Event::Examined { id: self.id(id) },
            ["swept", id] => Event::Swept { id: self.id(id) },
            ["exited", id, "KILL"] => Event::Exited { id: self.id(id), exit: Exit::Signal(Signal::SIGKILL) },
            ["exited", id, code] => Event::Exited { id: self.id(id), exit: Exit::Code(code.parse().unwrap()) },
            ["start", name] => Event::Request { token: 1, service: service(name), verb: Verb::Start },
            ["stop", name] => Event::Request { token: 2, service: service(name), verb: Verb::Stop },
            ["restart", name] => Event::Request { token: 3, service: service(name), verb: Verb::Restart },
            _ => panic!("{line}"),
        }
    }

    /// Tells one event and returns the actions but for the log.
    pub(super) fn tell(&mut self, line: &str) -> Vec<String> {
        self.happens(self.event(line))
    }

    /// Another plan comes.
    pub(super) fn reload(&mut self, text: &str) -> Vec<String> {
        self.happens(Event::Reload { token: 9, plan: Arc::new(plan::parse(text).unwrap()) })
    }

    fn happens(&mut self, event: Event) -> Vec<String> {
        let (state, actions) = self.state.take().unwrap().step(self.now, event);
        let name = |id: &Id| format!("{}.{}", state.plan().services[id.service].name, id.generation);
        let told = actions.iter().filter_map(|action| match action {
            Action::Spawn(id) => Some(format!("spawn {}", name(id))),
            Action::Signal(id, signal) => Some(format!("{} {}", signal.as_str().trim_start_matches("SIG"), name(id))),
            Action::Sweep(id) => Some(format!("sweep {}", name(id))),
            Action::LookForSpace => Some("look".to_owned()),
            Action::CloseListener => Some("close".to_owned()),
            // Every stop says so; the stories that are about tasks look at what is held back.
            // Blame goes with every end that is somebody's fault.
            Action::EndTasks | Action::Log(..) | Action::Adopt(_) | Action::Blame(_) => None,
            Action::Answer { token, result } => Some(match result {
                Ok(text) => format!("{token} ok: {text}"),
                Err(text) => format!("{token} no: {text}"),
            }),
            Action::Finish(code) => Some(format!("finish {code}")),
            Action::Reloaded { result: Err(reason), .. } => Some(format!("not reloaded: {reason}")),
            Action::Reloaded { result: Ok(reloaded), .. } => {
                let told = reloaded.services.iter().map(|taken| {
                    let mark = if taken.ok == Some(true) { "+" } else { "-" };
                    format!("{mark}{}: {}", taken.change.service, taken.message.as_deref().unwrap_or(""))
                });
                Some(format!("reloaded {}", told.collect::<Vec<_>>().join(" | ")))
            }
            Action::Examine(id) => Some(format!("examine {}", name(id))),
        });
        let told = told.collect();
        self.state = Some(state);
        told
    }

    pub(super) fn states(&self) -> String {
        let status = self.state.as_ref().unwrap().status();
        status.iter().map(|service| format!("{}={}", service.name, service.state)).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn health(&self, name: &str) -> String {
        let status = self.state.as_ref().unwrap().status();
        status.into_iter().find(|service| service.name == name).unwrap().health
    }

    /// When a service is to be started again.
    pub(super) fn retry_of(&self, name: &str) -> Millis {
        let state = self.state.as_ref().unwrap();
        state.services[state.plan().find(name).unwrap()].retry_at.unwrap()
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.state.as_ref().unwrap().next_deadline()
    }
}

/// Tells a whole story: `(milliseconds to let pass, event, expected actions)`.
#[track_caller]
pub(super) fn tell(story: &mut Story, lines: &[(Millis, &str, &[&str])]) {
    for (number, (pass, event, expected)) in lines.iter().enumerate() {
        story.now += pass;
        assert_eq!(story.tell(event), *expected, "step {number}: {event}");
    }
}
