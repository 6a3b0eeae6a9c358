//! Issues that become one, and parts that are split off again.

use bytes::Bytes;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::seed::{Seed, fields, member, new_project, store};
use crate::support::{Client, TestApp};

const ISSUES: &str = "/api/0/organizations/default/issues/";

/// Issue 1 with two events, 2 with three, of which users and tags are partly the same; 3 in another project.
async fn filled() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let other = new_project(&app, app.organization.id, "web").await;
    let id = app.project.id;
    let seeds = [
        Seed::new(id, "A: a", 30).id(1).tag("host", "x").user("ann"),
        Seed::new(id, "B: b", 50).id(3).tag("host", "x").user("ann"),
        Seed::new(id, "A: a", 20).id(2).tag("host", "y").user("bob"),
        Seed::new(id, "B: b", 10).id(4).tag("host", "x").user("cid"),
        Seed::new(id, "B: b", 40).id(5).tag("host", "z").user("cid"),
        Seed::new(other, "C: c", 1).id(6),
    ];
    store(&app, &seeds).await;
    let client = member(&app).await;
    (app, client)
}

async fn issue(client: &Client, id: &str) -> Value {
    client.get(&format!("/api/0/issues/{id}/")).await.expect(200).json()
}

async fn events(client: &Client, id: &str) -> Vec<String> {
    let list = client.get(&format!("/api/0/issues/{id}/events/")).await.expect(200).json();
    list.as_array()
        .unwrap()
        .iter()
        .map(|event| event["id"].as_str().unwrap().trim_start_matches('0').to_owned())
        .collect()
}

/// Counts of the values of tag `host`, and of all hours.
async fn counted(pool: &PgPool, id: &str) -> (Vec<(String, i64)>, i64) {
    let id: i64 = id.parse().unwrap();
    let tags =
        sqlx::query_as("select value, times_seen from issue_tag where issue_id = $1 and key = 'host' order by 1")
            .bind(id)
            .fetch_all(pool)
            .await
            .unwrap();
    let hours =
        sqlx::query_scalar("select coalesce(sum(event_count), 0)::bigint from issue_hourly where issue_id = $1")
            .bind(id)
            .fetch_one(pool)
            .await
            .unwrap();
    (tags, hours)
}

fn times(tags: &[(&str, i64)]) -> Vec<(String, i64)> {
    tags.iter().map(|(value, times)| ((*value).to_owned(), *times)).collect()
}

#[tokio::test]
async fn merged_issues_are_one_with_the_counts_of_both() {
    let (app, client) = filled().await;
    let pool = app.database.pool();
    let reply = client.put_json(&format!("{ISSUES}?id=2&id=1"), &json!({ "merge": 1 })).await.expect(200).json();
    assert_eq!(reply, json!({ "merge": { "parent": "1", "children": ["2"] } }));

    let merged = issue(&client, "1").await;
    assert_eq!((merged["count"].as_str(), merged["userCount"].as_i64()), (Some("5"), Some(3)));
    // The newest event describes it.
    assert_eq!(merged["title"], "B: b");
    assert_eq!(events(&client, "1").await, ["4", "2", "1", "5", "3"]);
    assert_eq!(counted(pool, "1").await, (times(&[("x", 3), ("y", 1), ("z", 1)]), 5));
    let listed = client.get(&format!("{ISSUES}?query=")).await.json();
    assert_eq!(fields(&listed, "id"), ["3", "1"]);

    let found = client.get(&format!("{ISSUES}?query=%22a:%20a%22")).await.expect(200).json();
    assert_eq!(fields(&found, "id"), ["1"]);

    // What led to the other one leads here.
    assert_eq!(issue(&client, "2").await["id"], "1");
    let by_short_id = client.get("/api/0/organizations/default/shortids/DEFAULT-2/").await.expect(200).json();
    assert_eq!(by_short_id["groupId"], "1");
    store(&app, &[Seed::new(app.project.id, "B: b", 0).id(7)]).await;
    assert_eq!(issue(&client, "1").await["count"], "6");
    // And on through a second merge.
    store(&app, &[Seed::new(app.project.id, "D: d", 60).id(8)]).await;
    client.put_json(&format!("{ISSUES}?id=2&id=4&id=1"), &json!({ "merge": true })).await.expect(200);
    assert_eq!(issue(&client, "2").await["count"], "7");
}

