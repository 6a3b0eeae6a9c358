//! The issue list: filter, order, pages; and single issues by id.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, QueryBuilder};

use super::Result;
use super::issue_query::{Condition, IssueQuery, TagValue, escape_like};
use super::issue_status::IssueStatus;
use super::page::{Cursor, MAX_LIMIT, Page};
use crate::ids::{IssueId, OrganizationId, ProjectId};
use crate::protocol::{EventKind, Level};

/// Hits are counted up to here; a list with more has "at least as many".
pub const MAX_HITS: i64 = 1000;

/// Which issues, and in which order.
#[derive(Debug, Clone, Default)]
pub struct IssueFilter {
    /// The projects to look into: the caller has made sure that they may be seen. None: no issues.
    pub projects: Vec<ProjectId>,
    /// The search box.
    pub query: IssueQuery,
    /// With an event in any of these environments; empty: whatever environment.
    pub environments: Vec<String>,
    /// Last seen at this time or later.
    pub seen_since: Option<DateTime<Utc>>,
    /// First seen at this time or before.
    pub seen_until: Option<DateTime<Utc>>,
    /// Of these issues only.
    pub only: Option<Vec<IssueId>>,
    /// The order.
    pub sort: IssueSort,
}

/// By what issues are sorted, the greatest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IssueSort {
    /// The latest event.
    #[default]
    LastSeen,
    /// The first event.
    FirstSeen,
    /// How many events.
    EventCount,
}

impl IssueSort {
    const fn column(self) -> &'static str {
        match self {
            Self::LastSeen => "i.last_seen",
            Self::FirstSeen => "i.first_seen",
            Self::EventCount => "i.event_count",
        }
    }
}

/// An issue with the names of its project and organization.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct IssueRow {
    /// The project.
    pub project_id: ProjectId,
    /// The issue.
    pub id: IssueId,
    /// The number in its short id.
    pub short_id: i64,
    /// What has been decided about it.
    #[sqlx(try_from = "i16")]
    pub status: IssueStatus,
    /// An event reopened it.
    pub is_regressed: bool,
    /// When it was resolved, if it is.
    pub resolved_at: Option<DateTime<Utc>>,
    /// What its events are made of.
    #[sqlx(try_from = "i16")]
    pub kind: EventKind,
    /// Of the latest event.
    #[sqlx(try_from = "i16")]
    pub level: Level,
    /// `python`, `javascript`, ...
    pub platform: String,
    /// The SDK's logger name, or empty.
    pub logger: String,
    /// One line.
    pub title: String,
    /// Where it happened, one line, or empty.
    pub culprit: String,
    /// `type`, `value`, `filename`, `function` of the main exception.
    pub metadata: serde_json::Value,
    /// Some mechanism said `handled: false`.
    pub is_unhandled: bool,
    /// The first event.
    pub first_seen: DateTime<Utc>,
    /// The latest event.
    pub last_seen: DateTime<Utc>,
    /// Its events.
    pub event_count: i64,
    /// Its distinct users.
    pub user_count: i64,
    /// The release of the first event that had one.
    pub first_release: Option<String>,
    /// The release of the latest event that had one.
    pub last_release: Option<String>,
    /// The project's name in addresses.
    pub project_slug: String,
    /// The project's name.
    pub project_name: String,
    /// The project's platform, or empty.
    pub project_platform: String,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The organization's name in addresses.
    pub organization_slug: String,
}

impl IssueRow {
    /// What people call the issue: `WEB-42`.
    pub fn short_name(&self) -> String {
        format!("{}-{}", self.project_slug.to_uppercase(), self.short_id)
    }
}

