//! Starting one run of a service.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;
use tokio::sync::mpsc;

use super::{Run, World};
use crate::cgroup::Group;
use crate::launcher::mark;
use crate::log::{Stream, pump};
use crate::notify::Channel;
use crate::plan::{Ready, ServiceSpec};
use crate::probe::Checker;
use crate::reap::Trace;
use crate::spawn::{LaunchSpec, spawn};
use crate::state::{Event, Id};
use crate::supervisor::Message;
use crate::{listener, probe, secrets};

impl World {
    /// Starts the program; the machine hears what came of it.
    pub(super) fn start(&mut self, id: Id) {
        let plan = Arc::clone(&self.plan);
        let Some(service) = plan.services.get(id.service) else { return };
        match self.try_start(id, service) {
            Ok(pid) => {
                self.pending.push_back(Event::Spawned { id, pid: pid.as_raw() });
                if service.ready == Ready::Started && !service.oneshot {
                    self.pending.push_back(Event::Ready { id });
                }
            }
            Err(error) => {
                let lack = self.lack_at_failure(id);
                self.pending.extend([lack, Event::SpawnFailed { id, error }]);
            }
        }
    }

    fn try_start(&mut self, id: Id, service: &ServiceSpec) -> Result<Pid, String> {
        let listener = if service.listen { Some(self.listener()?) } else { None };
        let mut launch = self.launcher.launch(service, id.generation, listener)?;
        let group = self.groups.as_ref().and_then(|groups| groups.group(&service.name, id.generation));
        launch.group = group.as_ref().map(Group::list);
        let way = self.launcher.check(service, id.generation, &self.checks)?;
        // Made before the program runs, so that no report is too early.
        let channel = self.channel(id, service, &launch)?;
        // The application may have generated one since the last start.
        let password = secrets::admin_password(&self.launcher.context().data.secrets);
        self.log.add_secrets(password.map(|password| password.expose().to_owned()));
        let child = spawn(&launch).map_err(|error| error.to_string())?;
        let name: Arc<str> = service.name.as_str().into();
        for (stream, pipe) in [(Stream::Out, child.stdout), (Stream::Err, child.stderr)] {
            self.pumps.spawn(pump(self.log.clone(), Arc::clone(&name), stream, service.output, pipe));
        }
        let mut tasks = Vec::new();
        if let Some(channel) = channel {
            tasks.push(tokio::spawn(relay(id, channel, self.messages.clone())));
        }
        if let (Some(way), Some(check)) = (way, &service.check) {
            let checker = Checker {
                id,
                way,
                every: Duration::from_millis(check.every_ms),
                limit: Duration::from_millis(check.timeout_ms),
                decides: service.ready == Ready::Check,
                to: self.messages.clone(),
                counters: self.log.counters().service(&name),
                log: self.log.clone(),
            };
            tasks.push(tokio::spawn(checker.watch()));
        }
        let trace = Trace::of(child.pid, mark(service, id.generation), launch.tag).with_group(group);
        let status = self.launcher.status_socket(service, id.generation);
        self.runs.insert(id, Run { trace, alive: true, tasks, probe: None, status });
        self.watch_over(id);
        Ok(child.pid)
    }

    /// Begins to ask a run how it is, if its service is asked; at the distances that count now.
    pub(super) fn watch_over(&mut self, id: Id) {
        let plan = Arc::clone(&self.plan);
        let service = plan.services.get(id.service).filter(|service| service.ready == Ready::Probe);
        let Some(service) = service else { return };
        let (Some(target), Some(run)) = (self.launcher.target(service), self.runs.get_mut(&id)) else { return };
        let folder = Arc::clone(&self.launcher.context().data.run);
        let every = Duration::from_millis(service.probe_every_ms);
        let counters = self.log.counters().service(&service.name.as_str().into());
        let probe = probe::watch(id, target, folder, every, self.messages.clone(), counters);
        if let Some(former) = run.probe.replace(tokio::spawn(probe)) {
            former.abort();
        }
    }

    /// The listening socket, bound again if it was closed.
    fn listener(&mut self) -> Result<Arc<OwnedFd>, String> {
        if let Some(listener) = &self.listener {
            return Ok(Arc::clone(listener));
        }
        let port = self.launcher.context().settings.port;
        let listener = Arc::new(listener::bind_port(port).map_err(|fault| fault.message)?);
        self.listener = Some(Arc::clone(&listener));
        Ok(listener)
    }

    fn channel(&self, id: Id, service: &ServiceSpec, launch: &LaunchSpec) -> Result<Option<Channel>, String> {
        if service.ready != Ready::Notify || service.oneshot {
            return Ok(None);
        }
        let name = format!("{}.{}", service.name, id.generation);
        let channel = Channel::bind(&self.launcher.context().data.run, &name, launch.credentials.as_ref());
        channel.map(Some).map_err(|error| format!("its notification socket cannot be made: {error}"))
    }
}

/// Hands a service's reports to the loop.
async fn relay(id: Id, channel: Channel, to: mpsc::UnboundedSender<Message>) {
    while let Ok(reports) = channel.receive().await {
        for report in reports {
            if to.send(Message::Report(id, report)).is_err() {
                return;
            }
        }
    }
}
