//! What `supervisor status` shows.

use serde::{Deserialize, Serialize};

use super::types::{Instance, Outcome, Phase, Stage, State};

/// One service as shown to operators and their programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name in the plan.
    pub name: String,
    /// One of [`ServiceStatus::STATES`]; `running` is a task.
    pub state: String,
    /// Process id of the serving generation.
    pub pid: Option<i32>,
    /// The serving generation, or the last one.
    pub generation: u64,
    /// Seconds since the serving generation was started.
    pub uptime_s: Option<u64>,
    /// Starts after the first one.
    pub restarts: u32,
    /// `ok`, `starting`, `-` (nothing runs), or what is wrong.
    pub health: String,
    /// How the last process ended.
    pub last_exit: Option<String>,
    /// What the check that failed last printed (at most its last 4 KB).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_output: Option<String>,
    /// Milliseconds the serving generation took from its start until it was ready.
    pub ready_ms: Option<u64>,
    /// Older generations that finish what they have begun.
    pub draining: Vec<Draining>,
}

/// An older generation on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// Its number.
    pub generation: u64,
    /// Its process id; none once the process has ended and only its remains are being killed.
    pub pid: Option<i32>,
    /// Whether its time is over, so that it is being stopped by signals.
    pub overdue: bool,
}

impl ServiceStatus {
    /// Every state there is.
    pub const STATES: [&'static str; 10] =
        ["waiting", "starting", "running", "ready", "restarting", "stopping", "stopped", "backoff", "failed", "done"];

    /// Whether this is how it should be.
    pub fn is_well(&self) -> bool {
        match self.state.as_str() {
            // What waits for a running task says so itself.
            "ready" | "restarting" | "running" => self.health == "ok",
            "done" => true,
            _ => false,
        }
    }
}

impl State {
    /// All services, in the plan's order; of those that are not in it any more, what is left.
    pub fn status(&self) -> Vec<ServiceStatus> {
        let specs = self.plan.services.iter().zip(&self.services).enumerate();
        let shown = specs.filter(|(_, (spec, service))| !spec.removed || !service.instances.is_empty());
        let mut shown: Vec<(usize, usize)> = shown.map(|(index, (spec, _))| (spec.rank, index)).collect();
        shown.sort_by_key(|(rank, _)| *rank);
        shown.into_iter().filter_map(|(_, index)| self.status_of(index)).collect()
    }

    fn status_of(&self, index: usize) -> Option<ServiceStatus> {
        let (spec, service) = (self.plan.services.get(index)?, self.services.get(index)?);
        let shown = service.current().or_else(|| service.instances.first());
        let state = match (shown, &service.outcome) {
            (Some(instance), _) => running_state(instance, service.candidate.is_some(), spec.oneshot),
            (None, Some(Outcome::Failed(_))) => "failed",
            (None, Some(Outcome::Done)) => "done",
            (None, None) if service.down || self.phase != Phase::Running => "stopped",
            (None, None) if service.retry_at.is_some() => "backoff",
            (None, None) => "waiting",
        };
        let health = match (shown, &service.outcome) {
            (Some(instance), _) => match (instance.health.fault(), instance.stage) {
                (Some(fault), _) => fault.into_owned(),
                (None, Stage::Starting { .. }) if !spec.oneshot => "starting".to_owned(),
                (None, Stage::Sweeping) if !spec.oneshot => "-".to_owned(),
                // A task that is tried again is not well because it runs.
                (None, _) => service.trouble.clone().unwrap_or_else(|| "ok".to_owned()),
            },
            (None, Some(Outcome::Failed(reason))) => reason.clone(),
            (None, Some(Outcome::Done)) => "ok".to_owned(),
            (None, None) if service.retry_at.is_some() => service.trouble.clone().unwrap_or_else(|| "-".to_owned()),
            (None, None) if !service.released && !service.down && self.phase == Phase::Running => {
                format!("waits for {}", self.waits_for(index).join(", "))
            }
            (None, None) => "-".to_owned(),
        };
        Some(ServiceStatus {
            name: spec.name.clone(),
            state: state.to_owned(),
            pid: shown.and_then(|instance| instance.pid),
            generation: shown.map_or(service.generation, |instance| instance.generation),
            uptime_s: shown.and_then(|instance| instance.pid.map(|_| (self.now - instance.started_at) / 1_000)),
            restarts: service.restarts,
            health,
            last_exit: service.last_exit.map(|exit| exit.to_string()),
            check_output: shown.and_then(|instance| instance.health.output.clone()),
            ready_ms: shown.and_then(|instance| Some(instance.ready_at? - instance.started_at)),
            draining: service.instances.iter().filter(|instance| instance.retired).map(draining).collect(),
        })
    }
}

fn draining(instance: &Instance) -> Draining {
    Draining { generation: instance.generation, pid: instance.pid, overdue: instance.ladder.is_some() }
}

fn running_state(instance: &Instance, replaced: bool, oneshot: bool) -> &'static str {
    match instance.stage {
        _ if instance.ladder.is_some() => "stopping",
        Stage::Starting { .. } | Stage::Sweeping if oneshot => "running",
        Stage::Starting { .. } => "starting",
        Stage::Ready if instance.health.leaving => "stopping",
        Stage::Ready if replaced => "restarting",
        Stage::Ready => "ready",
        Stage::Draining { .. } | Stage::Sweeping => "stopping",
    }
}
