//! Tells people of issues: notices become deliveries, deliveries become messages.
//!
//! A destination is claimed by one worker at a time, and each message is settled as soon as it is out. So a message
//! goes out once, unless the process or the database dies between the two: then it goes out again, with the same id.
//! Destinations that fail are tried again by themselves, in slots of their own: they keep nobody waiting.

mod deliver;
mod frequency;
pub mod transport;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::alert::throttle::Policy;
use crate::app::App;
use crate::shutdown::Shutdown;
use crate::store::notice::channel::{self, Channel, Group};
use crate::store::notice::{self, ROUTE_LIMIT};
use transport::Transport;

/// Destinations served at a time, for each group.
const SLOTS: [(Group, usize); 4] = [
    (Group { is_mail: true, is_failing: false }, 4),
    (Group { is_mail: true, is_failing: true }, 1),
    (Group { is_mail: false, is_failing: false }, 8),
    (Group { is_mail: false, is_failing: true }, 2),
];

/// How long a claim lasts: longer than any message takes, so that only the dead are relieved.
const LEASE: TimeDelta = TimeDelta::seconds(60);

/// Looks again after this long though nothing said so: another worker may have died.
const IDLE: Duration = Duration::from_mins(10);

/// So much news comes at once that a moment's patience saves work.
const GATHER: Duration = Duration::from_millis(100);

/// Pause after an error of the database.
const RETRY: Duration = Duration::from_secs(5);

/// What is under way gets this long when the process stops: less than the batch in hand.
const STOP_LIMIT: Duration = Duration::from_millis(1500);

/// What is under way gets this long when another process takes over.
const DRAIN_LIMIT: Duration = Duration::from_secs(25);

/// Sends what is to be told, until `shutdown`; `policy` bounds the number of messages.
pub async fn run(app: &Arc<App>, policy: Policy, shutdown: &Shutdown) {
    tokio::join!(send(app, policy, shutdown), frequency::run(app, shutdown));
}

async fn send(app: &Arc<App>, policy: Policy, shutdown: &Shutdown) {
    let transport = Arc::new(Transport::new(&app.config));
    let mut sender =
        Sender { app: Arc::clone(app), transport, policy, running: JoinSet::new(), claimed: HashMap::new() };
    let mut failures = 0_u32;
    loop {
        let pause = match sender.turn().await {
            Ok(pause) => {
                failures = 0;
                pause
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures.is_power_of_two() {
                    tracing::warn!(error = format!("{error:#}"), failures, "alerts cannot be looked at; trying again");
                }
                RETRY
            }
        };
        tokio::select! {
            () = shutdown.draining() => break,
            () = app.alerts.woken() => sleep(GATHER).await,
            Some(done) = sender.running.join_next_with_id() => sender.settle(done),
            () = sleep(pause) => {}
        }
    }
    sender.stop(shutdown).await;
}

struct Sender {
    app: Arc<App>,
    transport: Arc<Transport>,
    policy: Policy,
    running: JoinSet<()>,
    /// What each running task serves.
    claimed: HashMap<tokio::task::Id, (Group, i64)>,
}

impl Sender {
    /// Does what is due, and says how long there is nothing to do.
    async fn turn(&mut self) -> anyhow::Result<Duration> {
        let app = Arc::clone(&self.app);
        let db = &app.db;
        let mut outlook = notice::outlook(db, Utc::now()).await.context("look for notices")?;
        if outlook.is_unrouted {
            let with_mail = self.transport.has_mail();
            while notice::route(db, with_mail, Utc::now()).await.context("route notices")? >= ROUTE_LIMIT {}
            outlook = notice::outlook(db, Utc::now()).await.context("look for notices")?;
        }
        let now = Utc::now();
        if outlook.next_due.is_some_and(|due| due <= now) {
            for (group, slots) in SLOTS {
                self.serve(group, slots, now).await?;
            }
            outlook = notice::outlook(db, Utc::now()).await.context("look for notices")?;
        }
        let until_due = outlook.next_due.map_or(IDLE, |due| {
            // What is due now waits for a slot; the end of a task wakes us too.
            (due - Utc::now()).to_std().unwrap_or_default().max(Duration::from_secs(1))
        });
        Ok(until_due.min(IDLE))
    }

    async fn serve(&mut self, group: Group, slots: usize, now: DateTime<Utc>) -> anyhow::Result<()> {
        let free = slots.saturating_sub(self.claimed.values().filter(|(of, _)| *of == group).count());
        if free == 0 {
            return Ok(());
        }
        let channels = channel::claim(&self.app.db, group, now, now + LEASE, free).await.context("claim channels")?;
        for channel in channels {
            let id = channel.id;
            let (app, transport, policy) = (Arc::clone(&self.app), Arc::clone(&self.transport), self.policy);
            let task = self.running.spawn(async move { serve_channel(&app, &transport, &policy, channel).await });
            self.claimed.insert(task.id(), (group, id));
        }
        Ok(())
    }

    fn settle(&mut self, done: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let id = match done {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "sending a message broke off; it will be tried again");
                error.id()
            }
        };
        self.claimed.remove(&id);
    }

    /// Lets what is under way finish; what does not is given back, for the next process to send.
    async fn stop(mut self, shutdown: &Shutdown) {
        let finish = async {
            while let Some(done) = self.running.join_next_with_id().await {
                self.settle(done);
            }
        };
        let out_of_time = async {
            tokio::select! {
                () = sleep(DRAIN_LIMIT) => {}
                () = async { shutdown.stopping().await; sleep(STOP_LIMIT).await } => {}
            }
        };
        tokio::select! {
            () = finish => return,
            () = out_of_time => {}
        }
        self.running.shutdown().await;
        for (_, channel) in self.claimed.into_values() {
            let given_back = timeout(RETRY, channel::release(&self.app.db, channel, Utc::now())).await;
            if !matches!(given_back, Ok(Ok(()))) {
                tracing::info!("a message in hand will be sent again in a minute");
            }
        }
    }
}

async fn serve_channel(app: &App, transport: &Transport, policy: &Policy, channel: Channel) {
    let id = channel.id;
    if let Err(error) = deliver::deliver(app, transport, policy, channel, LEASE).await {
        // Its lease ends by itself.
        tracing::warn!(channel = id, error = format!("{error:#}"), "messages could not be sent; trying again");
    }
}
