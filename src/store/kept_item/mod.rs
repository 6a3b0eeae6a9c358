//! Items beside events: a batch of them, in one transaction, each reception once.
//!
//! Rows are written sorted by their keys, table after table, and the outcomes last: so writers with the same rows never
//! deadlock.

mod attachment;
mod check_in;
mod feedback;
mod session;
mod trace;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgExecutor, PgPool};

use super::outcome::{self, Outcome, OutcomeCount, hour_of};
use super::{Result, partition, rejected_item, settled_ingest};
use crate::protocol::{Category, KeptItem, Stamp, StampedItem};

/// An item to be settled.
#[derive(Debug, Clone, PartialEq)]
pub struct NewItem {
    /// The edge's stamp.
    pub stamp: Stamp,
    /// What it says; or why it is not kept.
    pub item: std::result::Result<KeptItem, &'static str>,
}

/// Stores what is to be kept and counts what became of each, or nothing at all. A reception that was settled before
/// changes nothing; items of a project that is gone are dropped.
pub async fn write(pool: &PgPool, items: &[NewItem]) -> Result<()> {
    let is_of_a_day =
        |one: &&NewItem| matches!(one.item, Ok(KeptItem::Spans(_) | KeptItem::Logs(_) | KeptItem::Attachment(_)));
    let days: BTreeSet<NaiveDate> = items.iter().filter(is_of_a_day).map(|one| one.stamp.received_on).collect();
    if !days.is_empty() {
        partition::ensure_days(pool, &days.into_iter().collect::<Vec<_>>()).await?;
    }
    let mut transaction = pool.begin().await?;
    let db = &mut *transaction;
    let receptions = items.iter().map(|one| (one.stamp.received_on, one.stamp.ingest_id)).collect();
    let mut new = settled_ingest::note(db, receptions).await?;
    let items: Vec<&NewItem> = items.iter().filter(|one| new.remove(&one.stamp.ingest_id)).collect();

    let (mut updates, mut counts, mut check_ins, mut feedback) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut spans, mut logs, mut attachments) = (Vec::new(), Vec::new(), Vec::new());
    for NewItem { stamp, item } in &items {
        match item {
            Ok(KeptItem::Session(update)) => updates.push((stamp, update)),
            Ok(KeptItem::SessionCounts(list)) => counts.extend(list.iter().map(|count| (stamp, count))),
            Ok(KeptItem::CheckIn(check_in)) => check_ins.push((stamp, check_in)),
            Ok(KeptItem::Feedback(one)) => feedback.push((stamp, one)),
            Ok(KeptItem::Spans(list)) => spans.extend(list.iter().map(|span| (stamp, span))),
            Ok(KeptItem::Attachment(one)) => attachments.push((stamp, one)),
            Ok(KeptItem::Logs(list)) => logs.push((stamp, list.as_slice())),
            Err(_) => {}
        }
    }
    trace::insert_spans(db, &spans).await?;
    trace::insert_logs(db, &logs).await?;
    attachment::insert(db, &attachments).await?;
    session::update(db, &updates).await?;
    session::add_counts(db, &counts).await?;
    feedback::write(db, &feedback).await?;
    let check_in::Fates { mut unkept, recounted } = check_in::write(db, &check_ins).await?;

    let mut fates: BTreeMap<(i64, DateTime<Utc>, &'static str, Outcome, &'static str), i64> = BTreeMap::new();
    for NewItem { stamp, item } in items.iter().filter(|one| one.stamp.item_type != StampedItem::FILE_PART) {
        let reason = item.as_ref().err().copied().or_else(|| unkept.remove(&stamp.ingest_id));
        let (outcome, reason) = reason.map_or((Outcome::Stored, ""), |reason| (Outcome::Filtered, reason));
        let category = Category::of_item_type(&stamp.item_type).as_str();
        *fates.entry((stamp.project_id.0, hour_of(stamp.received_at), category, outcome, reason)).or_default() += 1;
    }
    let settled: Vec<_> = items.iter().map(|one| one.stamp.ingest_id).collect();
    let mut fates: Vec<OutcomeCount> = fates
        .into_iter()
        .map(|((project, hour, category, outcome, reason), quantity)| OutcomeCount {
            project_id: crate::ids::ProjectId(project),
            hour,
            category: category.into(),
            outcome,
            reason: reason.into(),
            quantity,
        })
        .collect();
    fates.extend(rejected_item::revoke(db, &settled).await?);
    fates.extend(recounted);
    outcome::add(db, &fates).await?;
    transaction.commit().await?;
    Ok(())
}

/// What is kept of these items lives as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Single sessions, by their beginning.
    Sessions,
    /// Counted sessions, by their beginning.
    SessionCounts,
    /// Check-ins; their monitors stay.
    CheckIns,
    /// Ends of runs that wait for their monitor, by their reception.
    EarlyCheckIns,
    /// What users wrote.
    Feedback,
}

/// Removes at most `limit` rows of the time before `before`; says how many went.
pub async fn delete_before(db: impl PgExecutor<'_>, kind: Kind, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    let statement = match kind {
        Kind::Sessions => {
            "delete from release_session where ctid = any (array(select ctid from release_session
                 where started_at < $1 order by started_at limit $2 for update skip locked))"
        }
        Kind::SessionCounts => {
            "delete from release_session_count where ctid = any (array(select ctid from release_session_count
                 where hour < $1 order by hour limit $2 for update skip locked))"
        }
        Kind::CheckIns => {
            "delete from check_in where ctid = any (array(select ctid from check_in
                 where opened_at < $1 order by opened_at limit $2 for update skip locked))"
        }
        Kind::EarlyCheckIns => {
            "delete from early_check_in where ctid = any (array(select ctid from early_check_in
                 where received_at < $1 order by received_at limit $2 for update skip locked))"
        }
        Kind::Feedback => {
            "delete from user_feedback where ctid = any (array(select ctid from user_feedback
                 where received_at < $1 order by received_at limit $2 for update skip locked))"
        }
    };
    let done = sqlx::query(statement).bind(before).bind(limit).execute(db).await?;
    Ok(done.rows_affected())
}
