//! The batch that stores events: what it counts, and that nothing counts twice.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use glitchbox::ids::{EventId, IssueId, ProjectId};
use glitchbox::protocol::{EventKind, Level};
use glitchbox::store::event_batch::{BatchReport, NewEvent, write};
use glitchbox::store::{StoreError, organization, partition, project, project_key};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::TestDatabase;

/// An organization with one project.
pub(crate) async fn new_project(pool: &PgPool) -> ProjectId {
    let organization = organization::insert(pool, "acme", "Acme").await.unwrap();
    let new = project::NewProject { organization_id: organization.id, slug: "web", name: "Web", platform: "" };
    project::insert(pool, new).await.unwrap().id
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

/// An error of issue `issue`, `seconds` after noon.
pub(crate) fn event(project_id: ProjectId, issue: u8, seconds: i64) -> NewEvent {
    let at = noon() + TimeDelta::seconds(seconds);
    NewEvent {
        project_id,
        event_id: EventId::random(),
        ingest_id: Uuid::now_v7(),
        received_at: at,
        received_on: at.date_naive(),
        occurred_at: at,
        kind: EventKind::Error,
        level: Level::Error,
        platform: "python".to_owned(),
        environment: Some("production".to_owned()),
        release: None,
        hash: [issue; 32],
        hash_version: 1,
        title: format!("ValueError: case {issue}"),
        culprit: "shop.checkout in pay".to_owned(),
        metadata: json!({"type": "ValueError", "value": format!("case {issue}")}),
        logger: String::new(),
        is_unhandled: false,
        tags: vec![("server_name".to_owned(), "web-1".to_owned())],
        user: None,
        payload: b"payload".to_vec(),
    }
}

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Issue {
    id: IssueId,
    short_id: i64,
    status: i16,
    is_regressed: bool,
    title: String,
    event_count: i64,
    user_count: i64,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    first_release: Option<String>,
    last_release: Option<String>,
}

async fn issues(pool: &PgPool) -> Vec<Issue> {
    sqlx::query_as(
        "select id, short_id, status, is_regressed, title, event_count, user_count, first_seen, last_seen,
             first_release, last_release
         from issue order by short_id",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// (outcome, reason, quantity)
async fn outcomes(pool: &PgPool) -> Vec<(String, String, i64)> {
    sqlx::query_as("select outcome, reason, sum(quantity)::bigint from outcome_hourly group by 1, 2 order by 1, 2")
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Every counter says what the rows of `event` say.
async fn assert_counters(pool: &PgPool) {
    for (what, sql) in [
        (
            "issue.event_count",
            "select count(*) from issue i full join
                 (select project_id, issue_id, count(*) as n, min(occurred_at) as first, max(occurred_at) as last
                  from event group by 1, 2) e
             on e.project_id = i.project_id and e.issue_id = i.id
             where e.n is distinct from i.event_count or e.first <> i.first_seen or e.last <> i.last_seen",
        ),
        (
            "issue_hourly",
            "select count(*) from issue_hourly h full join
                 (select project_id, issue_id, date_trunc('hour', received_at) as hour,
                      coalesce(environment, '') as environment, count(*) as n from event group by 1, 2, 3, 4) e
             using (project_id, issue_id, hour, environment) where e.n is distinct from h.event_count",
        ),
        (
            "issue.user_count",
            "select count(*) from issue i where i.user_count <>
                 (select count(*) from issue_user u where u.project_id = i.project_id and u.issue_id = i.id)",
        ),
        (
            "issue_tag",
            "select count(*) from issue i where i.event_count <>
                 (select coalesce(sum(times_seen), 0) from issue_tag t
                  where t.project_id = i.project_id and t.issue_id = i.id and t.key = 'server_name')",
        ),
        (
            "outcome_hourly",
            "select count(*) from (select project_id, hour, quantity from outcome_hourly where outcome = 'stored') o
             full join (select project_id, date_trunc('hour', received_at) as hour, count(*) as n from event group by 1, 2) e
             using (project_id, hour) where e.n is distinct from o.quantity",
        ),
        ("issue_hash", "select count(*) from issue i where not exists (select from issue_hash h where h.issue_id = i.id)"),
        ("issue_text", "select count(*) from issue i where not exists (select from issue_text t where t.issue_id = i.id)"),
    ] {
        assert_eq!(number(pool, sql).await, 0, "{what}");
    }
}

#[tokio::test]
async fn a_batch_makes_issues_and_counts_them() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let mut batch = vec![event(project, 1, 0), event(project, 1, 60), event(project, 2, 30)];
    batch[0].user = Some("id:1".to_owned());
    batch[1].user = Some("id:2".to_owned());
    batch[0].release = Some("1.0".to_owned());
    batch[1].release = Some("1.1".to_owned());
    batch[1].title = "ValueError: newest".to_owned();

    let report = write(pool, &batch).await.unwrap();
    assert_eq!((report.stored, report.duplicates, report.redelivered, report.orphaned), (3, 0, 0, 0));
    assert_eq!(report.new_issues.len(), 2);
    assert!(report.regressed.is_empty());

    let rows = issues(pool).await;
    assert_eq!(rows.iter().map(|row| row.short_id).collect::<Vec<_>>(), [1, 2]);
    let first = &rows[0];
    assert_eq!((first.event_count, first.user_count), (2, 2));
    assert_eq!(first.title, "ValueError: newest");
    assert_eq!((first.first_seen, first.last_seen), (noon(), noon() + TimeDelta::seconds(60)));
    assert_eq!((first.first_release.as_deref(), first.last_release.as_deref()), (Some("1.0"), Some("1.1")));
    assert_counters(pool).await;
    assert_eq!(outcomes(pool).await, [("stored".to_owned(), String::new(), 3)]);
    let document: String = sqlx::query_scalar("select document from issue_text where issue_id = $1")
        .bind(first.id)
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(document, "valueerror: newest\nshop.checkout in pay\nvalueerror\ncase 1");
    let seen: Option<DateTime<Utc>> =
        sqlx::query_scalar("select first_event_at from project").fetch_one(pool).await.unwrap();
    assert_eq!(seen, Some(noon()));

    // A late event counts, but describes nothing.
    let mut late = event(project, 1, -3600);
    late.release = Some("0.9".to_owned());
    write(pool, &[late]).await.unwrap();
    let first = issues(pool).await.remove(0);
    assert_eq!(first.title, "ValueError: newest");
    assert_eq!((first.first_seen, first.event_count), (noon() - TimeDelta::seconds(3600), 3));
    assert_eq!((first.first_release.as_deref(), first.last_release.as_deref()), (Some("0.9"), Some("1.1")));
    assert_counters(pool).await;
}

#[tokio::test]
async fn duplicates_are_counted_and_redelivery_is_not() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let original = event(project, 1, 0);
    // The same id received again, within the batch and later; with another grouping, too.
    let twin = NewEvent { ingest_id: Uuid::now_v7(), ..original.clone() };
    let other = NewEvent { ingest_id: Uuid::now_v7(), hash: [9; 32], ..original.clone() };

    let report = write(pool, &[original.clone(), twin.clone(), original.clone()]).await.unwrap();
    assert_eq!((report.stored, report.duplicates, report.redelivered), (1, 1, 1));
    let expected = [("filtered".to_owned(), "duplicate".to_owned(), 1), ("stored".to_owned(), String::new(), 1)];
    assert_eq!(outcomes(pool).await, expected);

    // The whole batch comes again, as after a crash between commit and acknowledgement.
    let before = issues(pool).await;
    let report = write(pool, &[original.clone(), twin.clone()]).await.unwrap();
    assert_eq!(report, BatchReport { redelivered: 2, ..BatchReport::default() });
    assert_eq!(issues(pool).await, before);
    assert_eq!(outcomes(pool).await, expected);

    let report = write(pool, std::slice::from_ref(&other)).await.unwrap();
    assert_eq!(report, BatchReport { duplicates: 1, ..BatchReport::default() });
    let report = write(pool, &[other]).await.unwrap();
    assert_eq!(report, BatchReport { redelivered: 1, ..BatchReport::default() });
    assert_eq!(issues(pool).await, before, "no issue without an event");
    assert_eq!(outcomes(pool).await[0], ("filtered".to_owned(), "duplicate".to_owned(), 2));
    assert_counters(pool).await;
}

#[tokio::test]
async fn a_newer_event_reopens_a_resolved_issue() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    write(pool, &[event(project, 1, 0), event(project, 2, 0)]).await.unwrap();
    sqlx::query("update issue set status = short_id, resolved_at = $1").bind(noon()).execute(pool).await.unwrap();

    let within = [event(project, 1, 5), event(project, 2, 5), event(project, 1, -60)];
    assert!(write(pool, &within).await.unwrap().regressed.is_empty());
    assert_eq!(issues(pool).await.iter().map(|issue| issue.status).collect::<Vec<_>>(), [1, 2]);

    let report = write(pool, &[event(project, 1, 6), event(project, 2, 6)]).await.unwrap();
    let rows = issues(pool).await;
    assert_eq!(report.regressed, [(project, rows[0].id)]);
    assert_eq!((rows[0].status, rows[0].is_regressed), (0, true));
    assert_eq!((rows[1].status, rows[1].is_regressed), (2, false), "ignored stays ignored");
    assert_counters(pool).await;
}

#[tokio::test]
async fn events_of_a_deleted_project_are_dropped() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let gone = ProjectId(project.0 + 1);
    let report = write(pool, &[event(gone, 1, 0), event(project, 1, 0), event(gone, 2, 0)]).await.unwrap();
    assert_eq!((report.stored, report.orphaned), (1, 2));
    assert_counters(pool).await;
}

