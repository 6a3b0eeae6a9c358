//! Every service is restarted once while events come in.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::Instance;

const EVENTS: u64 = 2_000;
const PER_SECOND: u64 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_is_stored_exactly_once_while_services_restart() {
    let instance = tokio::task::spawn_blocking(Instance::started).await.unwrap();
    let key = instance.public_key();
    let begun = Instant::now() + Duration::from_millis(100);
    let sending: Vec<_> = (0..EVENTS)
        .map(|number| {
            let (client, key) = (instance.client(), key.clone());
            tokio::spawn(async move {
                sleep_until(begun + Duration::from_millis(1000 * number / PER_SECOND)).await;
                let id = uuid::Uuid::new_v4().simple().to_string();
                let envelope = format!(
                    "{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n{{\"event_id\":\"{id}\",\"platform\":\"other\",\
                     \"message\":\"number {number}\",\"fingerprint\":[\"{}\"],\"user\":{{\"id\":\"{}\"}}}}\n",
                    number % 7,
                    number % 50
                );
                let auth = format!("Sentry sentry_version=7, sentry_key={key}");
                let headers = [("x-sentry-auth", auth.as_str())];
                let reply = client.try_send("POST", "/api/1/envelope/", &headers, Bytes::from(envelope)).await;
                (id, reply.map(|reply| reply.status).map_err(|error| error.to_string()))
            })
        })
        .collect();

    // Spread over the ten seconds; each call returns when the service is ready again.
    let restarting = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_secs(1));
        for service in ["web", "worker", "redis", "postgres"] {
            instance.run("supervisor", &["restart", service]);
            std::thread::sleep(Duration::from_secs(1));
        }
        instance
    });

    let (mut acknowledged, mut others) = (BTreeSet::new(), Vec::new());
    for request in sending {
        match request.await.unwrap() {
            (id, Ok(200)) => drop(acknowledged.insert(id)),
            (_, Ok(status)) => others.push(status.to_string()),
            (_, Err(error)) => others.push(error),
        }
    }
    let instance = restarting.await.unwrap();
    // Redis may be away for longer than the edge waits; a request it refuses is no promise.
    assert!(others.len() < 200, "{} of {EVENTS} requests were not answered 200: {others:?}", others.len());

    tokio::task::spawn_blocking(move || {
        instance.wait_for_events(acknowledged.len());
        let rows = instance.sql("select replace(event_id::text, '-', '') from event order by 1");
        let stored: Vec<&str> = rows.lines().collect();
        let distinct: BTreeSet<String> = stored.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(stored.len(), distinct.len(), "some event is stored twice");
        let lost: Vec<&String> = acknowledged.difference(&distinct).collect();
        assert!(lost.is_empty(), "{} acknowledged events are missing: {lost:?}", lost.len());
        // What a request that failed brought in all the same counts as well, once.
        let counted = instance.sql("select sum(event_count) from issue");
        assert_eq!(counted, stored.len().to_string());
        assert_eq!(instance.sql("select count(*) from issue"), "7");
        assert_eq!(instance.sql("select sum(event_count) from issue_hourly"), counted);
    })
    .await
    .unwrap();
}
