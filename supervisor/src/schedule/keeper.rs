//! Waits for the schedules of one appliance, and remembers what has come up.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::alarm::Alarm;
use super::{Moment, Planner, Schedule, Work, Zone};
use crate::files;
use crate::log::Log;
use crate::state::Level;
use crate::supervisor::Message;

/// What has come up is remembered in this file of `run/`.
const FILE: &str = "schedules.json";

/// Most bytes of that file that are read.
const LONGEST: u64 = 4 * 1024 * 1024;

/// What has come up, by the name of its schedule.
type Memory = BTreeMap<String, Vec<Moment>>;

/// Something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The name of the schedule.
    pub name: String,
    /// What is to be done.
    pub work: Work,
    /// For which time.
    pub moment: Moment,
}

/// What comes next of one schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcoming {
    /// The name of the schedule.
    pub name: String,
    /// When; none when its line names no time to come.
    pub next: Option<DateTime<Utc>>,
    /// The same for people, with the zone.
    pub shown: String,
}

struct Kept {
    name: String,
    work: Work,
    planner: Planner,
    /// Said in the log.
    announced: Option<Moment>,
}

/// Waits for what `schedules` name, and tells the loop; never returns while there are any. `zone` is the appliance's;
/// what comes next can be seen in `upcoming`.
pub async fn keep(
    schedules: Vec<Schedule>,
    zone: Zone,
    run: Arc<OwnedFd>,
    log: Log,
    messages: mpsc::UnboundedSender<Message>,
    upcoming: watch::Sender<Vec<Upcoming>>,
) {
    if schedules.is_empty() {
        return;
    }
    let mut memory = recall(&run).unwrap_or_else(|error| {
        log.say(Level::Warn, format!("run/{FILE} cannot be read: {error}; what came up before is not known"));
        Memory::new()
    });
    let now = Utc::now();
    let mut kept: Vec<Kept> = schedules
        .into_iter()
        .map(|schedule| Kept {
            planner: Planner::new(
                schedule.line,
                schedule.zone.unwrap_or(zone),
                now,
                memory.remove(&schedule.name).unwrap_or_default(),
            ),
            name: schedule.name,
            work: schedule.work,
            announced: None,
        })
        .collect();
    if let Err(error) = attend(&mut kept, &run, &log, &messages, &upcoming).await {
        log.say(Level::Error, format!("schedules are not kept any more: the timer fails: {error}"));
    }
}

async fn attend(
    kept: &mut [Kept],
    run: &Arc<OwnedFd>,
    log: &Log,
    messages: &mpsc::UnboundedSender<Message>,
    upcoming: &watch::Sender<Vec<Upcoming>>,
) -> io::Result<()> {
    let alarm = Alarm::new()?;
    loop {
        let now = Utc::now();
        let mut due = Vec::new();
        let mut next: Option<DateTime<Utc>> = None;
        let mut coming = Vec::new();
        for schedule in &mut *kept {
            let decision = schedule.planner.look(now);
            due.extend(decision.due.map(|moment| Due { name: schedule.name.clone(), work: schedule.work, moment }));
            if let Some(moment) = decision.missed {
                log.say(Level::Warn, format!("schedule {}: {} was passed over", schedule.name, moment.wall));
            }
            if schedule.announced != decision.next {
                schedule.announced = decision.next;
                log.say(Level::Info, announcement(schedule, decision.next));
            }
            coming.push(Upcoming {
                name: schedule.name.clone(),
                next: decision.next.map(|moment| moment.at),
                shown: shown(schedule, decision.next),
            });
            next = next.into_iter().chain(decision.next.map(|moment| moment.at)).min();
        }
        upcoming.send_replace(coming);
        if !due.is_empty() {
            // First on disk, then done: a crash in between leaves it out rather than doing it twice.
            remember(kept, run, log).await;
            for due in due {
                let _ = messages.send(Message::Due(due));
            }
        }
        alarm.wait(next).await?;
    }
}

fn announcement(schedule: &Kept, next: Option<Moment>) -> String {
    format!("schedule {}: {}", schedule.name, shown(schedule, next))
}

fn shown(schedule: &Kept, next: Option<Moment>) -> String {
    let what = Work::ALL.iter().find(|(_, work)| *work == schedule.work).map_or("", |(name, _)| name);
    match next {
        Some(moment) => {
            let (wall, zone) = (moment.wall.format("%Y-%m-%d %H:%M:%S"), schedule.planner.zone());
            format!("next {what} at {wall} ({zone})")
        }
        None => format!("no {what} any more"),
    }
}

async fn remember(kept: &[Kept], run: &Arc<OwnedFd>, log: &Log) {
    let memory: Memory =
        kept.iter().map(|schedule| (schedule.name.clone(), schedule.planner.done().collect())).collect();
    let run = Arc::clone(run);
    // A slow disk must not hold up the loop.
    let written = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_vec(&memory)?;
        files::write(&run, FILE, &text, 0o600, None)
    })
    .await;
    if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
        log.say(Level::Warn, format!("run/{FILE} cannot be written: {error}; a restart would not know what came up"));
    }
}

fn recall(run: &OwnedFd) -> io::Result<Memory> {
    match files::read(run, FILE, LONGEST)? {
        Some(text) => Ok(serde_json::from_slice(&text)?),
        None => Ok(Memory::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_up_is_read_back_and_a_broken_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let run = OwnedFd::from(std::fs::File::open(folder.path()).unwrap());
        assert!(recall(&run).unwrap().is_empty());
        let moment =
            Moment { wall: "2026-03-29T03:01:00".parse().unwrap(), at: "2026-03-29T01:00:00Z".parse().unwrap() };
        let memory = Memory::from([("restart".to_owned(), vec![moment])]);
        files::write(&run, FILE, &serde_json::to_vec(&memory).unwrap(), 0o600, None).unwrap();
        assert_eq!(recall(&run).unwrap(), memory);
        files::write(&run, FILE, b"{", 0o600, None).unwrap();
        recall(&run).unwrap_err();
    }
}
