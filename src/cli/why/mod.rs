//! `glitchbox why EVENT_ID`: what became of an event.
//!
//! Everything that can have it is asked; what is away is named, and does not keep the others from answering.

mod fate;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chrono::{TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::timeout;

use self::fate::{Fate, State};
use super::block_on;
use super::instance::{Instance, MAX_ROWS};
use super::output::Output;
use crate::config::Config;
use crate::ids::EventId;
use crate::ingest::spool;
use crate::process::explain;
use crate::protocol::StampedItem;
use crate::queue::{Find, Producer, Queue};
use crate::store::ledger::{self, LedgerTotal};
use crate::store::outcome::{Outcome, hour_of};
use crate::store::{event_lookup, filtered_item, issue_search, pool, project, rejected_item};

/// Most entries of the queue that are looked at.
const MAX_ENTRIES: u64 = 200_000;

/// How long PostgreSQL has to let us in.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How far back the ledger is shown for an event that nobody knows.
const LEDGER_HOURS: i64 = 6;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The event's id: 32 hexadecimal digits, with or without dashes, in any case.
    #[arg(value_parser = parse_event_id)]
    event_id: EventId,
    #[command(flatten)]
    output: Output,
}

/// What is known of the event.
#[derive(Debug, Serialize)]
struct Answer {
    event_id: EventId,
    found: bool,
    fates: Vec<Fate>,
    /// Who could not be asked, or only in part, and why.
    unanswered: Vec<Unanswered>,
    /// What of everything sent in the last hours was not stored; only when the event was not found.
    ledger: Vec<Unstored>,
}

#[derive(Debug, Serialize)]
struct Unanswered {
    part: &'static str,
    error: String,
}

/// A number of items of a project that were not stored.
#[derive(Debug, Serialize)]
struct Unstored {
    project: String,
    category: String,
    outcome: String,
    reason: String,
    quantity: i64,
}

