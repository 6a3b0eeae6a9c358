//! What goes when its time is over, and what stays.

use std::fs::{self, File};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use glitchbox::config::Config;
use glitchbox::ids::{EventId, ProjectId};
use glitchbox::jobs::clean_up::{self, Removed};
use glitchbox::jobs::remove_files;
use glitchbox::protocol::{EventKind, Level, Stamp, StampedItem};
use glitchbox::queue::Queue;
use glitchbox::store::event_batch::{NewEvent, write};
use glitchbox::store::session::{self, NewSession};
use glitchbox::store::user::{self, NewUser};
use glitchbox::store::{organization, partition, payload_dictionary, project};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{TestApp, TestDatabase};

/// Settings with a life of seven days.
fn week() -> Config {
    Config::from_lookup(&|name| (name == "GLITCHTIP_MAX_EVENT_LIFE_DAYS").then(|| "7".to_owned())).unwrap()
}

fn today() -> NaiveDate {
    Utc::now().date_naive()
}

fn days_ago(days: u64) -> NaiveDate {
    today().checked_sub_days(Days::new(days)).unwrap()
}

async fn new_project(pool: &PgPool) -> ProjectId {
    let organization = organization::insert(pool, "acme", "Acme").await.unwrap();
    let new = project::NewProject { organization_id: organization.id, slug: "web", name: "Web", platform: "" };
    project::insert(pool, new).await.unwrap().id
}

