//! Whether an issue still needs somebody: the states and the change between them.

use serde::Serialize;
use sqlx::PgPool;

use super::Result;
use crate::ids::IssueId;

/// What has been decided about an issue. The numbers are those of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(i16)]
pub enum IssueStatus {
    /// Still happening, or nobody has looked yet.
    Unresolved = 0,
    /// Repaired; the next event reopens it.
    Resolved = 1,
    /// Known and left alone; no event reopens it.
    Ignored = 2,
}

impl IssueStatus {
    /// Every status, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Unresolved, Self::Resolved, Self::Ignored];

    /// The protocol's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Resolved => "resolved",
            Self::Ignored => "ignored",
        }
    }

    /// The number stored for the status.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The status stored as `code`; an unknown number is unresolved, so that it is seen.
    pub const fn from_code(code: i16) -> Self {
        match code {
            1 => Self::Resolved,
            2 => Self::Ignored,
            _ => Self::Unresolved,
        }
    }

    /// Reads a status by any of the names clients use; `muted` and `archived` mean ignored.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "unresolved" | "open" => Some(Self::Unresolved),
            "resolved" => Some(Self::Resolved),
            "ignored" | "archived" | "muted" => Some(Self::Ignored),
            _ => None,
        }
    }
}

impl From<i16> for IssueStatus {
    fn from(code: i16) -> Self {
        Self::from_code(code)
    }
}

/// Gives the issues their new status and returns how many it changed. An issue that has the status
/// already keeps its time of resolution, but is no longer marked as regressed.
pub async fn update(pool: &PgPool, issues: &[IssueId], status: IssueStatus) -> Result<u64> {
    let done = sqlx::query(
        "update issue set
            status = $2,
            resolved_at = case when $2 <> 1 then null when status = 1 then resolved_at else now() end,
            is_regressed = false
        where id = any($1) and (status <> $2 or is_regressed)",
    )
    .bind(issues)
    .bind(status.code())
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_its_name_and_its_number() {
        for status in IssueStatus::ALL {
            assert_eq!(IssueStatus::from_name(status.as_str()), Some(status));
            assert_eq!(IssueStatus::from_code(status.code()), status);
        }
        assert_eq!(IssueStatus::from_name("muted"), Some(IssueStatus::Ignored));
        assert_eq!(IssueStatus::from_name("Resolved"), None);
    }
}
