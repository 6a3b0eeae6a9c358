//! A worker's seat at the queues: its name, its connection for commands, and its pulse.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::LuaInterface;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::consumer::Consumer;
use super::error::QueueError;
use super::hands::Hands;
use super::keys::{GROUP, HANDED_BACK, Queue};
use super::settler::Settler;
use crate::config::Config;

const PULSE: &str = include_str!("lua/pulse.lua");

/// How often a worker says that it lives, and looks around.
const BEAT: Duration = Duration::from_secs(2);

/// A sign of life lasts so long: a worker that cannot reach Redis for less is not taken for dead.
const ALIVE_S: u64 = 30;

/// A consumer without a sign of life counts as dead once it has done nothing for so long.
const DEAD_AFTER: Duration = Duration::from_secs(5);

/// An empty consumer without a sign of life is removed once it has done nothing for so long.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// After Redis was away, all signs of life may have run out; so long everybody may give a new one.
const CALM: Duration = Duration::from_secs(10);

/// Delayed entries that are moved at once: a script that runs for long keeps everybody waiting.
const MOVED: u64 = 100;

/// Time for a command that does not wait for work.
pub(super) const COMMAND_LIMIT: Duration = Duration::from_secs(4);

/// One worker process at all the queues that it reads. Its name stays the same from one start to the next.
pub struct Seat {
    settings: Config,
    shared: Arc<Shared>,
}

/// What the parts of a seat share.
pub(super) struct Shared {
    pub(super) name: String,
    /// For commands that do not block.
    pub(super) client: Client,
    pub(super) hands: Hands,
    pub(super) rest: Duration,
    /// Told when a reader may have to think again.
    pub(super) news: watch::Sender<()>,
    sights: Mutex<HashMap<Queue, Sight>>,
}

/// What the last pulse saw of a queue.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) is_paused: bool,
    pub(super) is_missing: bool,
    /// Consumers whose work is there to be taken.
    pub(super) orphans: Vec<String>,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl Seat {
    /// Starts connecting in the background; succeeds with Redis away. `slot` tells workers that run side by side
    /// apart. After a start, entries that have ended the worker all by themselves are not tried for the time `rest`, so
    /// that there are at most a few deaths in a short time, and other work goes on between them. Call inside the runtime.
    pub fn connect(settings: &Config, slot: &str, queues: &[Queue], rest: Duration) -> Result<Self, QueueError> {
        let shared = Arc::new(Shared {
            name: format!("worker-{slot}"),
            client: super::client::connect(settings, COMMAND_LIMIT)?,
            hands: Hands::default(),
            rest,
            news: watch::Sender::new(()),
            sights: Mutex::new(queues.iter().map(|queue| (*queue, Sight::default())).collect()),
        });
        tokio::spawn(beat(Arc::downgrade(&shared)));
        Ok(Self { settings: settings.clone(), shared })
    }

    /// Its reader of one of its queues.
    pub fn consumer(&self, queue: Queue) -> Result<Consumer, QueueError> {
        Consumer::new(&self.settings, queue, Arc::clone(&self.shared))
    }

    /// Hands back what is still in hand, of all queues: the process ends, and it is not the entries' fault.
    pub async fn hand_back(&self) -> Result<(), QueueError> {
        let queues: Vec<Queue> = self.shared.sights().keys().copied().collect();
        for queue in queues {
            Settler::new(queue, Arc::clone(&self.shared)).hand_back().await?;
        }
        Ok(())
    }
}

impl Shared {
    /// What is known of a queue.
    pub(super) fn sight(&self, queue: Queue) -> Sight {
        self.sights().get(&queue).cloned().unwrap_or_default()
    }

    /// The queue's group is there.
    pub(super) fn has_group(&self, queue: Queue) {
        if let Some(sight) = self.sights().get_mut(&queue) {
            sight.is_missing = false;
        }
    }

    /// Takes over the looking after these consumers; the next pulse tells when there is more.
    pub(super) fn take_orphans(&self, queue: Queue) -> Vec<String> {
        self.sights().get_mut(&queue).map(|sight| std::mem::take(&mut sight.orphans)).unwrap_or_default()
    }

    /// Makes the readers think again.
    pub(super) fn tell(&self) {
        self.news.send_replace(());
    }

    /// Says that the worker lives and looks around; true when delayed work is left to be moved.
    async fn pulse(&self, may_take_over: bool) -> Result<bool, QueueError> {
        let queues: Vec<Queue> = self.sights().keys().copied().collect();
        let keys: Vec<String> =
            queues.iter().flat_map(|queue| [queue.key().to_owned(), queue.delayed_key(), queue.paused_key()]).collect();
        let ms = |time: Duration| time.as_millis().to_string();
        let arguments = vec![
            GROUP.to_owned(),
            self.name.clone(),
            HANDED_BACK.to_owned(),
            ALIVE_S.to_string(),
            ms(DEAD_AFTER),
            ms(GONE_AFTER),
            MOVED.to_string(),
        ];
        let rows: Vec<(u64, u64, u64, Vec<String>)> = self.client.eval(PULSE, keys, arguments).await?;
        let (mut is_news, mut has_more) = (false, false);
        let mut sights = self.sights();
        for (queue, (paused, has_group, more, mut orphans)) in queues.into_iter().zip(rows) {
            orphans.retain(|name| may_take_over || name == HANDED_BACK);
            let new = Sight { is_paused: paused > 0, is_missing: has_group == 0, orphans };
            let old = sights.entry(queue).or_default();
            if old.is_paused != new.is_paused {
                tracing::info!(queue = queue.name(), paused = new.is_paused, "the queue's pause switch was turned");
            }
            is_news |= *old != new || !new.orphans.is_empty();
            has_more |= more > 0;
            *old = new;
        }
        drop(sights);
        if is_news {
            self.tell();
        }
        Ok(has_more)
    }

    fn sights(&self) -> MutexGuard<'_, HashMap<Queue, Sight>> {
        // A panic elsewhere leaves it whole: every change is one assignment.
        self.sights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with the seat.
async fn beat(seat: Weak<Shared>) {
    let mut calm_until = None;
    loop {
        let Some(shared) = seat.upgrade() else { return };
        let may_take_over = calm_until.is_none_or(|until| Instant::now() >= until);
        match shared.pulse(may_take_over).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "no pulse");
                calm_until = Some(Instant::now() + CALM);
            }
        }
        drop(shared);
        sleep(BEAT).await;
    }
}
