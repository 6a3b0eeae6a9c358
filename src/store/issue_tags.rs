//! The tags of an issue's events, counted.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::Result;
use crate::ids::{IssueId, ProjectId};

/// A tag's key with its most frequent values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagKey {
    /// `browser`, `release`, ...
    pub key: String,
    /// Events with this tag, whatever the value.
    pub total: i64,
    /// Distinct values.
    pub unique_values: i64,
    /// The most frequent values, most frequent first.
    pub values: Vec<TagValue>,
}

/// One value of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagValue {
    /// The value.
    pub value: String,
    /// Events with it.
    pub times_seen: i64,
    /// The first of them.
    pub first_seen: DateTime<Utc>,
    /// The latest of them.
    pub last_seen: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    key: String,
    value: String,
    times_seen: i64,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    total: i64,
    unique_values: i64,
}

/// The issue's tags by key, each with up to `values` of its values.
pub async fn top(pool: &PgPool, project: ProjectId, issue: IssueId, values: u16) -> Result<Vec<TagKey>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select key, value, times_seen, first_seen, last_seen, total, unique_values
        from (
            select key, value, times_seen, first_seen, last_seen,
                (sum(times_seen) over whole)::bigint as total,
                count(*) over whole as unique_values,
                row_number() over (partition by key order by times_seen desc, value) as rank
            from issue_tag
            where project_id = $1 and issue_id = $2
            window whole as (partition by key)
        ) ranked
        where rank <= $3
        order by key, rank",
    )
    .bind(project)
    .bind(issue)
    .bind(i64::from(values))
    .fetch_all(pool)
    .await?;

    let mut keys: Vec<TagKey> = Vec::new();
    for row in rows {
        let value = TagValue {
            value: row.value,
            times_seen: row.times_seen,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
        };
        match keys.last_mut() {
            Some(last) if last.key == row.key => last.values.push(value),
            _ => keys.push(TagKey {
                key: row.key,
                total: row.total,
                unique_values: row.unique_values,
                values: vec![value],
            }),
        }
    }
    Ok(keys)
}

/// The distinct values that a tag has anywhere in these projects, in order; at most `limit`.
///
/// Steps from one value to the next along the index, so the cost follows the values, not the issues.
pub async fn values(pool: &PgPool, projects: &[ProjectId], key: &str, limit: i64) -> Result<Vec<String>> {
    let values = sqlx::query_scalar(
        "with recursive step(project_id, value) as (
            select project_id, (select min(t.value) from issue_tag t where t.project_id = wanted.project_id and t.key = $2)
            from unnest($1::bigint[]) as wanted(project_id)
            union all
            select step.project_id, (
                select min(t.value) from issue_tag t
                where t.project_id = step.project_id and t.key = $2 and t.value > step.value
            )
            from step where step.value is not null
        )
        select distinct value from step where value is not null order by value limit $3",
    )
    .bind(projects)
    .bind(key)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(values)
}
