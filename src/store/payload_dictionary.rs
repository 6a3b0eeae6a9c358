//! The dictionaries that payloads are compressed with: one a project at a time, made anew as the project changes.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::Result;
use super::payload::{self, Decoder, Encoder};
use crate::ids::ProjectId;
use crate::protocol::event::Event;

/// The busiest projects of a day have their dictionary in memory (about 400 KB each); the payloads of others are
/// compressed without.
const ENCODERS: i64 = 64;

/// Dictionaries kept for reading (about 140 KB each).
const DECODERS: usize = 64;

/// Events a project must have sent, since it has its dictionary or at all, before (another) one is made.
const EVENTS: i64 = 1000;

/// Documents to learn from, and their size together in bytes.
const DOCUMENTS: i64 = 500;
const DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// The dictionary of each busy project, by project. Cheap to clone.
pub type EncoderSet = Arc<HashMap<ProjectId, Arc<Encoder>>>;

/// What this process compresses payloads with. Empty until the first [`Encoders::refresh`].
#[derive(Default)]
pub struct Encoders {
    state: Mutex<State>,
    /// Projects whose events nothing can be learnt from. The next process looks at them anew.
    postponed: Mutex<HashSet<ProjectId>>,
}

#[derive(Default)]
struct State {
    ids: HashMap<ProjectId, i64>,
    set: EncoderSet,
}

impl fmt::Debug for Encoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoders").field("ids", &self.state().ids).finish_non_exhaustive()
    }
}

impl Encoders {
    /// The dictionaries as they are now.
    pub fn current(&self) -> EncoderSet {
        Arc::clone(&self.state().set)
    }

    /// Takes up new dictionaries, those of other processes too, and lets go of projects that have become quiet.
    pub async fn refresh(&self, pool: &PgPool) -> Result<()> {
        let wanted: Vec<(ProjectId, i64)> = sqlx::query_as(
            "select busy.project_id, d.id
             from (select project_id from outcome_hourly
                   where hour >= now() - interval '1 day' and outcome = 'stored'
                   group by project_id order by sum(quantity) desc limit $1) busy
             cross join lateral (
                 select id from payload_dictionary d where d.project_id = busy.project_id
                 order by created_at desc, id limit 1) d",
        )
        .bind(ENCODERS)
        .fetch_all(pool)
        .await?;
        let (known, set) = {
            let state = self.state();
            (state.ids.clone(), Arc::clone(&state.set))
        };
        let mut next = HashMap::new();
        for (project, id) in &wanted {
            let encoder = match set.get(project) {
                Some(encoder) if known.get(project) == Some(id) => Some(Arc::clone(encoder)),
                _ => content(pool, *project, *id)
                    .await?
                    .and_then(|content| payload::encoder(&content).ok())
                    .map(Arc::new),
            };
            if let Some(encoder) = encoder {
                next.insert(*project, encoder);
            }
        }
        *self.state() = State { ids: wanted.into_iter().collect(), set: Arc::new(next) };
        Ok(())
    }

    /// Notes that nothing can be learnt from the project's events.
    pub fn postpone(&self, project: ProjectId) {
        self.postponed.lock().unwrap_or_else(PoisonError::into_inner).insert(project);
    }

