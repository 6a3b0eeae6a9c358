//! The harness itself: what every other test relies on.

use crate::support::{TestApp, TestDatabase, TestRedis};

#[tokio::test]
async fn each_test_has_a_migrated_database_of_its_own() {
    let (one, two) = (TestDatabase::new().await, TestDatabase::new().await);
    for database in [&one, &two] {
        sqlx::query("insert into organization (slug, name) values ('a', 'A')").execute(database.pool()).await.unwrap();
    }
    let other = sqlx::PgPool::connect(&two.url()).await.unwrap();
    let (count,): (i64,) = sqlx::query_as("select count(*) from organization").fetch_one(&other).await.unwrap();
    assert_eq!(count, 1);
}

#[test]
fn each_test_has_a_redis_of_its_own() {
    use std::os::unix::net::UnixStream;

    let mut redis = TestRedis::start();
    assert_eq!(redis.command("PING"), "+PONG");
    redis.stop();
    assert!(UnixStream::connect(redis.socket()).is_err());
    redis.restart();
    assert!(UnixStream::connect(redis.socket()).is_ok());
}

#[tokio::test]
async fn the_application_answers_on_its_port() {
    let app = TestApp::start().await;
    let reply = app.client().get("/_health/").await.expect(200);
    assert_eq!(reply.text(), "ok");
}

#[tokio::test]
async fn what_is_sent_is_stored_once_the_queue_is_drained() {
    let app = TestApp::start().await;
    let event = serde_json::json!({ "event_id": "5".repeat(32), "message": "twice sent, once stored" });
    for _ in 0..2 {
        app.send_event(&event).await.expect(200);
        app.drain().await;
    }
    let count =
        sqlx::query_scalar::<_, i64>("select count(*) from event").fetch_one(app.database.pool()).await.unwrap();
    assert_eq!(count, 1);
}
