//! What a batch of events leaves to be told.

use glitchbox::store::alert::{self, NewAlert};
use glitchbox::store::event_batch::write;
use glitchbox::store::issue_status::{self, IssueStatus};
use sqlx::PgPool;

use crate::store::{event, new_project};
use crate::support::TestDatabase;

/// (reason, regression) of every notice, oldest first.
async fn notices(pool: &PgPool) -> Vec<(i16, i32)> {
    sqlx::query_as("select reason, regression from notice order by id").fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn new_and_reopened_issues_are_noted_once() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let first = [event(project, 1, 0), event(project, 1, 1), event(project, 2, 2)];
    let report = write(pool, &first).await.unwrap();
    assert_eq!(notices(pool).await, [(0, 0), (0, 0)]);

    // Neither another event nor the same batch once more is news.
    write(pool, &[event(project, 1, 3)]).await.unwrap();
    write(pool, &first).await.unwrap();
    assert_eq!(notices(pool).await.len(), 2);

    for (round, seconds) in [(1, 3600), (2, 7200)] {
        issue_status::update(pool, &[report.new_issues[0].1], IssueStatus::Resolved).await.unwrap();
        sqlx::query("update issue set resolved_at = first_seen where status = 1").execute(pool).await.unwrap();
        let back = [event(project, 1, seconds), event(project, 1, seconds + 1)];
        assert_eq!(write(pool, &back).await.unwrap().regressed.len(), 1);
        write(pool, &back).await.unwrap();
        assert_eq!(notices(pool).await.last(), Some(&(1, round)));
        assert_eq!(notices(pool).await.len(), 2 + usize::try_from(round).unwrap());
    }
}

#[tokio::test]
async fn nothing_is_noted_for_an_alert_that_is_off_or_wants_a_number() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let mut settings = NewAlert {
        name: "Off".to_owned(),
        is_enabled: false,
        timespan_minutes: None,
        quantity: None,
        recipients: Vec::new(),
    };
    let id = alert::list(pool, project).await.unwrap()[0].id;
    alert::update(pool, project, id, &settings).await.unwrap();
    settings = NewAlert { is_enabled: true, timespan_minutes: Some(5), quantity: Some(3), ..settings };
    alert::insert(pool, project, &settings).await.unwrap();
    write(pool, &[event(project, 1, 0)]).await.unwrap();
    assert_eq!(notices(pool).await, []);
}