/// An error of issue `issue`, received so many days ago at noon.
fn event(project_id: ProjectId, issue: u8, days: u64) -> NewEvent {
    let day = days_ago(days);
    let at = day.and_hms_opt(12, 0, 0).unwrap().and_utc();
    NewEvent {
        project_id,
        event_id: EventId::random(),
        ingest_id: Uuid::now_v7(),
        received_at: at,
        received_on: day,
        occurred_at: at,
        kind: EventKind::Error,
        level: Level::Error,
        platform: "python".to_owned(),
        environment: None,
        release: None,
        hash: [issue; 32],
        hash_version: 1,
        title: format!("ValueError: case {issue}"),
        culprit: "shop.checkout in pay".to_owned(),
        metadata: json!({"type": "ValueError"}),
        logger: String::new(),
        is_unhandled: false,
        tags: vec![("day".to_owned(), day.to_string())],
        user: Some(format!("id:{}", Uuid::now_v7())),
        payload: b"payload".to_vec(),
    }
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

async fn texts(pool: &PgPool, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

/// Cleans up, and says what has gone of which rules.
async fn clean_up(pool: &PgPool, config: &Config) -> Vec<(&'static str, u64)> {
    let all = clean_up::remove_all(pool, config).await;
    clean_up::sum_up(&all).unwrap();
    all.iter().filter(|one| one.removed > 0).map(|one| (one.what, one.removed)).collect()
}

#[tokio::test]
async fn events_go_by_the_day_and_take_with_them_what_hangs_on_them() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    // Received lately, but of long ago by the sender's clock.
    let late = NewEvent { occurred_at: Utc::now() - TimeDelta::days(60), ..event(project, 3, 0) };
    // As far behind as a sender's clock is believed.
    let tags = vec![("clock".to_owned(), "behind".to_owned())];
    let behind = NewEvent { occurred_at: Utc::now() - TimeDelta::days(29), tags, ..event(project, 2, 0) };
    let batch = [
        event(project, 1, 10),
        event(project, 1, 8),
        event(project, 2, 40),
        event(project, 2, 8),
        event(project, 2, 7),
        behind,
        late,
        event(project, 4, 0),
    ];
    write(pool, &batch).await.unwrap();

    let removed = clean_up(pool, &week()).await;
    let expected = [
        // Forty, ten and eight days ago.
        ("event_days", 3),
        // Each day is made for all that comes by the day.
        ("log_days", 3),
        ("span_days", 3),
        ("attachment_days", 3),
        ("issues", 1),
        ("issue_hours", 4),
        // Two of the first issue, and what the second had forty days ago and not since.
        ("issue_tags", 3),
        ("issue_users", 2),
        ("outcome_counts", 3),
    ];
    assert_eq!(removed, expected);
    assert_eq!(partition::list(pool, partition::Table::Event).await.unwrap(), [days_ago(7), today()].into());
    assert_eq!(number(pool, "select count(*) from event").await, 4);
    assert_eq!(number(pool, "select count(*) from issue_tag where value = 'behind'").await, 1);
    let titles = texts(pool, "select title from issue order by title").await;
    assert_eq!(titles, ["ValueError: case 2", "ValueError: case 3", "ValueError: case 4"]);
    for table in [
        "select count(*) from issue_hash",
        "select count(*) from issue_text",
        "select count(distinct issue_id) from issue_tag",
        "select count(distinct issue_id) from issue_user",
        "select count(distinct issue_id) from issue_hourly",
    ] {
        assert_eq!(number(pool, table).await, 3, "{table}");
    }
    assert_eq!(number(pool, "select count(*) from outcome_hourly").await, 2);
    // An issue goes on counting what it has seen in all.
    assert_eq!(number(pool, "select event_count from issue where title like '%2'").await, 4);
    assert_eq!(number(pool, "select user_count from issue where title like '%2'").await, 4);
    assert_eq!(clean_up(pool, &week()).await, [], "the second time there is nothing to do");

    // What comes back is a new issue.
    let report = write(pool, &[event(project, 1, 0)]).await.unwrap();
    assert_eq!(report.new_issues.len(), 1);
}

#[tokio::test]
async fn a_reader_keeps_its_day_and_ingest_goes_on() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    write(pool, &[event(project, 1, 8), event(project, 2, 0)]).await.unwrap();

    let mut reader = pool.begin().await.unwrap();
    sqlx::query("select count(*) from event").execute(&mut *reader).await.unwrap();
    let (cleaner, config) = (pool.clone(), week());
    let cleaning = tokio::spawn(async move { clean_up::remove_all(&cleaner, &config).await });
    let mut longest = Duration::ZERO;
    while !cleaning.is_finished() {
        let start = Instant::now();
        write(pool, &[event(project, 2, 0)]).await.unwrap();
        longest = longest.max(start.elapsed());
    }
    assert!(longest < Duration::from_secs(3), "a batch waited for {longest:?}");
    let all = cleaning.await.unwrap();
    let failed: Vec<&str> = all.iter().filter(|one| one.error.is_some()).map(|one| one.what).collect();
    assert_eq!(failed, ["event_days"]);
    assert!(clean_up::sum_up(&all).is_err(), "the job is tried again");
    assert_eq!(number(pool, "select count(*) from issue").await, 2, "its event is still there");
    reader.rollback().await.unwrap();

    let removed = clean_up(pool, &week()).await;
    assert_eq!(&removed[..2], [("event_days", 1), ("issues", 1)]);
    assert_eq!(number(pool, "select count(*) from issue").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clean_up_and_ingest_run_at_the_same_time() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let old: Vec<NewEvent> = (0..=255).flat_map(|issue| [event(project, issue, 8), event(project, issue, 9)]).collect();
    write(pool, &old).await.unwrap();

    let writer = tokio::spawn({
        let pool = pool.clone();
        async move {
            for round in 0..40_u8 {
                // Every issue lives again at some time: before, while or after it is removed.
                let batch: Vec<NewEvent> =
                    (0..64).map(|n| event(project, round.wrapping_mul(13).wrapping_add(n * 4), 0)).collect();
                // The worker, too, tries again when clean-up was in its way.
                while let Err(error) = write(&pool, &batch).await {
                    assert!(error.is_retryable(), "{error}");
                }
            }
        }
    });
    while !writer.is_finished() {
        let all = clean_up::remove_all(pool, &week()).await;
        clean_up::sum_up(&all).unwrap();
    }
    writer.await.unwrap();
    clean_up(pool, &week()).await;

    assert_eq!(number(pool, "select count(*) from event").await, 40 * 64);
    for (what, sql) in [
        (
            "an event without its issue",
            "select count(*) from event e where not exists (select from issue i where i.id = e.issue_id)",
        ),
        (
            "an issue without events",
            "select count(*) from issue i where not exists (select from event e where e.issue_id = i.id)",
        ),
        (
            "an issue nothing leads to",
            "select count(*) from issue i where not exists (select from issue_hash h where h.issue_id = i.id)",
        ),
        (
            "hours miscounted",
            "select count(*) from (select issue_id, sum(event_count) as n from issue_hourly group by 1) h
             full join (select issue_id, count(*) as n from event group by 1) e using (issue_id)
             where h.n is distinct from e.n",
        ),
        (
            "users miscounted",
            "select count(*) from issue i where i.user_count <> (select count(*) from issue_user u where u.issue_id = i.id)",
        ),
    ] {
        assert_eq!(number(pool, sql).await, 0, "{what}");
    }
}

#[tokio::test]
async fn an_issue_with_very_many_users_and_hours_goes_piece_by_piece() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    write(pool, &[event(project, 1, 8)]).await.unwrap();
    sqlx::query(
        "insert into issue_user select project_id, id, decode(lpad(to_hex(n), 32, '0'), 'hex')
         from issue, generate_series(1, 45000) n",
    )
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("update issue set user_count = user_count + 45000").execute(pool).await.unwrap();
    sqlx::query(
        "insert into issue_hourly select project_id, id, first_seen - interval '1 hour' * n, 'production', 1
         from issue, generate_series(1, 39999) n",
    )
    .execute(pool)
    .await
    .unwrap();
    partition::remove(pool, partition::Table::Event, days_ago(8), Duration::from_secs(1)).await.unwrap();

    let before = days_ago(7).and_hms_opt(0, 0, 0).unwrap().and_utc();
    let mut left = Vec::new();
    while glitchbox::store::issue_expiry::remove_some(pool, before).await.unwrap().is_some() {
        left.push(number(pool, "select coalesce(sum(user_count), 0)::bigint from issue").await);
        let rows = number(pool, "select count(*) from issue_user").await;
        assert_eq!(left.last(), Some(&rows), "the count is right at every moment");
    }
    assert_eq!(left, [25_001, 5_001, 0, 0], "and no more than that at once");
    assert_eq!(number(pool, "select count(*) from issue").await, 0);
}

