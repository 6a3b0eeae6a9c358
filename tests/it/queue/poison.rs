//! Entries that end the worker.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use glitchbox::queue::{Consumer, Producer, Queue, Seat};

use super::{config, ids};
use crate::support::TestRedis;

const POISON: &[u8] = b"poison";

/// One life of a worker: reads and settles until it meets the poison, or the queue is empty. True when it died.
async fn live(redis: &TestRedis, done: &mut HashSet<Bytes>) -> bool {
    let mut consumer = Consumer::connect(&config(redis), Queue::Ingest, "1").unwrap();
    consumer.prepare().await.unwrap();
    while redis.command("XLEN q:ingest") != ":0" {
        let entries = consumer.read(500, true).await.unwrap();
        if entries.iter().any(|entry| entry.deliveries > 2) {
            assert_eq!(entries.len(), 1, "what is under suspicion is alone");
        }
        let mut settled = Vec::new();
        for entry in entries {
            if let Some(reason) = entry.hopeless() {
                consumer.settler().bury(&entry, &reason).await.unwrap();
                continue;
            }
            if entry.data.as_ref() == POISON {
                return true;
            }
            done.insert(entry.data.clone());
            settled.push(entry);
        }
        consumer.settler().acknowledge(ids(&settled)).await.unwrap();
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_entries_the_one_that_kills_is_buried_and_all_others_are_done() {
    let redis = TestRedis::start();
    let producer = Producer::connect(&config(&redis)).unwrap();
    for number in 0..10_000 {
        let data = if number == 4321 { Bytes::from_static(POISON) } else { Bytes::from(number.to_string()) };
        producer.append(Queue::Ingest, data).await.unwrap();
    }
    let mut done = HashSet::new();
    let mut deaths = 0;
    while live(&redis, &mut done).await {
        deaths += 1;
    }
    assert_eq!((deaths, done.len()), (5, 9_999));
    let dead = producer.dead_letters(Queue::Ingest, None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].data.as_ref(), dead[0].reason.as_str()), (POISON, "it ended the worker 5 times"));
    assert_eq!(dead[0].attempts, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_orderly_ends_nor_a_long_outage_make_poison() {
    let redis = TestRedis::start();
    let producer = Producer::connect(&config(&redis)).unwrap();
    producer.append(Queue::Ingest, Bytes::from_static(b"good")).await.unwrap();
    for life in 0..8 {
        let mut consumer = Consumer::connect(&config(&redis), Queue::Ingest, "1").unwrap();
        consumer.prepare().await.unwrap();
        let entries = loop {
            let entries = consumer.read(500, true).await.unwrap();
            if !entries.is_empty() {
                break entries;
            }
        };
        assert!(entries[0].deliveries <= 2, "{} deliveries in life {life}", entries[0].deliveries);
        if life % 2 == 0 {
            consumer.settler().hand_back().await.unwrap();
        } else {
            // The database is away, and then somebody kills the worker.
            consumer.settler().excuse(&ids(&entries)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_queue_has_a_suspect_in_hand_no_other_gives_anything_out() {
    let redis = TestRedis::start();
    let producer = Producer::connect(&config(&redis)).unwrap();
    producer.append(Queue::Ingest, Bytes::from_static(b"suspect")).await.unwrap();
    for _ in 0..2 {
        let mut consumer = Consumer::connect(&config(&redis), Queue::Ingest, "1").unwrap();
        consumer.prepare().await.unwrap();
        assert_eq!(consumer.read(10, true).await.unwrap().len(), 1);
    }
    producer.append(Queue::Ingest, Bytes::from_static(b"later")).await.unwrap();
    producer.append(Queue::Notify, Bytes::from_static(b"job")).await.unwrap();

    let seat = Seat::connect(&config(&redis), "1", &Queue::ALL, Duration::ZERO).unwrap();
    let (mut items, mut jobs) = (seat.consumer(Queue::Ingest).unwrap(), seat.consumer(Queue::Notify).unwrap());
    items.prepare().await.unwrap();
    jobs.prepare().await.unwrap();
    let job = jobs.read(1, true).await.unwrap();
    assert_eq!(job.len(), 1);
    assert!(items.read(10, false).await.unwrap().is_empty(), "the other queue's job is in hand");
    let waiting = tokio::spawn(async move {
        let suspect = items.read(10, true).await.unwrap();
        (items, suspect)
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    jobs.settler().acknowledge(ids(&job)).await.unwrap();
    let (mut items, suspect) = waiting.await.unwrap();
    assert!(suspect[0].is_suspect() && suspect.len() == 1 && suspect[0].data.as_ref() == b"suspect");
    producer.append(Queue::Notify, Bytes::from_static(b"job")).await.unwrap();
    assert!(jobs.read(1, false).await.unwrap().is_empty(), "the suspect is alone");
    assert!(items.read(10, false).await.unwrap().is_empty());
    items.settler().acknowledge(ids(&suspect)).await.unwrap();
    assert_eq!(items.read(10, true).await.unwrap()[0].data.as_ref(), b"later");
    assert_eq!(jobs.read(1, true).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_death_with_one_entry_alone_in_hand_other_work_goes_first() {
    let redis = TestRedis::start();
    let producer = Producer::connect(&config(&redis)).unwrap();
    producer.append(Queue::Ingest, Bytes::from_static(POISON)).await.unwrap();
    producer.append(Queue::Ingest, Bytes::from_static(b"was there, too")).await.unwrap();
    let mut done = HashSet::new();
    for _ in 0..3 {
        assert!(live(&redis, &mut done).await);
    }
    producer.append(Queue::Ingest, Bytes::from_static(b"new")).await.unwrap();
    let rest = Duration::from_secs(3);
    let began = Instant::now();
    let seat = Seat::connect(&config(&redis), "1", &[Queue::Ingest], rest).unwrap();
    let mut consumer = seat.consumer(Queue::Ingest).unwrap();
    let first = consumer.read(10, true).await.unwrap();
    assert_eq!((first.len(), first[0].data.as_ref()), (1, &b"new"[..]), "{first:?}");
    consumer.settler().acknowledge(ids(&first)).await.unwrap();
    let mut rest_of_them = Vec::new();
    while rest_of_them.len() < 2 {
        let entries = consumer.read(10, true).await.unwrap();
        assert!(entries.is_empty() || began.elapsed() >= rest);
        assert!(entries.len() <= 1, "each alone");
        consumer.settler().acknowledge(ids(&entries)).await.unwrap();
        rest_of_them.extend(entries.into_iter().map(|entry| entry.deliveries));
    }
    assert_eq!(rest_of_them, [3, 4], "the one that was only near by goes first");
}