pub(super) fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let (event, output) = (args.event_id, args.output);
    block_on(1, async {
        let (database, queue) = tokio::join!(connect(config.clone()), in_queue(config, event));
        let mut answer =
            Answer { event_id: event, found: false, fates: Vec::new(), unanswered: Vec::new(), ledger: Vec::new() };
        let stored = match &database {
            Ok(instance) => in_database(instance, event).await,
            Err(error) => Err(anyhow!("{error:#}")),
        };
        answer.note("PostgreSQL", stored);
        answer.note("Redis", queue);
        answer.note("the spool", in_spool(config, event));
        fate::drop_remains(&mut answer.fates);
        answer.found = !answer.fates.is_empty();
        if let (false, Ok(instance)) = (answer.found, &database) {
            answer.ledger = unstored(&instance.db).await.unwrap_or_default();
        }
        if let Ok(instance) = &database {
            fate::name_projects(&mut answer.fates, instance).await;
        }
        output.one(&answer, &answer.text())?;
        Ok(if answer.found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

impl Answer {
    fn note(&mut self, part: &'static str, asked: anyhow::Result<Vec<Fate>>) {
        match asked {
            Ok(fates) => self.fates.extend(fates),
            Err(error) => self.unanswered.push(Unanswered { part, error: format!("{error:#}") }),
        }
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = self.fates.iter().map(|fate| fate.sentence(self.event_id)).collect();
        if !self.found {
            lines.push(format!("event {} is not known here", self.event_id));
        }
        lines.extend(self.unanswered.iter().map(|one| format!("{} could not be asked: {}", one.part, one.error)));
        if !self.found && self.unanswered.is_empty() {
            lines.push(
                "It never arrived, was refused (an answer other than 200), was of a kind that is not kept, or is older \
                 than what is kept."
                    .to_owned(),
            );
        }
        if !self.ledger.is_empty() {
            lines.push(format!("What was sent in the last {LEDGER_HOURS} hours and not stored:"));
            lines.extend(self.ledger.iter().map(|one| {
                let reason = if one.reason.is_empty() { String::new() } else { format!(" ({})", one.reason) };
                format!("  {}: {} {} {}{reason}", one.project, one.quantity, one.category, one.outcome)
            }));
        }
        lines.join("\n")
    }
}

fn parse_event_id(text: &str) -> Result<EventId, String> {
    let id = EventId::parse(text.trim());
    id.ok_or_else(|| "an event's id has 32 hexadecimal digits, with or without dashes".to_owned())
}

async fn connect(config: Config) -> anyhow::Result<Instance> {
    timeout(CONNECT_LIMIT, pool::probe(&config)).await.context("no answer")??;
    Ok(Instance { db: pool::connect(&config)?, config })
}

/// What the tables say: stored, filtered, rejected.
async fn in_database(instance: &Instance, event: EventId) -> anyhow::Result<Vec<Fate>> {
    let db = &instance.db;
    let mut fates = Vec::new();
    let public_url = instance.public_url().await?;
    let base = public_url.as_str().trim_end_matches('/');
    for found in event_lookup::everywhere(db, event).await? {
        let issue = issue_search::find(db, found.issue_id).await?;
        let state = State::Stored {
            issue: issue.map(|issue| issue.short_name()).unwrap_or_default(),
            url: format!("{base}/issues/{}/?event={event}", found.issue_id),
        };
        // What it is grouped by is an extra: an event that cannot be read is still known.
        let stored = event_lookup::by_id(db, found.project_id, event).await.ok().flatten();
        let why = stored.map(|stored| explain(&stored.event));
        fates.push(Fate::new(found.project_id, found.received_at, state).grouped_by(why));
    }
    for item in filtered_item::of_event(db, event).await? {
        let state = State::Filtered { category: item.category, reason: item.reason };
        fates.push(Fate::new(item.project_id, item.received_at, state));
    }
    for item in rejected_item::of_event(db, event).await? {
        let state = State::Rejected { category: item.category, reason: item.reason, detail: item.detail };
        fates.push(Fate::new(item.project_id, item.received_at, state));
    }
    Ok(fates)
}

/// What the queue says: waiting, in hand, delayed, given up.
async fn in_queue(config: &Config, event: EventId) -> anyhow::Result<Vec<Fate>> {
    let finds = Producer::connect(config)?.find(Queue::Ingest, &event.to_string(), MAX_ENTRIES).await?;
    let fates: Vec<Fate> = finds.finds.into_iter().filter_map(|find| read(find, event)).collect();
    if fates.is_empty() && finds.gave_up {
        return Err(anyhow!("the queue is longer than the {} entries that were looked at", finds.seen));
    }
    Ok(fates)
}

/// What the spool on this instance's disk says.
fn in_spool(config: &Config, event: EventId) -> anyhow::Result<Vec<Fate>> {
    let found = spool::find(&config.data_dir, event)?;
    if found.items.is_empty() && !found.is_complete {
        return Err(anyhow!("it is too large to be read to its end"));
    }
    Ok(found.items.into_iter().map(|stamp| Fate::new(stamp.project_id, stamp.received_at, State::Spooled)).collect())
}

/// A find that is an item of the event; the text may stand in an entry for another reason.
fn read(find: Find, event: EventId) -> Option<Fate> {
    let stamp = StampedItem::decode(&find.data).ok()?.stamp;
    (stamp.event_id == event).then(|| Fate::new(stamp.project_id, stamp.received_at, find.place.into()))
}

/// What of everything sent in the last hours was not stored.
async fn unstored(db: &PgPool) -> anyhow::Result<Vec<Unstored>> {
    let projects = project::list(db, None, MAX_ROWS).await?;
    let ids: Vec<_> = projects.iter().map(|project| project.id).collect();
    let since = hour_of(Utc::now()) - TimeDelta::hours(LEDGER_HOURS);
    let mut totals = ledger::totals(db, &ids, since, since).await?;
    totals.retain(|total| {
        ![Outcome::Accepted, Outcome::Stored].iter().any(|known| known.as_str() == total.outcome) && total.quantity > 0
    });
    let view = |total: LedgerTotal| {
        let name = projects.iter().find(|project| project.id == total.project_id);
        let LedgerTotal { category, outcome, reason, quantity, .. } = total;
        Unstored {
            project: name.map(|project| project.slug.clone()).unwrap_or_default(),
            category,
            outcome,
            reason,
            quantity,
        }
    };
    Ok(totals.into_iter().map(view).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_every_form_and_a_wrong_one_is_explained() {
        let id = parse_event_id("0123456789abcdef0123456789abcdef").unwrap();
        for form in ["01234567-89ab-cdef-0123-456789abcdef", "0123456789ABCDEF0123456789ABCDEF"] {
            assert_eq!(parse_event_id(form).unwrap(), id, "{form}");
        }
        for wrong in ["", "0123", "0123456789abcdef0123456789abcdeg", "WEB-42"] {
            assert!(parse_event_id(wrong).unwrap_err().contains("32 hexadecimal digits"), "{wrong}");
        }
    }
}