async fn queue_event(app: &TestApp, received_at: DateTime<Utc>, ingest_id: Uuid) {
    let stamp = Stamp {
        ingest_id,
        project_id: app.project.id,
        item_type: "event".to_owned(),
        event_id: EventId(ingest_id),
        received_at,
        received_on: received_at.date_naive(),
        sent_at: None,
        client_ip: None,
        user_agent: None,
    };
    let item = StampedItem { stamp, payload: json!({"message": "late"}).to_string().into() };
    app.app.queue.append(Queue::Ingest, item.encode()).await.unwrap();
}

#[tokio::test]
async fn an_event_that_comes_after_its_day_is_settled_as_expired_once() {
    let app = TestApp::start_with(&[("GLITCHTIP_MAX_EVENT_LIFE_DAYS", "7")]).await;
    let pool = &app.app.db;
    let (late, in_time) = (Uuid::now_v7(), Uuid::now_v7());
    // The same delivery twice in one batch, and again later.
    for _ in 0..2 {
        queue_event(&app, Utc::now() - TimeDelta::days(30), late).await;
    }
    queue_event(&app, Utc::now() - TimeDelta::days(5), in_time).await;
    app.drain().await;
    queue_event(&app, Utc::now() - TimeDelta::days(30), late).await;
    app.drain().await;

    assert_eq!(texts(pool, "select event_id::text from event").await, [in_time.to_string()]);
    let outcomes: Vec<(String, String, i64)> = sqlx::query_as(
        "select outcome, reason, quantity from outcome_hourly where hour < now() - interval '1 day' order by 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let expected = [("filtered", "expired", 1), ("stored", "", 1)];
    assert_eq!(outcomes, expected.map(|(outcome, reason, n)| (outcome.to_owned(), reason.to_owned(), n)));
    let days = partition::list(pool, partition::Table::Event).await.unwrap();
    assert!(!days.contains(&days_ago(30)) && days.contains(&days_ago(5)), "{days:?}");
    assert_eq!(app.queued_events().await, 0);
}

#[tokio::test]
async fn a_hundred_thousand_expired_sessions_go_in_bounded_batches() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let new = NewUser { email: "a@example.com", name: "", password_hash: None, is_superuser: false };
    let user_id = user::insert(pool, new).await.unwrap().id;
    let live = NewSession {
        token_hash: &[7; 32],
        user_id,
        expires_at: Utc::now() + TimeDelta::hours(1),
        client_ip: "",
        user_agent: "",
    };
    session::insert(pool, &live).await.unwrap();
    sqlx::query(
        "insert into session (token_hash, user_id, expires_at)
         select decode(lpad(to_hex(n), 64, '0'), 'hex'), $1, now() - n * interval '1 second'
         from generate_series(1, 100000) n",
    )
    .bind(user_id)
    .execute(pool)
    .await
    .unwrap();
    assert_eq!(session::delete_expired(pool, 5000).await.unwrap(), 5000);
    assert_eq!(clean_up(pool, &week()).await, [("sessions", 95_000)]);
    assert!(session::find(pool, &[7; 32]).await.unwrap().is_some());
    assert_eq!(number(pool, "select count(*) from session").await, 1);
}

