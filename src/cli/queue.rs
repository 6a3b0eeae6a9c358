//! `glitchbox queue ...`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use sqlx::PgPool;

use super::block_on;
use super::instance::with_instance;
use super::output::{Output, Row, yes_no};
use crate::config::Config;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{Stamp, StampedItem};
use crate::queue::{DeadLetter, Delayed, Overview, Producer, Queue, Task, Wish};
use crate::store::rejected_item;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the queues and how they are.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Show what a queue could not do, the oldest first.
    Show {
        #[arg(value_parser = queues())]
        queue: Queue,
        /// The dead letters: what can never be done (as without a flag).
        #[arg(long, conflicts_with = "delayed")]
        dead: bool,
        /// What is to be done later.
        #[arg(long)]
        delayed: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
        limit: u16,
        #[command(flatten)]
        output: Output,
    },
    /// Put a dead letter back into its queue.
    Retry(Letters),
    /// Throw a dead letter away.
    Discard(Letters),
    /// Let no worker read a queue; what comes is kept.
    Pause(Switch),
    /// Let the workers read a queue again.
    Resume(Switch),
}

#[derive(Debug, clap::Args)]
pub(super) struct Letters {
    #[arg(value_parser = queues())]
    queue: Queue,
    /// The dead letter's id, as `glitchbox queue show` prints it.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// All that are there now.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct Switch {
    #[arg(value_parser = queues())]
    queue: Queue,
    #[command(flatten)]
    output: Output,
}

/// For clap: the name of a queue; another word is answered with those there are.
fn queues() -> impl TypedValueParser<Value = Queue> {
    PossibleValuesParser::new(Queue::ALL.map(Queue::name))
        .try_map(|name| Queue::parse(&name).ok_or("there is no such queue"))
}

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Dead letters read at once.
const PAGE: usize = 100;

#[derive(Serialize)]
struct QueueView {
    queue: Queue,
    length: u64,
    pending: u64,
    delayed: u64,
    dead: u64,
    paused: bool,
    oldest_s: Option<u64>,
    consumers: u64,
}

impl From<Overview> for QueueView {
    fn from(of: Overview) -> Self {
        let Overview { queue, length, pending, delayed, dead, paused, oldest_ms, consumers } = of;
        Self { queue, length, pending, delayed, dead, paused, oldest_s: oldest_ms.map(|ms| ms / 1000), consumers }
    }
}

impl Row for QueueView {
    const COLUMNS: &'static [&'static str] =
        &["queue", "length", "pending", "delayed", "dead", "paused", "oldest", "consumers"];

    fn cells(&self) -> Vec<String> {
        let counts = [self.length, self.pending, self.delayed, self.dead].map(|count| count.to_string());
        let oldest = self.oldest_s.map(|age| format!("{age} s")).unwrap_or_default();
        let rest = [yes_no(self.paused), oldest, self.consumers.to_string()];
        [self.queue.name().to_owned()].into_iter().chain(counts).chain(rest).collect()
    }
}

#[derive(Serialize)]
struct LetterView {
    id: String,
    entry_id: String,
    at: DateTime<Utc>,
    attempts: u64,
    size: usize,
    /// Only its beginning was kept: it cannot be done again.
    cut: bool,
    reason: String,
    project: Option<ProjectId>,
    item_type: Option<String>,
    event_id: Option<EventId>,
    job: Option<String>,
}

impl LetterView {
    fn new(queue: Queue, letter: DeadLetter) -> Self {
        let stamp = (queue == Queue::Ingest).then(|| stamp(&letter)).flatten();
        let task = (queue != Queue::Ingest).then(|| Task::decode(&letter.data).ok()).flatten();
        Self {
            cut: letter.is_cut(),
            project: stamp.as_ref().map(|stamp| stamp.project_id),
            event_id: stamp.as_ref().map(|stamp| stamp.event_id),
            item_type: stamp.map(|stamp| stamp.item_type),
            job: task.map(|task| task.job),
            id: letter.id,
            entry_id: letter.entry_id,
            at: letter.at,
            attempts: letter.attempts,
            size: letter.size,
            reason: letter.reason,
        }
    }
}

impl Row for LetterView {
    const COLUMNS: &'static [&'static str] =
        &["id", "at", "attempts", "bytes", "cut", "project", "what", "event", "reason"];

    fn cells(&self) -> Vec<String> {
        let what = self.item_type.as_ref().or(self.job.as_ref()).cloned().unwrap_or_default();
        vec![
            self.id.clone(),
            self.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            self.attempts.to_string(),
            self.size.to_string(),
            yes_no(self.cut),
            self.project.map(|project| project.to_string()).unwrap_or_default(),
            what,
            self.event_id.map(|event| event.to_string()).unwrap_or_default(),
            self.reason.clone(),
        ]
    }
}

#[derive(Serialize)]
struct DelayedView {
    due: DateTime<Utc>,
    job: Option<String>,
    failures: u32,
    size: usize,
}

impl From<Delayed> for DelayedView {
    fn from(of: Delayed) -> Self {
        let task = Task::decode(&of.data).ok();
        let failures = task.as_ref().map_or(0, |task| task.failures);
        Self { due: of.due, job: task.map(|task| task.job), failures, size: of.data.len() }
    }
}

