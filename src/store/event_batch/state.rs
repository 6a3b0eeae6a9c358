//! The issues of a batch: locked, and brought up to date.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::aggregate::Change;
use super::{Failure, IssueKey, NewEvent};
use crate::ids::{IssueId, ProjectId};
use crate::store::Result;

/// Clocks differ: an event this little newer than the resolution does not reopen an issue.
const REGRESSION_TOLERANCE: TimeDelta = TimeDelta::seconds(5);

const UNRESOLVED: i16 = 0;
const RESOLVED: i16 = 1;

/// What is read of an issue under its lock.
#[derive(sqlx::FromRow)]
pub(super) struct State {
    project_id: ProjectId,
    id: IssueId,
    status: i16,
    is_regressed: bool,
    resolved_at: Option<DateTime<Utc>>,
    title: String,
    culprit: String,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    event_count: i64,
    first_release: Option<String>,
    last_release: Option<String>,
}

/// Locks the issues of the batch until its end, in the order of their keys.
pub(super) async fn lock(
    db: &mut PgConnection,
    placed: &[(IssueId, &NewEvent)],
) -> std::result::Result<BTreeMap<IssueKey, State>, Failure> {
    let keys: BTreeSet<IssueKey> = placed.iter().map(|(issue_id, event)| (event.project_id, *issue_id)).collect();
    let (projects, ids): (Vec<ProjectId>, Vec<IssueId>) = keys.iter().copied().unzip();
    let states: Vec<State> = sqlx::query_as(
        "select i.project_id, i.id, i.status, i.is_regressed, i.resolved_at, i.title, i.culprit, i.first_seen,
             i.last_seen, i.event_count, i.first_release, i.last_release
         from unnest($1::bigint[], $2::bigint[]) as n (project_id, id)
         join issue i on i.project_id = n.project_id and i.id = n.id
         order by i.project_id, i.id
         for no key update of i",
    )
    .bind(projects)
    .bind(ids)
    .fetch_all(db)
    .await?;
    if states.len() < keys.len() {
        return Err(Failure::IssueGone);
    }
    Ok(states.into_iter().map(|state| ((state.project_id, state.id), state)).collect())
}

/// Adds the changes to the locked issues; says which resolved ones they opened again.
pub(super) async fn apply(
    db: &mut PgConnection,
    changes: &BTreeMap<IssueKey, Change<'_>>,
    states: &BTreeMap<IssueKey, State>,
) -> Result<Vec<IssueKey>> {
    let updates: Vec<Update<'_>> =
        changes.iter().filter_map(|(key, change)| Some(Update::of(states.get(key)?, change))).collect();
    if updates.is_empty() {
        return Ok(Vec::new());
    }
    write_updates(db, &updates).await?;
    write_texts(db, &updates).await?;
    Ok(updates.iter().filter(|update| update.regresses).map(|update| update.state.key()).collect())
}

/// An issue's row after the batch.
struct Update<'a> {
    state: &'a State,
    change: &'a Change<'a>,
    /// The event that describes the issue from now on; none: a late batch, the description stays.
    describing: Option<&'a NewEvent>,
    first_release: Option<&'a str>,
    last_release: Option<&'a str>,
    regresses: bool,
}

impl State {
    fn key(&self) -> IssueKey {
        (self.project_id, self.id)
    }

    fn is_new(&self) -> bool {
        self.event_count == 0
    }
}

impl<'a> Update<'a> {
    fn of(state: &'a State, change: &'a Change<'a>) -> Self {
        let describes = state.is_new() || change.latest.occurred_at >= state.last_seen;
        let is_earlier = |event: &&NewEvent| state.first_release.is_none() || event.occurred_at < state.first_seen;
        let is_later = |event: &&NewEvent| state.last_release.is_none() || event.occurred_at >= state.last_seen;
        let earliest = change.earliest_released.filter(is_earlier).and_then(|event| event.release.as_deref());
        let latest = change.latest_released.filter(is_later).and_then(|event| event.release.as_deref());
        Self {
            state,
            change,
            describing: describes.then_some(change.latest),
            first_release: earliest.or(state.first_release.as_deref()),
            last_release: latest.or(state.last_release.as_deref()),
            regresses: state.status == RESOLVED
                && state.resolved_at.is_none_or(|at| change.latest.occurred_at > at + REGRESSION_TOLERANCE),
        }
    }

    fn changes_text(&self) -> bool {
        self.describing.is_some_and(|event| {
            self.state.is_new() || event.title != self.state.title || event.culprit != self.state.culprit
        })
    }
}