#[tokio::test]
async fn dictionaries_receptions_and_counts_stay_as_long_as_they_are_needed() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    // Events of six days ago and of today; dictionaries made at various times.
    write(pool, &[event(project, 1, 6), event(project, 1, 0)]).await.unwrap();
    for (id, days) in [(1, 30), (2, 10), (3, 7), (4, 3)] {
        payload_dictionary::insert(pool, project, id, b"content").await.unwrap();
        sqlx::query("update payload_dictionary set created_at = now() - $2 * interval '1 day' where id = $1")
            .bind(id)
            .bind(days)
            .execute(pool)
            .await
            .unwrap();
    }
    sqlx::query(
        "insert into settled_ingest (received_on, ingest_id, settled_on) select d::date, gen_random_uuid(), d::date
         from generate_series(current_date - 5, current_date, interval '1 day') d, generate_series(1, 3)",
    )
    .execute(pool)
    .await
    .unwrap();
    for category in ["transaction", "session"] {
        sqlx::query(
            "insert into outcome_hourly (project_id, hour, category, outcome, quantity)
             select $1, date_trunc('day', now(), 'UTC') - n * interval '1 day', $2, 'rejected', 1 from generate_series(0, 20) n",
        )
        .bind(project)
        .bind(category)
        .execute(pool)
        .await
        .unwrap();
    }
    let config = Config::from_lookup(&|name| match name {
        "GLITCHTIP_MAX_EVENT_LIFE_DAYS" => Some("7".to_owned()),
        "GLITCHTIP_MAX_TRANSACTION_EVENT_LIFE_DAYS" => Some("14".to_owned()),
        _ => None,
    })
    .unwrap();
    let removed = clean_up(pool, &config).await;
    let expected = [
        // The second dictionary was written with until seven days ago, or a little longer: too near to six.
        ("payload_dictionaries", 1),
        // Those of eight to twenty days ago.
        ("outcome_counts", 13),
        ("transaction_counts", 6),
        // Three days of them, older than two.
        ("settled_receptions", 9),
    ];
    assert_eq!(removed, expected);
    assert_eq!(texts(pool, "select id::text from payload_dictionary order by id").await, ["2", "3", "4"]);
}

#[tokio::test]
async fn old_files_go_and_links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let age = |name: &str, days: u64| {
        let time = SystemTime::now() - Duration::from_hours(days * 24);
        File::open(at(name)).unwrap().set_modified(time).unwrap();
    };
    for folder in ["uploads/old", "uploads/mixed", "uploads/fresh", "elsewhere"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    for (file, days) in [
        ("uploads/old/a", 40),
        ("uploads/mixed/old", 31),
        ("uploads/mixed/new", 29),
        ("uploads/top", 400),
        ("elsewhere/kept", 400),
    ] {
        fs::write(at(file), "x").unwrap();
        age(file, days);
    }
    std::os::unix::fs::symlink(at("elsewhere"), at("uploads/link")).unwrap();
    for folder in ["uploads/old", "uploads/mixed", "elsewhere"] {
        age(folder, 40);
    }
    let data_dir = dir.path().display().to_string();
    let config = Config::from_lookup(&|name| match name {
        "DATA_DIR" => Some(data_dir.clone()),
        "GLITCHTIP_MAX_FILE_LIFE_DAYS" => Some("30".to_owned()),
        _ => None,
    })
    .unwrap();
    assert_eq!(remove_files::remove_old(&config), Removed { what: "files", removed: 3, error: None });
    let left = |folder: &str| {
        let mut names: Vec<String> =
            fs::read_dir(at(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(left("uploads"), ["fresh", "link", "mixed"]);
    assert_eq!(left("uploads/mixed"), ["new"]);
    assert_eq!(left("elsewhere"), ["kept"]);
    fs::remove_dir_all(at("uploads")).unwrap();
    assert_eq!(remove_files::remove_old(&config).error, None, "a worker elsewhere has no uploads");
}