    /// Whether [`Self::postpone`] was called for the project.
    pub fn is_postponed(&self, project: ProjectId) -> bool {
        self.postponed.lock().unwrap_or_else(PoisonError::into_inner).contains(&project)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Both fields are replaced together, so a panic elsewhere leaves them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names a dictionary.
type Key = (ProjectId, i64);

/// Dictionaries read lately, the latest last. The id comes from the content, so a key never changes its meaning.
static READ_LATELY: Mutex<Vec<(Key, Arc<Decoder>)>> = Mutex::new(Vec::new());

/// What some payloads were compressed with.
#[derive(Default)]
pub struct Decoders(HashMap<Key, Arc<Decoder>>);

impl Decoders {
    /// Gets what these payloads need.
    pub async fn of(pool: &PgPool, payloads: impl Iterator<Item = (ProjectId, &[u8])>) -> Result<Self> {
        let mut decoders = HashMap::new();
        for (project, payload) in payloads {
            let Some(id) = payload::dictionary_id(payload) else { continue };
            let key = (project, id);
            if decoders.contains_key(&key) {
                continue;
            }
            let decoder = match recall(key) {
                Some(decoder) => Some(decoder),
                None => load(pool, key).await?,
            };
            if let Some(decoder) = decoder {
                decoders.insert(key, decoder);
            }
        }
        Ok(Self(decoders))
    }

    /// Reads the event that a payload of the project is.
    pub fn event(&self, project: ProjectId, payload: &[u8]) -> std::io::Result<Event> {
        Ok(serde_json::from_slice(&self.decompress(project, payload)?)?)
    }

    /// Reads a payload of the project, byte for byte as it was before.
    pub fn decompress(&self, project: ProjectId, payload: &[u8]) -> std::io::Result<Vec<u8>> {
        let decoder = match payload::dictionary_id(payload) {
            None => None,
            Some(id) => Some(self.0.get(&(project, id)).ok_or_else(|| {
                std::io::Error::other(format!("payload dictionary {id} of project {project} is missing"))
            })?),
        };
        payload::decompress(payload, decoder.map(Arc::as_ref))
    }
}

fn recall(key: Key) -> Option<Arc<Decoder>> {
    let mut lately = READ_LATELY.lock().unwrap_or_else(PoisonError::into_inner);
    let at = lately.iter().position(|(known, _)| *known == key)?;
    let found = lately.remove(at);
    let decoder = Arc::clone(&found.1);
    lately.push(found);
    Some(decoder)
}

async fn load(pool: &PgPool, key: Key) -> Result<Option<Arc<Decoder>>> {
    let Some(content) = content(pool, key.0, key.1).await? else { return Ok(None) };
    let Ok(decoder) = payload::decoder(&content) else { return Ok(None) };
    let decoder = Arc::new(decoder);
    let mut lately = READ_LATELY.lock().unwrap_or_else(PoisonError::into_inner);
    if lately.len() >= DECODERS {
        lately.remove(0);
    }
    lately.push((key, Arc::clone(&decoder)));
    Ok(Some(decoder))
}

async fn content(pool: &PgPool, project: ProjectId, id: i64) -> Result<Option<Vec<u8>>> {
    let content = sqlx::query_scalar("select content from payload_dictionary where project_id = $1 and id = $2")
        .bind(project)
        .bind(id)
        .fetch_optional(pool)
        .await?;
    Ok(content)
}

/// Projects (at most 20) that have sent enough for a first dictionary, or for another one: a project changes, and a
/// dictionary made of its first events fits less and less. The pauses grow from a day to a month.
pub async fn due(pool: &PgPool) -> Result<Vec<ProjectId>> {
    let projects = sqlx::query_scalar(
        "select p.id
         from project p
         cross join lateral (
             select count(*) as made, max(created_at) as latest from payload_dictionary d where d.project_id = p.id) d
         cross join lateral (
             select coalesce(sum(quantity), 0) as events from outcome_hourly o
             where o.project_id = p.id and o.outcome = 'stored' and o.hour >= coalesce(d.latest, '-infinity')) o
         where o.events >= $1
           and (d.made = 0 or d.latest < now() - least(30, power(2, least(d.made, 6) - 1)) * interval '1 day')
         order by p.id limit 20",
    )
    .bind(EVENTS)
    .fetch_all(pool)
    .await?;
    Ok(projects)
}

/// Documents of the project to learn from: the latest of each of its latest issues, in turn.
pub async fn documents(pool: &PgPool, project: ProjectId) -> Result<Vec<Vec<u8>>> {
    let payloads: Vec<Vec<u8>> = sqlx::query_scalar(
        "with latest as (select id from issue where project_id = $1 order by last_seen desc limit 200)
         select e.payload from latest
         cross join lateral (
             select payload, row_number() over (order by received_at desc) as turn
             from (select payload, received_at from event
                   where project_id = $1 and issue_id = latest.id order by received_at desc
                   limit ceil($2::float8 / (select count(*) from latest))::bigint) of_issue) e
         order by e.turn limit $2",
    )
    .bind(project)
    .bind(DOCUMENTS)
    .fetch_all(pool)
    .await?;
    let decoders = Decoders::of(pool, payloads.iter().map(|payload| (project, payload.as_slice()))).await?;
    let mut documents = Vec::new();
    let mut bytes = 0;
    for payload in payloads {
        let Ok(document) = decoders.decompress(project, &payload) else { continue };
        bytes += document.len();
        if bytes > DOCUMENT_BYTES {
            break;
        }
        documents.push(document);
    }
    Ok(documents)
}

/// Keeps a dictionary; the project's payloads are compressed with it from the next refresh on.
pub async fn insert(pool: &PgPool, project: ProjectId, id: i64, content: &[u8]) -> Result<()> {
    sqlx::query("insert into payload_dictionary (project_id, id, content) values ($1, $2, $3) on conflict do nothing")
        .bind(project)
        .bind(id)
        .bind(content)
        .execute(pool)
        .await?;
    Ok(())
}

/// Removes dictionaries that were replaced by another one of their project before `before`; says how many. The caller
/// knows that no payload there is was written after that.
pub async fn delete_replaced(pool: &PgPool, before: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query(
        "delete from payload_dictionary d
         where exists (select from payload_dictionary newer
             where newer.project_id = d.project_id and newer.created_at > d.created_at and newer.created_at < $1)",
    )
    .bind(before)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