#[tokio::test]
async fn bad_data_is_told_from_a_bad_connection_and_leaves_nothing() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let mut bad = event(project, 2, 0);
    bad.tags.push(("key".to_owned(), "a\0b".to_owned()));
    let error = write(pool, &[event(project, 1, 0), bad]).await.unwrap_err();
    assert!(matches!(error, StoreError::Data(_)) && !error.is_retryable(), "{error:?}");
    assert_eq!(number(pool, "select (select count(*) from event) + (select count(*) from issue)").await, 0);

    pool.close().await;
    let error = write(pool, &[event(project, 1, 0)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)) && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn partitions_are_made_once_whoever_asks() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let first = NaiveDate::from_ymd_opt(2026, 12, 30).unwrap();
    let last = NaiveDate::from_ymd_opt(2027, 1, 2).unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { partition::ensure(&pool, first..=last).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(
        partition::list(pool, partition::Table::Event).await.unwrap(),
        first.iter_days().take(4).collect::<BTreeSet<_>>()
    );
}

/// A small generator: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn random_event(random: &mut Random, projects: &[ProjectId]) -> NewEvent {
    let project = projects[usize::try_from(random.below(projects.len() as u64)).unwrap()];
    let mut event =
        event(project, u8::try_from(random.below(40)).unwrap(), i64::try_from(random.below(90_000)).unwrap());
    event.occurred_at -= TimeDelta::seconds(i64::try_from(random.below(5000)).unwrap());
    event.environment =
        [None, Some("production"), Some("staging")][usize::try_from(random.below(3)).unwrap()].map(str::to_owned);
    event.release = Some(format!("1.{}", random.below(5)));
    event.user = (random.below(4) > 0).then(|| format!("id:{}", random.below(50)));
    event.tags = vec![("server_name".to_owned(), format!("web-{}", random.below(8)))];
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_overlap_store_each_event_once() {
    const EVENTS: usize = 10_000;
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let one = new_project(pool).await;
    let organization = project::find(pool, one).await.unwrap().unwrap().organization_id;
    let new = project::NewProject { organization_id: organization, slug: "api", name: "API", platform: "" };
    let two = project::insert(pool, new).await.unwrap().id;
    let mut random = Random(20);
    let mut events: Vec<NewEvent> = (0..EVENTS).map(|_| random_event(&mut random, &[one, two])).collect();
    // 300 true duplicates: the same id, another reception.
    for _ in 0..300 {
        let original = &events[usize::try_from(random.below(EVENTS as u64)).unwrap()];
        events.push(NewEvent { ingest_id: Uuid::now_v7(), ..original.clone() });
    }

    // Three writers, each with every event, in its own order and batch sizes.
    let mut tasks = Vec::new();
    for seed in 1..=3_u64 {
        let mut random = Random(seed);
        let mut mine = events.clone();
        for i in (1..mine.len()).rev() {
            mine.swap(i, usize::try_from(random.below(i as u64 + 1)).unwrap());
        }
        let pool = pool.clone();
        tasks.push(tokio::spawn(async move {
            let mut total = BatchReport::default();
            let mut rest = mine.as_slice();
            while !rest.is_empty() {
                let size = usize::try_from(1 + random.below(700)).unwrap().min(rest.len());
                let (batch, tail) = rest.split_at(size);
                let report = write(&pool, batch).await.unwrap();
                total.stored += report.stored;
                total.duplicates += report.duplicates;
                total.redelivered += report.redelivered;
                total.new_issues.extend(report.new_issues);
                rest = tail;
            }
            total
        }));
    }
    let mut total = BatchReport::default();
    for task in tasks {
        let report = task.await.unwrap();
        total.stored += report.stored;
        total.duplicates += report.duplicates;
        total.redelivered += report.redelivered;
        total.new_issues.extend(report.new_issues);
    }

    assert_eq!((total.stored, total.duplicates), (EVENTS, 300));
    assert_eq!(total.redelivered, 2 * (EVENTS + 300));
    assert_eq!(number(pool, "select count(*) from event").await, i64::try_from(EVENTS).unwrap());
    let distinct: BTreeSet<_> = total.new_issues.iter().collect();
    assert_eq!((distinct.len(), total.new_issues.len()), (80, 80));
    assert_counters(pool).await;
    assert_eq!(outcomes(pool).await[0], ("filtered".to_owned(), "duplicate".to_owned(), 300));

    // Users and short ids against a model that knows no SQL. (Which of two receptions is stored is open, but
    // they are alike in everything that counts.)
    let mut users: BTreeMap<(ProjectId, u8), BTreeSet<&str>> = BTreeMap::new();
    for event in &events {
        let of_issue = users.entry((event.project_id, event.hash[0])).or_default();
        of_issue.extend(event.user.as_deref());
    }
    let expected: i64 = users.values().map(|set| i64::try_from(set.len()).unwrap()).sum();
    assert_eq!(number(pool, "select sum(user_count)::bigint from issue").await, expected);
    let short_ids: Vec<i64> = sqlx::query_scalar("select short_id from issue where project_id = $1 order by 1")
        .bind(one)
        .fetch_all(pool)
        .await
        .unwrap();
    assert_eq!(short_ids, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_key_is_found_by_its_public_part() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let key = project_key::insert(pool, project, "Default").await.unwrap();
    let found = project_key::find(pool, &key.public_key).await.unwrap().unwrap();
    assert_eq!((found.key_id, found.project_id, found.is_active), (key.id, project, true));
    project_key::set_active(pool, &key.public_key, false).await.unwrap().unwrap();
    assert!(!project_key::find(pool, &key.public_key).await.unwrap().unwrap().is_active);
    assert!(project_key::find(pool, &"0".repeat(32)).await.unwrap().is_none());
}
