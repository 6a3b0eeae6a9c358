//! What a job is.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::app::App;
use crate::queue::{Producer, Queue, QueueError, Task};

/// A piece of work that is asked for, and done by whichever worker has a hand free; at least once.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Unique among all jobs.
    const NAME: &'static str;

    /// Through which queue it goes.
    const QUEUE: Queue;

    /// Version of the payload: raised when a worker that knows only the last one could not read it.
    const VERSION: u32 = 1;

    /// What happens after a failure.
    const RETRY: Retry = Retry { tries: 5, first: Duration::from_secs(5), longest: Duration::from_mins(5) };

    /// A run that takes longer is broken off, and has failed.
    const TIMEOUT: Duration = Duration::from_mins(1);

    /// While a job with this key waits, no other is taken in.
    fn dedup_key(&self) -> Option<String> {
        None
    }

    /// Does it.
    fn run(self, app: Arc<App>) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Asks for it. False when one with its key waits already.
    fn enqueue(&self, queue: &Producer) -> impl Future<Output = Result<bool, QueueError>> + Send {
        self.enqueue_in(queue, Duration::ZERO)
    }

    /// Asks for it, to be done no sooner than after `delay`.
    fn enqueue_in(&self, queue: &Producer, delay: Duration) -> impl Future<Output = Result<bool, QueueError>> + Send {
        async move {
            // A struct of plain fields always serialises.
            let args = serde_json::value::to_raw_value(self).unwrap_or_default();
            let task = Task::new(Self::NAME, Self::VERSION, args, self.dedup_key());
            queue.enqueue(Self::QUEUE, &task, delay).await
        }
    }
}

/// How often a job is tried, and how long it rests after each failure: a random part of a time that doubles.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Runs at most; then it is buried.
    pub tries: u32,
    /// The longest pause after the first failure.
    pub first: Duration,
    /// The longest pause of all.
    pub longest: Duration,
}

impl Retry {
    /// How long to wait after so many failures; none: it has had its tries.
    pub fn pause(self, failures: u32) -> Option<Duration> {
        let doublings = failures.saturating_sub(1).min(30);
        let longest = self.first.saturating_mul(1 << doublings).min(self.longest);
        (failures < self.tries).then(|| longest.mul_f64(rand::random::<f64>()))
    }
}

/// A run of a job.
pub(super) type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A job as the runner knows it.
pub struct Kind {
    pub(super) name: &'static str,
    pub(super) queue: Queue,
    pub(super) version: u32,
    pub(super) retry: Retry,
    pub(super) timeout: Duration,
    /// Starts a run with these arguments.
    pub(super) start: fn(&RawValue, Arc<App>) -> serde_json::Result<Running>,
}

impl Kind {
    /// The job `J`.
    pub const fn of<J: Job>() -> Self {
        Self {
            name: J::NAME,
            queue: J::QUEUE,
            version: J::VERSION,
            retry: J::RETRY,
            timeout: J::TIMEOUT,
            start: start::<J>,
        }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).field("queue", &self.queue).finish_non_exhaustive()
    }
}

fn start<J: Job>(args: &RawValue, app: Arc<App>) -> serde_json::Result<Running> {
    let job: J = serde_json::from_str(args.get())?;
    Ok(Box::pin(job.run(app)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_random_parts_of_a_time_that_doubles() {
        let retry = Retry { tries: 10, first: Duration::from_secs(1), longest: Duration::from_secs(30) };
        for (failures, longest) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (9, 30)] {
            let pauses: Vec<Duration> = (0..50).map(|_| retry.pause(failures).unwrap()).collect();
            let longest = Duration::from_secs(longest);
            assert!(pauses.iter().all(|pause| *pause <= longest));
            assert!(pauses.iter().any(|pause| *pause > longest / 2), "some are long");
            assert!(pauses.iter().any(|pause| *pause < longest / 2), "some are short");
        }
        assert_eq!(retry.pause(10), None);
        assert_eq!(Retry { tries: 1, ..retry }.pause(1), None);
    }
}