impl Row for DelayedView {
    const COLUMNS: &'static [&'static str] = &["due", "job", "failures", "bytes"];

    fn cells(&self) -> Vec<String> {
        let due = self.due.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        vec![due, self.job.clone().unwrap_or_default(), self.failures.to_string(), self.size.to_string()]
    }
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    // An item that comes back is no longer counted as rejected.
    if let Command::Retry(letters) = &command
        && letters.queue == Queue::Ingest
    {
        return with_instance(config, |instance| async move {
            let queue = open(&instance.config).await?;
            let Command::Retry(letters) = command else { return Ok(()) };
            retry(&queue, &letters, Some(&instance.db)).await
        });
    }
    block_on(1, async {
        let queue = open(&config).await?;
        match command {
            Command::List { output } => {
                let all = queue.overview().await?;
                output.rows(&all.into_iter().map(QueueView::from).collect::<Vec<_>>())
            }
            Command::Show { queue: of, delayed: true, limit, output, .. } => {
                let all = queue.delayed(of, usize::from(limit)).await?;
                output.rows(&all.into_iter().map(DelayedView::from).collect::<Vec<_>>())
            }
            Command::Show { queue: of, limit, output, .. } => {
                let all = queue.dead_letters(of, None, usize::from(limit)).await?;
                output.rows(&all.into_iter().map(|letter| LetterView::new(of, letter)).collect::<Vec<_>>())
            }
            Command::Retry(letters) => retry(&queue, &letters, None).await,
            Command::Discard(letters) => discard(&queue, &letters).await,
            Command::Pause(Switch { queue: of, output }) => {
                queue.pause(of).await?;
                let text = format!("queue {} is paused: workers leave it alone; what comes is kept", of.name());
                output.one(&serde_json::json!({ "queue": of, "paused": true }), &text)
            }
            Command::Resume(Switch { queue: of, output }) => {
                queue.resume(of).await?;
                let text = format!("queue {} is read again", of.name());
                output.one(&serde_json::json!({ "queue": of, "paused": false }), &text)
            }
        }?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn open(config: &Config) -> anyhow::Result<Producer> {
    let producer = Producer::connect(config)?;
    if !producer.answers(PATIENCE).await {
        match &config.redis_url {
            Some(_) => bail!("cannot reach the queues at REDIS_URL"),
            None => bail!("cannot reach the queues in {} (is it running?)", config.data_dir_shown.display()),
        }
    }
    Ok(producer)
}

async fn retry(producer: &Producer, letters: &Letters, db: Option<&PgPool>) -> anyhow::Result<()> {
    let queue = letters.queue;
    let (mut retried, mut cut) = (0_usize, 0_usize);
    for letter in chosen(producer, letters).await? {
        if letter.is_cut() {
            cut += 1;
            continue;
        }
        // Before the worker can come to it: its own count must not meet the old one.
        let rejected = match (db, stamp(&letter)) {
            (Some(db), Some(stamp)) => rejected_item::reopen(db, stamp.ingest_id)
                .await
                .context("take back that it was counted as rejected")?
                .map(|item| (db, item)),
            _ => None,
        };
        let answer = producer.retry(queue, &letter.id).await;
        let is_back = match &answer {
            Ok(wish) => *wish == Wish::Done,
            // It may have been done all the same, too late to say so.
            Err(_) => matches!(producer.dead_letter(queue, &letter.id).await, Ok(None)),
        };
        if let Some((db, item)) = rejected.filter(|_| !is_back) {
            rejected_item::reject(db, &item).await.context("count it as rejected again, as it was")?;
        }
        if !is_back {
            answer?;
        }
        retried += usize::from(is_back);
    }
    if letters.id.is_some() && cut > 0 {
        bail!("only its beginning was kept, so that it cannot be done again");
    }
    let rest = match cut {
        0 => String::new(),
        _ => format!("; {cut} of which only the beginning was kept cannot be done again"),
    };
    let text = format!("{} into queue {}{rest}", dead_letters(retried, "went back"), queue.name());
    letters.output.one(&serde_json::json!({ "queue": queue, "retried": retried, "cut": cut }), &text)
}

async fn discard(producer: &Producer, letters: &Letters) -> anyhow::Result<()> {
    let queue = letters.queue;
    let mut discarded = 0_usize;
    for letter in chosen(producer, letters).await? {
        discarded += usize::from(producer.discard(queue, &letter.id).await? == Wish::Done);
    }
    let text = format!("{} of queue {}", dead_letters(discarded, "thrown away"), queue.name());
    letters.output.one(&serde_json::json!({ "queue": queue, "discarded": discarded }), &text)
}

/// The dead letters that are meant: all that are there now, which are bounded, or the one with the id.
async fn chosen(producer: &Producer, letters: &Letters) -> anyhow::Result<Vec<DeadLetter>> {
    let queue = letters.queue;
    if let Some(id) = &letters.id {
        let is_id = id.split('-').count() == 2 && id.split('-').all(|part| part.parse::<u64>().is_ok());
        let found = if is_id { producer.dead_letter(queue, id).await? } else { None };
        let name = queue.name();
        let missing =
            || format!("there is no dead letter `{id}` in queue {name}; `glitchbox queue show {name}` shows all");
        return Ok(vec![found.with_context(missing)?]);
    }
    let mut all: Vec<DeadLetter> = Vec::new();
    loop {
        let after = all.last().map(|letter| letter.id.clone());
        let page = producer.dead_letters(queue, after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// What the edge knew of an item, as far as it can be read.
fn stamp(letter: &DeadLetter) -> Option<Stamp> {
    StampedItem::decode(&letter.data).ok().map(|item| item.stamp)
}

fn dead_letters(count: usize, what: &str) -> String {
    if count == 1 { format!("1 dead letter {what}") } else { format!("{count} dead letters {what}") }
}
