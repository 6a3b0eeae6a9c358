//! How the queues are, at a glance.

use bytes::Bytes;
use glitchbox::queue::{Producer, Queue};

use super::{config, consumer};
use crate::support::TestRedis;

#[tokio::test]
async fn an_overview_counts_everything_and_needs_nothing_to_be_there() {
    let redis = TestRedis::start();
    let producer = Producer::connect(&config(&redis)).unwrap();
    let empty = producer.overview().await.unwrap();
    assert_eq!(empty.len(), Queue::ALL.len());
    assert!(empty.iter().all(|one| one.length == 0 && one.oldest_ms.is_none() && !one.paused), "{empty:?}");

    for _ in 0..5 {
        producer.append(Queue::Ingest, Bytes::from_static(b"x")).await.unwrap();
    }
    let mut consumer = consumer(&redis).await;
    let read = consumer.read(3, true).await.unwrap();
    consumer.settler().bury(&read[0], "for a reason").await.unwrap();
    redis.command("SET q:notify:paused 1");
    redis.command("ZADD q:notify:delayed 5 x");
    let all = producer.overview().await.unwrap();
    let ingest = all.iter().find(|one| one.queue == Queue::Ingest).unwrap();
    assert_eq!((ingest.length, ingest.pending, ingest.dead, ingest.consumers), (4, 2, 1, 1));
    assert!(!ingest.paused && ingest.oldest_ms.is_some_and(|age| age < 10_000));
    let notify = all.iter().find(|one| one.queue == Queue::Notify).unwrap();
    assert!(notify.paused && notify.delayed == 1 && notify.length == 0);
    assert!(serde_json::to_string(notify).unwrap().starts_with(r#"{"queue":"notify","length":0,"#));
}
