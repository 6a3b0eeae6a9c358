//! [4] Event -> normalised, grouped. Pure.

mod csp;
mod derived_tags;
pub mod filter;
mod grouping;
mod in_app;
pub mod item;
mod meta;
mod normalise;
mod path;
mod scrub;
mod shrink;
mod title;
mod user_agent;

use chrono::{DateTime, Utc};

use self::filter::Filters;
pub use self::grouping::{Component, Explanation};
pub use self::scrub::ScrubRules;
use crate::protocol::{Event, EventKind, Filter, FilterSettings, Level, PrivacySettings, Stamp, lenient_json};

/// What the worker has in hand.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// What was known at the edge; its event id is the one that counts.
    pub stamp: &'a Stamp,
    /// The item's payload.
    pub payload: &'a [u8],
}

/// An event ready to be stored.
#[derive(Debug, Clone)]
pub struct Processed {
    /// In its final form.
    pub event: Event,
    /// The same as JSON, at most 1 MiB: what is stored.
    pub json: Vec<u8>,
    /// Grouping hash.
    pub hash: [u8; 32],
    /// Version of the algorithm behind `hash`.
    pub hash_version: i16,
    /// What the event is made of.
    pub kind: EventKind,
    /// Severity.
    pub level: Level,
    /// `python`, `javascript`, …; `other` when unknown.
    pub platform: String,
    /// The SDK's environment.
    pub environment: Option<String>,
    /// The SDK's release.
    pub release: Option<String>,
    /// One line for lists.
    pub title: String,
    /// Where it happened, one line.
    pub culprit: String,
    /// What the title was made from.
    pub metadata: serde_json::Value,
    /// The SDK's logger name, or empty.
    pub logger: String,
    /// Some mechanism says `handled: false`.
    pub is_unhandled: bool,
    /// The event's own time, corrected for clock drift.
    pub occurred_at: DateTime<Utc>,
    /// Keys are unique; derived tags are included.
    pub tags: Vec<(String, String)>,
    /// `id:…`, `username:…`, `email:…` or `ip:…`.
    pub user: Option<String>,
}

/// What a project wants of what is sent to it. By default: everything, without secrets.
#[derive(Debug, Clone, Default)]
pub struct ProjectRules {
    /// What is not taken in.
    pub filters: Filters,
    /// What is taken out.
    pub scrub: ScrubRules,
}

impl ProjectRules {
    /// As the settings say.
    pub fn of(filters: &FilterSettings, privacy: &PrivacySettings) -> Self {
        Self { filters: Filters::new(filters), scrub: ScrubRules::of(privacy) }
    }
}

/// Why a payload becomes no event.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// Not JSON, or not an object.
    #[error("the event is not a JSON object: {0}")]
    NotAnObject(serde_json::Error),
    /// Could not be written as JSON.
    #[error("the event could not be written: {0}")]
    Unwritable(serde_json::Error),
    /// The project does not want it.
    #[error("held back by the filter {}", .0.id())]
    Filtered(Filter),
}

/// Normalises, scrubs, describes and groups an event. Takes any bytes: what cannot be kept is noted in the event's
/// `errors`.
pub fn process(incoming: Incoming<'_>) -> Result<Processed, Rejected> {
    process_with(incoming, &ScrubRules::default())
}

/// As [`process`], with rules of one's own on what is taken out.
pub fn process_with(incoming: Incoming<'_>, rules: &ScrubRules) -> Result<Processed, Rejected> {
    finish(read(incoming)?, incoming.payload, rules)
}

/// As [`process`], as a project wants it. Who sent it has been looked at: [`Filters::of_sender`].
pub fn process_for(incoming: Incoming<'_>, rules: &ProjectRules) -> Result<Processed, Rejected> {
    let event = read(incoming)?;
    match rules.filters.of_event(&event) {
        Some(filter) => Err(Rejected::Filtered(filter)),
        None => finish(event, incoming.payload, &rules.scrub),
    }
}

fn read(incoming: Incoming<'_>) -> Result<Event, Rejected> {
    let payload = lenient_json::parse_object(incoming.payload).map_err(Rejected::NotAnObject)?;
    Ok(normalise::normalise(payload, incoming.stamp))
}

fn finish(mut event: Event, payload: &[u8], rules: &ScrubRules) -> Result<Processed, Rejected> {
    // Before anything is made from it, so that no secret gets into a title, a tag or a hash.
    scrub::scrub(&mut event, payload, rules);
    title::describe(&mut event);
    derived_tags::add(&mut event);
    // Before anything is left out for size, so that a large event groups with its smaller fellows.
    let hash = grouping::hash(&event);
    let json = shrink::to_json(&mut event).map_err(Rejected::Unwritable)?;
    Ok(Processed {
        hash,
        hash_version: grouping::VERSION,
        kind: event.kind,
        level: event.level,
        platform: event.platform.clone(),
        environment: event.environment.clone(),
        release: event.release.clone(),
        title: event.title.clone(),
        culprit: event.culprit.clone(),
        metadata: serde_json::to_value(&event.metadata).map_err(Rejected::Unwritable)?,
        logger: event.logger.clone(),
        is_unhandled: event.exception.values.iter().any(crate::protocol::event::Exception::is_unhandled),
        occurred_at: event.timestamp,
        tags: event.tags.clone(),
        user: event.user.as_ref().and_then(crate::protocol::event::User::tag),
        event,
        json,
    })
}

/// Grouping hashes that earlier versions of the grouping gave a processed event, the latest first.
pub fn earlier_hashes(event: &Event) -> Vec<[u8; 32]> {
    grouping::earlier_hashes(event)
}

/// What a processed event is grouped by, for people who ask why it is in its issue.
pub fn explain(event: &Event) -> Explanation {
    grouping::explain(event)
}

#[cfg(test)]
mod tests;
