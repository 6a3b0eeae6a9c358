//! Walking lists by their `Link` headers.

use std::time::{Duration, Instant};

use super::seed::{Seed, fields, member, store};
use crate::support::{Client, Reply, TestApp};

/// The cursor of one side of a page, if anything is there.
fn cursor(reply: &Reply, rel: &str) -> Option<String> {
    let part = reply.header("link").split(", <").find(|part| part.contains(&format!("rel=\"{rel}\""))).unwrap();
    let cursor = part.split("; cursor=\"").nth(1).unwrap().trim_end_matches('"');
    assert!(part.contains(&format!("cursor={cursor}>")), "{part}");
    part.contains("results=\"true\"").then(|| cursor.to_owned())
}

/// Every page from the first to the last and back again.
async fn walk(client: &Client, path: &str, field: &str) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let (mut forth, mut back) = (Vec::new(), Vec::new());
    let mut reply = client.get(&format!("{path}cursor=")).await.expect(200);
    assert_eq!(cursor(&reply, "previous"), None);
    loop {
        forth.push(fields(&reply.json(), field));
        let Some(next) = cursor(&reply, "next") else { break };
        reply = client.get(&format!("{path}cursor={next}")).await.expect(200);
    }
    loop {
        back.push(fields(&reply.json(), field));
        let Some(previous) = cursor(&reply, "previous") else { break };
        reply = client.get(&format!("{path}cursor={previous}")).await.expect(200);
    }
    back.reverse();
    (forth, back)
}

#[tokio::test]
async fn two_hundred_and_fifty_issues_both_ways() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    // Seven issues share each minute, so that ties fall on the ends of pages.
    let seeds: Vec<Seed> = (0..250).map(|n| Seed::new(app.project.id, &format!("Error{n}: x"), 500 - n / 7)).collect();
    store(&app, &seeds).await;

    let newest_first: Vec<String> = (1..=250).rev().map(|id: i64| id.to_string()).collect();
    for sort in ["", "sort=first_seen&", "sort=freq&"] {
        let path = format!("/api/0/organizations/default/issues/?per_page=30&{sort}");
        let (forth, back) = walk(&client, &path, "id").await;
        assert_eq!(forth.concat(), newest_first, "{sort}");
        assert_eq!(back.concat(), newest_first, "{sort}");
        assert_eq!(forth.len(), 9);
        assert_eq!(forth, back);
    }

    let reply = client.get("/api/0/projects/default/default/issues/?limit=1000&query=").await.expect(200);
    assert_eq!((reply.json().as_array().unwrap().len(), reply.header("x-hits")), (100, "250"));
    assert!(reply.header("link").contains("/api/0/projects/default/default/issues/?limit=1000&query=&cursor="));

    let began = Instant::now();
    client.get("/api/0/organizations/default/issues/").await.expect(200);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn events_of_an_issue_and_of_a_project() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    // Over three days and two issues, two events at a time.
    let seeds: Vec<Seed> = (0..24)
        .map(|n| {
            let title = if n % 4 == 3 { "B: b" } else { "A: a" };
            Seed::new(app.project.id, title, 10 + (24 - n) / 2 * 300).id(u128::from(n.unsigned_abs()))
        })
        .collect();
    store(&app, &seeds).await;
    let (forth, back) = walk(&client, "/api/0/projects/default/default/events/?per_page=5&", "id").await;
    let all: Vec<String> = (0..24).rev().map(|n| format!("{n:032x}")).collect();
    assert_eq!(forth.concat(), all);
    assert_eq!(back.concat(), all);
    let (forth, back) = walk(&client, "/api/0/issues/1/events/?per_page=5&", "id").await;
    assert_eq!(
        forth.concat(),
        all.iter().rev().enumerate().filter(|(n, _)| n % 4 != 3).map(|(_, id)| id.clone()).rev().collect::<Vec<_>>()
    );
    assert_eq!(forth, back);
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    for path in ["organizations/default/issues/?cursor=x", "projects/?cursor=1:2", "organizations/?per_page=0"] {
        let reply = client.get(&format!("/api/0/{path}")).await.expect(400);
        assert!(reply.json()["detail"].as_str().unwrap().starts_with("Invalid"), "{}", reply.text());
    }
    // Of the right form, but nowhere.
    for cursor in ["9223372036854775807:340282366920938463463374607431768211455:1", "-9223372036854775808:0:0"] {
        for list in ["organizations/default/issues", "projects/default/default/events", "projects"] {
            client.get(&format!("/api/0/{list}/?cursor={cursor}")).await.expect(200);
        }
    }
}
