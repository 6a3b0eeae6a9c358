//! Several workers at one queue, and what becomes of the work of one that is gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use glitchbox::queue::{Consumer, Entry, Producer, Queue, Seat};
use glitchbox::shutdown::Shutdown;
use tokio::time::sleep;

use super::{config, ids, payloads};
use crate::support::TestRedis;

async fn worker(redis: &TestRedis, slot: &str) -> Consumer {
    let consumer = Consumer::connect(&config(redis), Queue::Ingest, slot).unwrap();
    consumer.prepare().await.unwrap();
    consumer
}

async fn append(redis: &TestRedis, count: usize) {
    let producer = Producer::connect(&config(redis)).unwrap();
    for number in 0..count {
        producer.append(Queue::Ingest, Bytes::from(number.to_string())).await.unwrap();
    }
}

/// Reads until there is something.
async fn read_some(consumer: &mut Consumer, limit: Duration) -> Vec<Entry> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        let entries = consumer.read(500, true).await.unwrap();
        if !entries.is_empty() {
            return entries;
        }
    }
    panic!("nothing came within {limit:?}");
}

/// The worker is dead, and was for a while: its sign of life has run out.
fn let_die(redis: &TestRedis, slot: &str) {
    redis.command(&format!("DEL q:ingest:alive:worker-{slot}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_and_three_producers_share_ten_thousand_entries_exactly_once() {
    const EACH: usize = 3_400;
    let redis = TestRedis::start();
    let shutdown = Shutdown::new();
    let mut reading = Vec::new();
    for slot in ["1", "2"] {
        let mut consumer = worker(&redis, slot).await;
        consumer.end_with(&shutdown);
        let until = shutdown.clone();
        reading.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            while !until.is_draining() {
                let entries = consumer.read(100, true).await.unwrap();
                seen.extend(entries.iter().map(|entry| String::from_utf8(entry.data.to_vec()).unwrap()));
                consumer.settler().acknowledge(ids(&entries)).await.unwrap();
            }
            seen
        }));
    }
    let producers = (0..3).map(|producer| {
        let queue = Producer::connect(&config(&redis)).unwrap();
        tokio::spawn(async move {
            for number in 0..EACH {
                queue.append(Queue::Ingest, Bytes::from(format!("{producer}-{number}"))).await.unwrap();
            }
        })
    });
    for producer in producers.collect::<Vec<_>>() {
        producer.await.unwrap();
    }
    while redis.command("XLEN q:ingest") != ":0" {
        sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    shutdown.drain();
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut shares = Vec::new();
    for reader in reading {
        let seen = reader.await.unwrap();
        shares.push(seen.len());
        for one in seen {
            *counts.entry(one).or_default() += 1;
        }
    }
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "reads that wait end with the worker, not {:?} later",
        began.elapsed()
    );
    assert_eq!(counts.len(), 3 * EACH);
    assert!(counts.values().all(|count| *count == 1));
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_dead_worker_is_taken_over_and_its_name_goes() {
    let redis = TestRedis::start();
    append(&redis, 700).await;
    let mut first = worker(&redis, "1").await;
    assert_eq!(first.read(600, true).await.unwrap().len(), 600);
    let mut second = worker(&redis, "2").await;
    assert_eq!(second.read(600, true).await.unwrap().len(), 100);
    // It lives: its work stays its own, however long it takes.
    assert!(
        tokio::time::timeout(Duration::from_secs(7), read_some(&mut second, Duration::from_mins(1))).await.is_err()
    );

    drop(first);
    let_die(&redis, "1");
    let mut taken = 0;
    while taken < 600 {
        let entries = read_some(&mut second, Duration::from_secs(15)).await;
        assert!(entries.iter().all(|entry| entry.deliveries == 2), "once with each");
        taken += entries.len();
    }
    assert_eq!(taken, 600);
    // The empty name goes; the one that lives stays, idle or not.
    let names = "EVAL \"return #redis.call('XINFO', 'CONSUMERS', 'q:ingest', 'workers')\" 0";
    assert_eq!(redis.command(names), ":2");
    let deadline = Instant::now() + Duration::from_secs(20);
    while redis.command(names) != ":1" {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_secs(3)).await;
    assert_eq!(redis.command(names), ":1");
    assert_eq!(second.settler().queue(), Queue::Ingest, "it lived until here");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_back_is_taken_at_once_and_counts_as_untouched() {
    let redis = TestRedis::start();
    append(&redis, 20).await;
    let mut first = worker(&redis, "1").await;
    let entries = first.read(10, true).await.unwrap();
    let mut second = worker(&redis, "2").await;
    assert_eq!(second.read(10, true).await.unwrap().len(), 10);
    let waiting = tokio::spawn(async move { read_some(&mut second, Duration::from_secs(10)).await });
    sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    first.settler().acknowledge(ids(&entries[..4])).await.unwrap();
    first.settler().hand_back().await.unwrap();
    let taken = waiting.await.unwrap();
    assert_eq!(payloads(&taken), payloads(&entries[4..]));
    assert!(taken.iter().all(|entry| entry.deliveries == 1));
    assert!(began.elapsed() < Duration::from_secs(4), "a read that waits is woken, not after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_generations_of_a_slot_lose_nothing() {
    let redis = TestRedis::start();
    append(&redis, 10).await;
    let mut old = worker(&redis, "1").await;
    let first = old.read(5, true).await.unwrap();
    // The next generation starts while the last one still works: it takes up what it finds, and both may settle it.
    let mut new = worker(&redis, "1").await;
    let again = new.read(500, true).await.unwrap();
    assert_eq!(ids(&again), ids(&first));
    let rest = new.read(500, true).await.unwrap();
    assert_eq!(rest.len(), 5);
    old.settler().acknowledge(ids(&first[..3])).await.unwrap();
    old.settler().hand_back().await.unwrap();
    new.settler().acknowledge(ids(&again)).await.unwrap();
    new.settler().acknowledge(ids(&rest)).await.unwrap();
    assert_eq!(redis.command("XLEN q:ingest"), ":0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_recovers_from_any_loss_of_data_at_any_moment() {
    let mut redis = TestRedis::start();
    let mut consumer = worker(&redis, "1").await;
    for loss in ["FLUSHALL", "XGROUP DESTROY q:ingest workers", "DEL q:ingest", "restart", "CLIENT KILL TYPE normal"] {
        append(&redis, 3).await;
        let in_hand = read_some(&mut consumer, Duration::from_secs(10)).await;
        let idle = tokio::spawn(async move {
            let entries = loop {
                match consumer.read(500, true).await {
                    Ok(entries) if !entries.is_empty() => break entries,
                    Ok(_) => {}
                    Err(_) => sleep(Duration::from_millis(50)).await,
                }
            };
            (consumer, entries)
        });
        sleep(Duration::from_millis(100)).await;
        match loss {
            "restart" => redis.restart(),
            loss => drop(redis.command(loss)),
        }
        append(&redis, 2).await;
        let limit = Duration::from_secs(12);
        let (back, entries) = tokio::time::timeout(limit, idle).await.unwrap_or_else(|_| panic!("{loss}")).unwrap();
        consumer = back;
        let all: Vec<String> = ids(&in_hand).into_iter().chain(ids(&entries)).collect();
        assert!(!entries.is_empty());
        consumer.settler().acknowledge(all).await.unwrap();
        while redis.command("XLEN q:ingest") != ":0" {
            let rest = read_some(&mut consumer, Duration::from_secs(10)).await;
            consumer.settler().acknowledge(ids(&rest)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_every_worker_survives_restarts_and_ends() {
    let redis = TestRedis::start();
    let producer = Producer::connect(&config(&redis)).unwrap();
    let seat = Seat::connect(&config(&redis), "1", &Queue::ALL, Duration::ZERO).unwrap();
    let mut consumer = seat.consumer(Queue::Ingest).unwrap();
    consumer.prepare().await.unwrap();
    producer.pause(Queue::Ingest).await.unwrap();
    sleep(Duration::from_millis(2500)).await;
    append(&redis, 1).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(3), read_some(&mut consumer, Duration::from_secs(9))).await.is_err()
    );
    // One that starts now holds still from the first pulse on.
    let mut other = worker(&redis, "2").await;
    sleep(Duration::from_millis(300)).await;
    assert!(other.read(10, false).await.unwrap().is_empty());
    let began = Instant::now();
    producer.resume(Queue::Ingest).await.unwrap();
    assert_eq!(read_some(&mut consumer, Duration::from_secs(5)).await.len(), 1);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_loads_its_files_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let mut redis = TestRedis::start();
    redis.restart_with(&["--dir", path]);
    let mut consumer = worker(&redis, "1").await;
    append(&redis, 3).await;
    let in_hand = consumer.read(1, true).await.unwrap();
    redis.command("EVAL \"for n=1,1500 do redis.call('SET','k'..n,n) end\" 0");
    assert_eq!(redis.command("SAVE"), "+OK");
    redis.restart_with(&["--dir", path, "--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024"]);
    assert!(redis.command("XLEN q:ingest").starts_with("-LOADING"));
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        assert!(Instant::now() < deadline);
        match consumer.read(10, true).await {
            Ok(entries) => seen.extend(ids(&entries)),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
    assert!(!seen.contains(&in_hand[0].id), "it is in hand all the time");
    consumer.settler().acknowledge(seen).await.unwrap();
    consumer.settler().acknowledge(ids(&in_hand)).await.unwrap();
    assert_eq!(redis.command("XLEN q:ingest"), ":0");
}
