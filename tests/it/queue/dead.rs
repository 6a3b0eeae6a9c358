//! Dead letters: bounded, readable, put back and thrown away.

use bytes::Bytes;
use glitchbox::queue::{Producer, Queue, Wish};

use super::{config, consumer};
use crate::support::TestRedis;

/// Buries so many entries of so many bytes.
async fn bury(redis: &TestRedis, count: usize, bytes: usize) -> Producer {
    let producer = Producer::connect(&config(redis)).unwrap();
    let mut consumer = consumer(redis).await;
    for number in 0..count {
        let mut data = number.to_string().into_bytes();
        data.resize(bytes.max(data.len()), b'x');
        producer.append(Queue::Ingest, data.into()).await.unwrap();
        let entries = consumer.read(1, true).await.unwrap();
        consumer.settler().bury(&entries[0], &format!("reason {number}")).await.unwrap();
    }
    producer
}

#[tokio::test]
async fn dead_letters_cannot_fill_redis() {
    let redis = TestRedis::start();
    bury(&redis, 1010, 100).await;
    assert_eq!(redis.command("XLEN q:ingest:dead"), ":1000");
    assert_eq!(redis.command("GET q:ingest:dead:bytes"), "$6");
    bury(&redis, 20, 1_000_000).await;
    let bytes: usize = redis.command("MEMORY USAGE q:ingest:dead SAMPLES 0").trim_start_matches(':').parse().unwrap();
    assert!((6_000_000..10_000_000).contains(&bytes), "{bytes}");
    assert_eq!(redis.command("XLEN q:ingest"), ":0");
}

#[tokio::test]
async fn a_dead_letter_can_be_read_put_back_and_thrown_away() {
    let redis = TestRedis::start();
    let producer = bury(&redis, 3, 0).await;
    let letters = producer.dead_letters(Queue::Ingest, None, 10).await.unwrap();
    assert_eq!(letters.len(), 3);
    let (first, second, third) = (&letters[0], &letters[1], &letters[2]);
    assert_eq!((first.reason.as_str(), first.data.as_ref(), first.attempts), ("reason 0", &b"0"[..], 1));
    assert!(!first.is_cut() && (chrono::Utc::now() - first.at).num_seconds() < 60);
    assert_eq!(producer.dead_letters(Queue::Ingest, Some(&first.id), 1).await.unwrap()[0].id, second.id);

    assert_eq!(producer.retry(Queue::Ingest, &first.id).await.unwrap(), Wish::Done);
    assert_eq!(producer.retry(Queue::Ingest, &first.id).await.unwrap(), Wish::Missing, "only once");
    assert_eq!(producer.discard(Queue::Ingest, &second.id).await.unwrap(), Wish::Done);
    assert_eq!(producer.discard(Queue::Ingest, &second.id).await.unwrap(), Wish::Missing);
    assert_eq!(producer.dead_letter(Queue::Ingest, &second.id).await.unwrap(), None);
    assert_eq!(producer.dead_letter(Queue::Ingest, &third.id).await.unwrap().as_ref(), Some(third));
    let mut consumer = consumer(&redis).await;
    let back = consumer.read(10, true).await.unwrap();
    assert_eq!((back.len(), back[0].data.as_ref(), back[0].deliveries), (1, &b"0"[..], 1));
}

#[tokio::test]
async fn one_that_is_cut_off_says_so_and_is_not_put_back() {
    let redis = TestRedis::start();
    let producer = bury(&redis, 1, 3_000_000).await;
    let letter = producer.dead_letters(Queue::Ingest, None, 1).await.unwrap().remove(0);
    assert!(letter.is_cut());
    assert_eq!((letter.size, letter.data.len()), (3_000_000, 2 * 1024 * 1024));
    assert_eq!(producer.retry(Queue::Ingest, &letter.id).await.unwrap(), Wish::Cut);
    assert_eq!(producer.discard(Queue::Ingest, &letter.id).await.unwrap(), Wish::Done);
}

#[tokio::test]
async fn what_another_worker_has_settled_is_not_buried() {
    let redis = TestRedis::start();
    let producer = Producer::connect(&config(&redis)).unwrap();
    producer.append(Queue::Ingest, Bytes::from_static(b"x")).await.unwrap();
    let mut consumer = consumer(&redis).await;
    let entries = consumer.read(1, true).await.unwrap();
    redis.command(&format!("XACK q:ingest workers {}", entries[0].id));
    redis.command(&format!("XDEL q:ingest {}", entries[0].id));
    consumer.settler().bury(&entries[0], "for a reason").await.unwrap();
    assert_eq!(redis.command("XLEN q:ingest:dead"), ":0");
}