/// A page of the issues that match, at most `limit` (1 to 100).
///
/// Each project and status is read in the order of its own index, so a page costs no more than the
/// rows it looks at, however many issues there are.
pub async fn list(pool: &PgPool, filter: &IssueFilter, cursor: Option<Cursor>, limit: usize) -> Result<Page<IssueRow>> {
    let limit = limit.clamp(1, MAX_LIMIT);
    let statuses = statuses(&filter.query);
    if filter.projects.is_empty() || statuses.is_empty() {
        return Ok(Page::from_nearest(Vec::new(), cursor, limit, place(filter.sort)));
    }
    let backwards = cursor.is_some_and(|cursor| cursor.backwards);
    let fetch = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);

    let mut sql = QueryBuilder::new("with page as (select i.* from unnest(");
    sql.push_bind(&filter.projects);
    sql.push("::bigint[]) as wanted(project_id) cross join unnest(");
    sql.push_bind(&statuses);
    sql.push(
        "::smallint[]) as state(code) cross join lateral (
            select i.* from issue i where i.project_id = wanted.project_id and i.status = state.code",
    );
    push_conditions(&mut sql, filter);
    if let Some(cursor) = cursor {
        sql.push(" and (").push(filter.sort.column()).push(", i.id) ");
        sql.push(if backwards { "> (" } else { "< (" });
        push_value(&mut sql, filter.sort, cursor.value);
        sql.push(", ").push_bind(i64::try_from(cursor.tie).unwrap_or(i64::MAX)).push(")");
    }
    push_order(&mut sql, filter.sort, backwards);
    sql.push(" limit ").push_bind(fetch).push(") i");
    push_order(&mut sql, filter.sort, backwards);
    sql.push(" limit ").push_bind(fetch);
    sql.push(") select ").push(COLUMNS).push(" from page i").push(JOINS);
    push_order(&mut sql, filter.sort, backwards);

    // A plan made for other words or projects may be a hundred times slower than one for these.
    let found: Vec<IssueRow> = sql.build_query_as().persistent(false).fetch_all(pool).await?;
    Ok(Page::from_nearest(found, cursor, limit, place(filter.sort)))
}

/// How many issues match, counted up to [`MAX_HITS`].
pub async fn hits(pool: &PgPool, filter: &IssueFilter) -> Result<i64> {
    let mut sql = QueryBuilder::new("select count(*) from (select from issue i where ");
    push_scope(&mut sql, filter);
    sql.push(" limit ").push_bind(MAX_HITS).push(") matching");
    Ok(sql.build_query_scalar().persistent(false).fetch_one(pool).await?)
}

/// The ids of up to `limit` issues that match, in no order.
pub async fn ids(pool: &PgPool, filter: &IssueFilter, limit: i64) -> Result<Vec<IssueId>> {
    let mut sql = QueryBuilder::new("select i.id from issue i where ");
    push_scope(&mut sql, filter);
    sql.push(" limit ").push_bind(limit);
    Ok(sql.build_query_scalar().persistent(false).fetch_all(pool).await?)
}

/// The issue with this id.
pub async fn find(pool: &PgPool, id: IssueId) -> Result<Option<IssueRow>> {
    let mut sql = select_issues();
    sql.push(" where i.id = coalesce((select issue_id from issue_redirect where old_id = ").push_bind(id);
    sql.push("), ").push_bind(id).push(")");
    Ok(sql.build_query_as().fetch_optional(pool).await?)
}

/// The issue that is called `WEB-42` in the organization, or was before it was merged: `slug` in any case, `number` as
/// written.
pub async fn find_by_short_id(
    pool: &PgPool,
    organization: OrganizationId,
    slug: &str,
    number: i64,
) -> Result<Option<IssueRow>> {
    let mut sql = select_issues();
    sql.push(" where o.id = ").push_bind(organization);
    sql.push(" and lower(p.slug) = ").push_bind(slug.to_lowercase());
    sql.push(" and (i.short_id = ").push_bind(number);
    sql.push(" or i.id in (select issue_id from issue_redirect r where r.project_id = p.id and r.old_short_id = ");
    sql.push_bind(number).push(")) order by p.id limit 1");
    Ok(sql.build_query_as().fetch_optional(pool).await?)
}