#[tokio::test]
async fn a_part_is_split_off_with_what_was_counted_for_it() {
    let (app, client) = filled().await;
    let pool = app.database.pool();
    client.put_json(&format!("{ISSUES}?id=1&id=2"), &json!({ "merge": "1" })).await.expect(200);
    let parts = client.get("/api/0/issues/1/hashes/").await.expect(200).json();
    let of = |title: &str| {
        let mut list = parts.as_array().unwrap().iter();
        list.find(|part| part["latestEvent"]["title"] == title).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (of("A: a"), of("B: b"));

    let hashes = format!("{ISSUES}1/hashes/");
    let split = client.send("DELETE", &format!("{hashes}?id={second}"), &[], Bytes::new()).await.expect(202).json();
    let new = split["unmerge"]["newIssue"].as_str().unwrap();
    assert_eq!(
        (events(&client, "1").await, events(&client, new).await),
        (vec!["2".into(), "1".into()], vec!["4".into(), "5".into(), "3".into()])
    );
    let (old, made) = (issue(&client, "1").await, issue(&client, new).await);
    assert_eq!((old["count"].as_str(), made["count"].as_str()), (Some("2"), Some("3")));
    assert_eq!(old["title"], "A: a", "what is left is described by its own latest event");
    assert_eq!((made["title"].as_str(), made["userCount"].as_i64()), (Some("B: b"), Some(2)));
    assert_eq!(counted(pool, "1").await, (times(&[("x", 1), ("y", 1)]), 2));
    assert_eq!(counted(pool, new).await, (times(&[("x", 2), ("z", 1)]), 3));
    let seen = |issue: &Value| (issue["firstSeen"].clone(), issue["lastSeen"].clone());
    let stored = client.get(&format!("/api/0/issues/{new}/events/oldest/")).await.json();
    assert_eq!(seen(&made).0, stored["dateCreated"]);
    let latest = client.get("/api/0/issues/1/events/latest/").await.json();
    assert_eq!(seen(&old).1, latest["dateCreated"]);

    // New events go where their kind went.
    store(&app, &[Seed::new(app.project.id, "B: b", 0).id(7), Seed::new(app.project.id, "A: a", 0).id(8)]).await;
    assert_eq!((events(&client, "1").await[0].as_str(), events(&client, new).await[0].as_str()), ("8", "7"));

    // The last part stays, and what is no part is none.
    for (query, says) in [
        (format!("?id={first}"), "one part has to stay"),
        (format!("?id={second}"), "no such part"),
        ("?id=xyz".to_owned(), "not a grouping hash"),
        (String::new(), "by `id`"),
    ] {
        let reply = client.send("DELETE", &format!("{hashes}{query}"), &[], Bytes::new()).await.expect(400).json();
        assert!(reply["detail"].as_str().unwrap().contains(says), "{reply}");
    }
}

#[tokio::test]
async fn what_cannot_be_one_issue_stays_as_it_is() {
    let (_app, client) = filled().await;
    for (query, says) in
        [("?id=1", "two issues or more"), ("?id=999&id=1", "two issues or more"), ("?id=1&id=3", "different projects")]
    {
        let reply = client.put_json(&format!("{ISSUES}{query}"), &json!({ "merge": 1 })).await.expect(400).json();
        assert!(reply["detail"].as_str().unwrap().contains(says), "{reply}");
    }
    client.put_json(&format!("{ISSUES}?id=1&id=2"), &json!({ "merge": false })).await.expect(400);
    assert_eq!(issue(&client, "2").await["count"], "3");
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_no_split() {
    let (app, client) = filled().await;
    let pool = app.database.pool();
    client.put_json(&format!("{ISSUES}?id=1&id=2"), &json!({ "merge": 1 })).await.expect(200);
    let parts = client.get("/api/0/issues/1/hashes/").await.expect(200).json();
    let mut list = parts.as_array().unwrap().iter();
    let part = list.find(|part| part["latestEvent"]["title"] == "B: b").unwrap()["id"].as_str().unwrap();
    let damage = "update event set payload = '\\x00' where event_id = '00000000-0000-0000-0000-000000000005'";
    assert_eq!(sqlx::query(damage).execute(pool).await.unwrap().rows_affected(), 1);
    let path = format!("{ISSUES}1/hashes/?id={part}");
    let split = client.send("DELETE", &path, &[], Bytes::new()).await.expect(202).json();
    let new = split["unmerge"]["newIssue"].as_str().unwrap();
    let moved: i64 = sqlx::query_scalar("select count(*) from event where issue_id = $1")
        .bind(new.parse::<i64>().unwrap())
        .fetch_one(pool)
        .await
        .unwrap();
    let waiting: i64 = sqlx::query_scalar("select count(*) from event_move").fetch_one(pool).await.unwrap();
    assert_eq!((moved, waiting), (3, 0));
    assert_eq!(issue(&client, new).await["count"], "2");
}
