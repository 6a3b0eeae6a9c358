//! The harness itself: what every other test relies on.

use crate::support::{TestDatabase, TestRedis};

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
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    let mut redis = TestRedis::start();
    let mut reply = [0; 7];
    let mut stream = UnixStream::connect(redis.socket()).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
    redis.stop();
    assert!(UnixStream::connect(redis.socket()).is_err());
    redis.restart();
    assert!(UnixStream::connect(redis.socket()).is_ok());
}
