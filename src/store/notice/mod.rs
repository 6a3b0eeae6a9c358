//! What is to be told: `notice` says it, `notice_delivery` takes it to one destination, and `notice_channel` is that
//! destination, where one message is sent at a time and their number is limited.

pub mod channel;
pub mod delivery;
mod frequency;
mod route;

use sqlx::PgConnection;

pub use frequency::{NOTE_LIMIT, note_frequent};
pub use route::{Outlook, ROUTE_LIMIT, outlook, route};

use super::Result;
use crate::ids::{IssueId, ProjectId};

/// Why somebody is told of an issue. The numbers are those of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum Reason {
    /// It has never been seen before.
    New = 0,
    /// It was resolved and happened again.
    Regressed = 1,
    /// It happened as often as the alert asks for.
    Frequency = 2,
}

impl Reason {
    /// The number stored for the reason.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Its name in messages to programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Regressed => "regression",
            Self::Frequency => "frequency",
        }
    }
}

impl From<i16> for Reason {
    fn from(code: i16) -> Self {
        match code {
            1 => Self::Regressed,
            2 => Self::Frequency,
            _ => Self::New,
        }
    }
}

/// Notes, in the transaction that made or reopened the issues, that the projects' alerts are to tell of them.
pub(super) async fn insert(
    db: &mut PgConnection,
    new: &[(ProjectId, IssueId)],
    regressed: &[(ProjectId, IssueId)],
) -> Result<()> {
    if new.is_empty() && regressed.is_empty() {
        return Ok(());
    }
    let new = new.iter().map(|key| (key, Reason::New));
    let all: Vec<_> = new.chain(regressed.iter().map(|key| (key, Reason::Regressed))).collect();
    // An alert that is just being removed is skipped, instead of failing the batch over its absence.
    sqlx::query(
        "with telling as (
             select n.project_id, n.issue_id, n.reason, a.id as alert_id
             from unnest($1::bigint[], $2::bigint[], $3::smallint[]) as n (project_id, issue_id, reason)
             join alert a on a.project_id = n.project_id
             where a.is_enabled and a.quantity is null
             for key share of a
         )
         insert into notice (project_id, issue_id, alert_id, reason, regression)
         select t.project_id, t.issue_id, t.alert_id, t.reason, i.regression_count
         from telling t join issue i on i.project_id = t.project_id and i.id = t.issue_id
         order by t.project_id, t.issue_id, t.alert_id
         on conflict do nothing",
    )
    .bind(all.iter().map(|((project_id, _), _)| *project_id).collect::<Vec<_>>())
    .bind(all.iter().map(|((_, issue_id), _)| *issue_id).collect::<Vec<_>>())
    .bind(all.iter().map(|(_, reason)| reason.code()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}
