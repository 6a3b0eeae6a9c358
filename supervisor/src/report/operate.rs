//! What operators do with reports: send one again, and try the channels.

use std::path::Path;
use std::time::Instant;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinSet;

use super::deliver;
use super::facts;
use super::letters::letters_for;
use super::outbox::Outbox;
use super::redact::Redactor;
use super::send::{Parcel, send};
use super::store::Store;
use crate::channels::{Channel, Receiver};
use crate::task::{Place, TaskOutcome, exit};

/// What a trial is, for programs.
pub(super) const TRIAL: &str = "report.test";

/// A message that only says that it has arrived.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) schema: u32,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) instance: String,
    pub(super) domain: String,
    pub(super) version: String,
    pub(super) tz: String,
    pub(super) sent_at: DateTime<Utc>,
}

/// `Task::ReportResend`: puts a report, the latest unless one is named, into the outbox again. What still waits for one of
/// these channels is hurried too: whoever asks knows that somebody listens again.
pub fn resend(place: &Place, id: Option<&str>, channel: Option<Channel>) -> TaskOutcome {
    match put_again(place, id, channel) {
        Ok((report, channels)) => TaskOutcome::done(json!({ "report": report, "channels": channels })),
        Err(error) => TaskOutcome::failed(error),
    }
}

fn put_again(place: &Place, id: Option<&str>, channel: Option<Channel>) -> Result<(String, Vec<Channel>), String> {
    let channels: Vec<Channel> = chosen(place, channel)?.iter().map(|receiver| receiver.channel).collect();
    let unreadable = |error: std::io::Error| format!("The reports cannot be read: {error}.");
    let store = Store::make(Path::new(".")).map_err(unreadable)?;
    let report = match id {
        Some(id) => store.find(id).map_err(unreadable)?.ok_or_else(|| format!("There is no report {id:?}."))?,
        None => store.list().map_err(unreadable)?.into_iter().next().ok_or("There are no reports yet.")?,
    };
    let put = Outbox::make(Path::new(".")).and_then(|outbox| {
        let now = Utc::now();
        for mut letter in outbox.letters()? {
            if channels.contains(&letter.channel) && letter.report != report.id {
                letter.next_at = now;
                outbox.put(&letter)?;
            }
        }
        letters_for(place, &report, &channels).iter().try_for_each(|letter| outbox.put(letter))
    });
    put.map_err(|error| format!("The report cannot be put into the outbox: {error}."))?;
    Ok((report.id, channels))
}

/// `Task::ReportTest`: sends a message to each channel, once and at once, and tells what became of it.
pub fn trial(place: &Place, channel: Option<Channel>) -> TaskOutcome {
    let receivers = match chosen(place, channel) {
        Ok(receivers) => receivers,
        Err(error) => return TaskOutcome::failed(error),
    };
    let runtime = match deliver::begin() {
        Ok(runtime) => runtime,
        Err(error) => return TaskOutcome::failed(format!("The test cannot be started: {error}.")),
    };
    runtime.block_on(try_all(place, receivers))
}

async fn try_all(place: &Place, receivers: Vec<Receiver>) -> TaskOutcome {
    let now = Utc::now();
    let redactor = Redactor::new(&place.secrets);
    let trial = Trial {
        schema: super::model::SCHEMA,
        kind: TRIAL.to_owned(),
        id: format!("test-{}-{:04x}", now.format("%Y%m%dT%H%M%S%3fZ"), rand::random::<u16>()),
        instance: facts::host_name(),
        domain: place.public_url.clone(),
        version: place.version.clone(),
        tz: place.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
        sent_at: now,
    };
    let document = redactor.json(json!(trial));
    let mut sending = JoinSet::new();
    for receiver in receivers {
        let (place, redactor) = (place.clone(), redactor.clone());
        let mut parcel = Parcel { id: trial.id.clone(), document: document.clone(), reached: Vec::new() };
        sending.spawn(async move {
            let began = Instant::now();
            let result = send(&place, &redactor, &receiver, &mut parcel).await;
            (receiver.channel, result, began.elapsed())
        });
    }
    let mut answers = Vec::new();
    while let Some(sent) = sending.join_next().await {
        let Ok((channel, result, took)) = sent else { continue };
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let error = result.err().map(|refused| redactor.text(&refused.error));
        eprintln!("{}: {}", channel.name(), error.as_deref().unwrap_or("taken"));
        answers.push((channel, error, ms));
    }
    answers.sort_unstable_by_key(|(channel, ..)| *channel);
    let all_taken = answers.iter().all(|(_, error, _)| error.is_none());
    let rows: Vec<_> = answers
        .into_iter()
        .map(|(channel, error, ms)| json!({ "channel": channel, "ok": error.is_none(), "ms": ms, "error": error }))
        .collect();
    TaskOutcome { exit: if all_taken { 0 } else { exit::FAILED }, result: json!({ "id": trial.id, "channels": rows }) }
}

/// The receivers meant.
fn chosen(place: &Place, channel: Option<Channel>) -> Result<Vec<Receiver>, String> {
    let all = &place.channels.receivers;
    match channel {
        Some(channel) => {
            let name = channel.variables().address;
            let missing = || format!("The channel {} is not set up: {name} is not set.", channel.name());
            Ok(vec![place.channels.find(channel).cloned().ok_or_else(missing)?])
        }
        None if all.is_empty() => {
            let names: Vec<&str> = Channel::ALL.into_iter().map(|channel| channel.variables().address).collect();
            Err(format!("No channel is set up: set one of {}.", names.join(", ")))
        }
        None => Ok(all.clone()),
    }
}