async fn write_updates(db: &mut PgConnection, updates: &[Update<'_>]) -> Result<()> {
    fn column<'a, T>(updates: &'a [Update<'a>], value: impl Fn(&'a Update<'a>) -> T) -> Vec<T> {
        updates.iter().map(value).collect()
    }
    fn described<'a, T>(updates: &'a [Update<'a>], value: impl Fn(&'a NewEvent) -> T) -> Vec<Option<T>> {
        updates.iter().map(|update| update.describing.map(&value)).collect()
    }
    sqlx::query(
        "update issue i set
             event_count = i.event_count + n.events, user_count = i.user_count + n.users,
             first_seen = least(i.first_seen, n.first_seen), last_seen = greatest(i.last_seen, n.last_seen),
             first_release = n.first_release, last_release = n.last_release,
             status = n.status, is_regressed = n.is_regressed, resolved_at = n.resolved_at,
             regression_count = i.regression_count + n.regressions,
             kind = coalesce(n.kind, i.kind), level = coalesce(n.level, i.level),
             platform = coalesce(n.platform, i.platform), logger = coalesce(n.logger, i.logger),
             title = coalesce(n.title, i.title), culprit = coalesce(n.culprit, i.culprit),
             metadata = coalesce(n.metadata, i.metadata), is_unhandled = coalesce(n.is_unhandled, i.is_unhandled)
         from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[],
             $7::text[], $8::text[], $9::smallint[], $10::boolean[], $11::timestamptz[], $12::smallint[],
             $13::smallint[], $14::text[], $15::text[], $16::text[], $17::text[], $18::jsonb[], $19::boolean[],
             $20::integer[])
             as n (project_id, id, events, users, first_seen, last_seen, first_release, last_release, status,
                 is_regressed, resolved_at, kind, level, platform, logger, title, culprit, metadata, is_unhandled,
                 regressions)
         where i.project_id = n.project_id and i.id = n.id",
    )
    .bind(column(updates, |update| update.state.project_id))
    .bind(column(updates, |update| update.state.id))
    .bind(column(updates, |update| update.change.events))
    .bind(column(updates, |update| update.change.new_users))
    .bind(column(updates, |update| update.change.earliest.occurred_at))
    .bind(column(updates, |update| update.change.latest.occurred_at))
    .bind(column(updates, |update| update.first_release))
    .bind(column(updates, |update| update.last_release))
    .bind(column(updates, |update| if update.regresses { UNRESOLVED } else { update.state.status }))
    .bind(column(updates, |update| update.regresses || update.state.is_regressed))
    .bind(column(updates, |update| if update.regresses { None } else { update.state.resolved_at }))
    .bind(described(updates, |event| event.kind.code()))
    .bind(described(updates, |event| event.level.code()))
    .bind(described(updates, |event| event.platform.as_str()))
    .bind(described(updates, |event| event.logger.as_str()))
    .bind(described(updates, |event| event.title.as_str()))
    .bind(described(updates, |event| event.culprit.as_str()))
    .bind(described(updates, |event| Json(&event.metadata)))
    .bind(described(updates, |event| event.is_unhandled))
    .bind(column(updates, |update| i32::from(update.regresses)))
    .execute(db)
    .await?;
    Ok(())
}

/// What free text finds the issues by, where that has changed.
async fn write_texts(db: &mut PgConnection, updates: &[Update<'_>]) -> Result<()> {
    let changed: Vec<(IssueKey, &NewEvent)> = updates
        .iter()
        .filter(|update| update.changes_text())
        .filter_map(|update| Some((update.state.key(), update.describing?)))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into issue_text (project_id, issue_id, document)
         select * from unnest($1::bigint[], $2::bigint[], $3::text[])
         on conflict (project_id, issue_id) do update set document = excluded.document
             where issue_text.document <> excluded.document",
    )
    .bind(changed.iter().map(|((project_id, _), _)| *project_id).collect::<Vec<_>>())
    .bind(changed.iter().map(|((_, issue_id), _)| *issue_id).collect::<Vec<_>>())
    .bind(changed.iter().map(|(_, event)| document(event)).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// Title, culprit and the texts of the metadata, in lower case, one a line.
pub(super) fn document(event: &NewEvent) -> String {
    let mut lines = vec![event.title.as_str(), event.culprit.as_str()];
    let metadata = event.metadata.as_object().into_iter().flat_map(serde_json::Map::values);
    for text in metadata.filter_map(serde_json::Value::as_str) {
        if !text.is_empty() && !lines.contains(&text) {
            lines.push(text);
        }
    }
    lines.join("\n").to_lowercase()
}