const COLUMNS: &str = "i.project_id, i.id, i.short_id, i.status, i.is_regressed, i.resolved_at, i.kind, i.level,
    i.platform, i.logger, i.title, i.culprit, i.metadata, i.is_unhandled, i.first_seen, i.last_seen, i.event_count,
    i.user_count, i.first_release, i.last_release, p.slug as project_slug, p.name as project_name,
    p.platform as project_platform, o.id as organization_id, o.slug as organization_slug";

const JOINS: &str = " join project p on p.id = i.project_id join organization o on o.id = p.organization_id";

fn select_issues() -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("select ");
    sql.push(COLUMNS).push(" from issue i").push(JOINS);
    sql
}

fn place(sort: IssueSort) -> impl Fn(&IssueRow) -> (i64, u128) {
    move |issue| {
        let value = match sort {
            IssueSort::LastSeen => issue.last_seen.timestamp_micros(),
            IssueSort::FirstSeen => issue.first_seen.timestamp_micros(),
            IssueSort::EventCount => issue.event_count,
        };
        (value, u128::try_from(issue.id.0).unwrap_or_default())
    }
}

fn push_value(sql: &mut QueryBuilder<Postgres>, sort: IssueSort, value: i64) {
    match sort {
        IssueSort::EventCount => sql.push_bind(value),
        // A cursor somebody made up may name a time that cannot be: begin at the oldest then.
        IssueSort::LastSeen | IssueSort::FirstSeen => {
            sql.push_bind(DateTime::from_timestamp_micros(value).unwrap_or_default())
        }
    };
}

fn push_order(sql: &mut QueryBuilder<Postgres>, sort: IssueSort, backwards: bool) {
    sql.push(" order by ").push(sort.column());
    sql.push(if backwards { " asc, i.id asc" } else { " desc, i.id desc" });
}

/// The statuses that all `is:` terms together leave over.
fn statuses(query: &IssueQuery) -> Vec<i16> {
    let allowed = |status: &IssueStatus| {
        query.terms.iter().all(|term| match term.condition {
            Condition::Status(asked) => (asked == *status) != term.negated,
            _ => true,
        })
    };
    IssueStatus::ALL.into_iter().filter(allowed).map(IssueStatus::code).collect()
}

fn push_scope(sql: &mut QueryBuilder<Postgres>, filter: &IssueFilter) {
    sql.push("i.project_id = any(").push_bind(filter.projects.clone());
    sql.push(") and i.status = any(").push_bind(statuses(&filter.query)).push(")");
    push_conditions(sql, filter);
}

/// Everything but projects and statuses.
fn push_conditions(sql: &mut QueryBuilder<Postgres>, filter: &IssueFilter) {
    if let Some(since) = filter.seen_since {
        sql.push(" and i.last_seen >= ").push_bind(since);
    }
    if let Some(until) = filter.seen_until {
        sql.push(" and i.first_seen <= ").push_bind(until);
    }
    if let Some(only) = &filter.only {
        sql.push(" and i.id = any(").push_bind(only.clone()).push(")");
    }
    if !filter.environments.is_empty() {
        sql.push(" and ");
        push_environment(sql, &filter.environments);
    }
    for term in &filter.query.terms {
        if matches!(term.condition, Condition::Status(_)) {
            continue;
        }
        sql.push(if term.negated { " and not (" } else { " and (" });
        push_condition(sql, &term.condition);
        sql.push(")");
    }
}

