//! Does the jobs of a queue: several at a time, each in a task of its own within its time limit; again, after a pause, when
//! it fails; and to the dead letters when it has had its tries.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::job::{Kind, Running};
use crate::app::App;
use crate::queue::{Consumer, Entry, QueueError, Settler, Task};
use crate::shutdown::Shutdown;

/// Pause after a read that failed.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// Does what comes through the consumer's queue, `concurrency` jobs at a time, until `shutdown`; returns when those that
/// run are done. What has not begun by then is handed back.
pub async fn run(
    app: &Arc<App>,
    kinds: &'static [Kind],
    mut consumer: Consumer,
    concurrency: usize,
    shutdown: &Shutdown,
) {
    consumer.end_with(shutdown);
    let desk = Desk { app: Arc::clone(app), kinds, settler: consumer.settler() };
    let mut running = JoinSet::new();
    let mut failures = 0_u32;
    while !shutdown.is_draining() {
        while running.try_join_next().is_some() {}
        let Some(free) = concurrency.checked_sub(running.len()).filter(|free| *free > 0) else {
            tokio::select! {
                _ = running.join_next() => {}
                () = shutdown.draining() => {}
            }
            continue;
        };
        match consumer.read(free, true).await {
            Ok(entries) => {
                failures = 0;
                for entry in entries.into_iter().take_while(|_| !shutdown.is_draining()) {
                    let desk = desk.clone();
                    running.spawn(async move { desk.serve(entry).await });
                }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures.is_power_of_two() {
                    let queue = desk.settler.queue().name();
                    tracing::warn!(queue, %error, failures, "jobs cannot be read; trying again");
                }
                sleep(READ_PAUSE).await;
            }
        }
    }
    while running.join_next().await.is_some() {}
    if let Err(error) = desk.settler.hand_back().await {
        tracing::debug!(%error, "jobs could not be handed back");
    }
}

#[derive(Clone)]
struct Desk {
    app: Arc<App>,
    kinds: &'static [Kind],
    settler: Settler,
}

impl Desk {
    async fn serve(&self, entry: Entry) {
        let settled = match self.open(&entry) {
            Ok((kind, task, work)) => self.run(kind, task, work, &entry).await,
            Err(reason) => self.bury(&entry, &reason).await,
        };
        if let Err(error) = settled {
            // It is pending, and comes again.
            tracing::warn!(%error, entry.id, "what became of a job could not be noted yet");
            self.settler.release(std::slice::from_ref(&entry.id));
        }
    }

    /// What an entry asks for; or why it can never be done.
    fn open(&self, entry: &Entry) -> Result<(&'static Kind, Task, Running), String> {
        if let Some(reason) = entry.hopeless() {
            return Err(reason);
        }
        let task = Task::decode(&entry.data)?;
        let of_queue = |kind: &&Kind| kind.name == task.job && kind.queue == self.settler.queue();
        let kind = self.kinds.iter().find(of_queue).ok_or_else(|| format!("there is no job {:?}", task.job))?;
        if task.version > kind.version {
            return Err(format!("arguments of unknown version {} for job {:?}", task.version, task.job));
        }
        let work = (kind.start)(&task.args, Arc::clone(&self.app));
        let work = work.map_err(|error| format!("arguments of job {:?} cannot be read: {error}", task.job))?;
        Ok((kind, task, work))
    }

    async fn run(&self, kind: &Kind, mut task: Task, work: Running, entry: &Entry) -> Result<(), QueueError> {
        self.settler.begin(&task).await?;
        let work = AbortOnDropHandle::new(tokio::spawn(work));
        let error = match timeout(kind.timeout, work).await {
            Ok(Ok(Ok(()))) => return self.settler.acknowledge(vec![entry.id.clone()]).await,
            Ok(Ok(Err(error))) => format!("{error:#}"),
            Ok(Err(error)) => format!("it broke off: {error}"),
            Err(_) => format!("it took longer than {} s", kind.timeout.as_secs_f64()),
        };
        task.failures += 1;
        let Some(pause) = kind.retry.pause(task.failures) else {
            return self.bury(entry, &format!("job {} failed {} times: {error}", task.job, task.failures)).await;
        };
        let (failures, retry_s) = (task.failures, pause.as_secs());
        tracing::warn!(job = kind.name, error, failures, retry_s, "a job failed; it is tried again");
        self.settler.postpone(entry, &task, pause).await
    }

    async fn bury(&self, entry: &Entry, reason: &str) -> Result<(), QueueError> {
        tracing::error!(queue = self.settler.queue().name(), entry.id, reason, "a job goes to the dead letters");
        self.settler.bury(entry, reason).await
    }
}