fn push_condition(sql: &mut QueryBuilder<Postgres>, condition: &Condition) {
    match condition {
        // Decided by `statuses`.
        Condition::Status(_) => sql.push("true"),
        Condition::Regressed => sql.push("i.is_regressed"),
        Condition::Unhandled(asked) => sql.push("i.is_unhandled = ").push_bind(*asked),
        Condition::Level(levels) => {
            let codes: Vec<i16> = levels.iter().map(|level| level.code()).collect();
            sql.push("i.level = any(").push_bind(codes).push(")")
        }
        Condition::Logger(names) => sql.push("i.logger = any(").push_bind(names.clone()).push(")"),
        Condition::Platform(names) => sql.push("i.platform = any(").push_bind(names.clone()).push(")"),
        Condition::ErrorType(names) => sql.push("i.metadata->>'type' = any(").push_bind(names.clone()).push(")"),
        Condition::FirstRelease(names) => sql.push("i.first_release = any(").push_bind(names.clone()).push(")"),
        Condition::Environment(names) => push_environment(sql, names),
        Condition::ShortId(slug, number) => sql
            .push("i.short_id = ")
            .push_bind(*number)
            .push(" and i.project_id in (select id from project where lower(slug) = ")
            .push_bind(slug.clone())
            .push(")"),
        Condition::Text(text) => sql
            .push(
                "exists (select from issue_text t where t.project_id = i.project_id and t.issue_id = i.id
                    and t.document like ",
            )
            .push_bind(format!("%{}%", escape_like(text)))
            .push(")"),
        Condition::HasTag(key) => push_tag(sql, key).push(")"),
        Condition::Tag(key, values) => push_tag_values(sql, key, values),
    };
}

/// Named environments are looked up among the tags, which have an index by value; events without
/// any are found in the hourly counts only.
fn push_environment<'a>(sql: &'a mut QueryBuilder<Postgres>, names: &[String]) -> &'a mut QueryBuilder<Postgres> {
    let wanted: Vec<String> = names.iter().filter(|name| !name.is_empty()).cloned().collect();
    sql.push("(");
    if wanted.len() < names.len() {
        sql.push(
            "exists (select from issue_hourly h where h.project_id = i.project_id and h.issue_id = i.id
                and h.environment = '') or ",
        );
    }
    push_tag(sql, "environment").push(" and t.value = any(").push_bind(wanted).push(")))")
}

/// Opens a sub-query over the issue's values of a tag; the caller closes it.
fn push_tag<'a>(sql: &'a mut QueryBuilder<Postgres>, key: &str) -> &'a mut QueryBuilder<Postgres> {
    sql.push("exists (select from issue_tag t where t.project_id = i.project_id and t.issue_id = i.id and t.key = ")
        .push_bind(key.to_owned())
}

fn push_tag_values<'a>(
    sql: &'a mut QueryBuilder<Postgres>,
    key: &str,
    values: &[TagValue],
) -> &'a mut QueryBuilder<Postgres> {
    let mut exact = Vec::new();
    let mut like = Vec::new();
    let mut unset = false;
    for value in values {
        match value {
            TagValue::Exact(value) if value.is_empty() => unset = true,
            TagValue::Exact(value) => exact.push(value.clone()),
            TagValue::Like(pattern) => like.push(pattern.clone()),
        }
    }
    // Only what was asked for: with an empty alternative the index by value would not be used.
    sql.push("(");
    let mut joint = "";
    if unset {
        sql.push("not ");
        push_tag(sql, key).push(")");
        joint = " or ";
    }
    if !exact.is_empty() {
        push_tag(sql.push(joint), key).push(" and t.value = any(").push_bind(exact).push("))");
        joint = " or ";
    }
    if !like.is_empty() {
        push_tag(sql.push(joint), key).push(" and t.value like any(").push_bind(like).push("))");
    }
    sql.push(")")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(query: &str) -> Vec<i16> {
        statuses(&IssueQuery::parse(query).unwrap())
    }

    #[test]
    fn statuses_that_are_left_over() {
        assert_eq!(left("boom"), [0, 1, 2]);
        assert_eq!(left("is:unresolved"), [0]);
        assert_eq!(left("!is:resolved"), [0, 2]);
        assert_eq!(left("!is:resolved !is:muted"), [0]);
        assert_eq!(left("is:resolved is:ignored"), [0i16; 0]);
    }
}
