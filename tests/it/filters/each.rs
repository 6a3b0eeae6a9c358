//! Every filter from the request to the ledger; by project, and while the worker runs.

use std::time::{Duration, Instant};

use glitchbox::protocol::{Filter, FilterSettings};
use serde_json::{Value, json};

use super::{count, ledger, new_id, send, set, settled, switch_on};
use crate::api::seed::new_project;
use crate::support::TestApp;

const ELSEWHERE: &str = "198.51.100.4";

fn transaction(name: &str) -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "type": "transaction", "transaction": name, "start_timestamp": now - 1, "timestamp": now,
        "contexts": { "trace": { "trace_id": "0123456789abcdef0123456789abcdef", "span_id": "0123456789abcdef" } },
    })
}

/// For each filter: its entries, the type of an item that it holds back and of one that it does not.
fn cases() -> Vec<(Filter, &'static [&'static str], &'static str, Value, Value)> {
    let page = |url: &str, agent: &str| json!({ "message": "m", "platform": "javascript", "request": { "url": url, "headers": { "User-Agent": agent } } });
    let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36";
    let thrown = |value: &str| json!({ "exception": { "values": [{ "type": "TypeError", "value": value }] } });
    let ie = "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)";
    let shop = "https://shop.example/";
    vec![
        (Filter::Localhost, &[], "event", page("http://localhost:3000/", chrome), page(shop, chrome)),
        (
            Filter::BrowserExtensions,
            &[],
            "event",
            thrown("Extension context invalidated."),
            thrown("x is not a function"),
        ),
        (Filter::LegacyBrowsers, &["ie9", "safari_pre_6"], "event", page(shop, ie), page(shop, chrome)),
        (Filter::WebCrawlers, &[], "event", page(shop, "Googlebot/2.1"), page(shop, chrome)),
        (Filter::HealthChecks, &[], "transaction", transaction("GET /healthz"), transaction("GET /cart")),
        (
            Filter::ChunkLoadErrors,
            &[],
            "event",
            thrown("Uncaught (in promise): ChunkLoadError: Loading chunk 7 failed."),
            thrown("Loading failed"),
        ),
        (
            Filter::HydrationErrors,
            &[],
            "event",
            thrown("Minified React error #418; visit https://react.dev/errors/418 for the full message"),
            thrown("Minified React error #31; visit https://react.dev/errors/31 for the full message"),
        ),
        (Filter::ErrorMessages, &["TypeError: Load failed*"], "event", thrown("Load failed (x)"), thrown("Loaded")),
        (
            Filter::Releases,
            &["shop@1.*"],
            "event",
            json!({ "message": "m", "release": "shop@1.4" }),
            json!({ "message": "m", "release": "shop@2.0" }),
        ),
    ]
}

#[tokio::test]
async fn each_filter_holds_back_its_own_and_the_ledger_balances() {
    for (filter, entries, kind, held, kept) in cases() {
        let app = TestApp::start().await;
        switch_on(&app, filter, entries).await;
        for payload in [&held, &kept] {
            send(&app, ELSEWHERE, &new_id(), &[(kind, payload.to_string())]).await.expect(200);
        }
        let category = if kind == "event" { "error" } else { kind };
        let expected = [format!("{category} filtered {} 1", filter.id()), format!("{category} stored  1")];
        assert_eq!(settled(&app, 2).await, expected, "{}", filter.id());
        let stored = count(&app, "select (select count(*) from event) + (select count(*) from span)").await;
        assert_eq!(stored, 1, "{}", filter.id());
    }
}

#[tokio::test]
async fn as_shipped_nothing_is_held_back() {
    let app = TestApp::start().await;
    let cases = cases();
    for (.., kind, held, _) in &cases {
        send(&app, "127.0.0.1", &new_id(), &[(*kind, held.to_string())]).await.expect(200);
    }
    let fates = settled(&app, i64::try_from(cases.len()).unwrap()).await;
    assert_eq!(fates, ["error stored  8", "transaction stored  1"]);
    assert_eq!(count(&app, "select count(*) from project_rules").await, 0);
}

#[tokio::test]
async fn an_address_that_is_not_wanted_sends_nothing_at_all() {
    let app = TestApp::start().await;
    switch_on(&app, Filter::ClientIps, &["203.0.113.0/24", "2001:db8::7"]).await;
    let now = chrono::Utc::now().to_rfc3339();
    let session = json!({ "sid": new_id(), "status": "ok", "started": now, "attrs": { "release": "a@1" } });
    let check_in = json!({ "monitor_slug": "job", "status": "ok", "monitor_config": { "schedule": { "type": "crontab", "value": "@daily" } } });
    let items = [
        ("event", json!({ "message": "m" }).to_string()),
        ("attachment", "bytes".to_owned()),
        ("session", session.to_string()),
        ("check_in", check_in.to_string()),
        ("transaction", transaction("GET /cart").to_string()),
    ];
    for from in ["203.0.113.9", "2001:db8::7"] {
        send(&app, from, &new_id(), &items).await.expect(200);
    }
    let held = ["attachment", "error", "monitor", "session", "transaction"];
    assert_eq!(settled(&app, 10).await, held.map(|category| format!("{category} filtered ip-address 2")));
    send(&app, ELSEWHERE, &new_id(), &items).await.expect(200);
    let fates = settled(&app, 15).await;
    assert_eq!(fates.iter().filter(|fate| fate.ends_with(" stored  1")).count(), 5, "{fates:?}");
}

#[tokio::test]
async fn reports_of_browsers_are_filtered_too() {
    let app = TestApp::start().await;
    set(&app, app.project.id, |filters| {
        filters.switch(Filter::BrowserExtensions, true).unwrap();
        filters.switch(Filter::Localhost, true).unwrap();
        filters.switch(Filter::WebCrawlers, true).unwrap();
        filters.set_entries(Filter::CspSources, ["https://*.unwanted.example"]).unwrap();
    })
    .await;
    let report = |page: &str, blocked: &str| json!({ "csp-report": { "document-uri": page, "violated-directive": "script-src", "blocked-uri": blocked } });
    let path = format!("/api/{}/security/?sentry_key={}", app.project.id, app.key.public_key);
    let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36";
    let (shop, evil) = ("https://shop.example/", "https://evil.example/x.js");
    for (body, agent) in [
        (report(shop, "chrome-extension"), chrome),
        (report("http://localhost:3000/", evil), chrome),
        (report(shop, evil), "Mozilla/5.0 (compatible; bingbot/2.0)"),
        (report(shop, "https://cdn.unwanted.example/x.js"), chrome),
        (report(shop, evil), chrome),
    ] {
        let headers =
            [("content-type", "application/csp-report"), ("user-agent", agent), ("x-forwarded-for", ELSEWHERE)];
        app.client().post(&path, &headers, body.to_string()).await.expect(200);
    }
    let expected = [
        "error filtered browser-extensions 1",
        "error filtered invalid-csp 1",
        "error filtered localhost 1",
        "error filtered web-crawlers 1",
        "error stored  1",
    ];
    assert_eq!(settled(&app, 5).await, expected);
}

#[tokio::test]
async fn a_project_has_its_own_filters() {
    let app = TestApp::start().await;
    let other = new_project(&app, app.organization.id, "other").await;
    set(&app, other, |filters| filters.set_entries(Filter::ErrorMessages, ["*"]).unwrap()).await;
    send(&app, ELSEWHERE, &new_id(), &[("event", json!({ "message": "m" }).to_string())]).await.expect(200);
    assert_eq!(settled(&app, 1).await, ["error stored  1"]);
    let key = glitchbox::store::project_key::insert(&app.app.db, other, "Default").await.unwrap();
    let path = format!("/api/{other}/store/?sentry_key={}", key.public_key);
    app.client().post(&path, &[], json!({ "message": "m" }).to_string()).await.expect(200);
    app.drain().await;
    let fates = ledger(&app, other).await;
    assert!(fates.contains(&"error filtered error-message 1".to_owned()), "{fates:?}");
}

#[tokio::test]
async fn a_change_takes_effect_while_the_worker_runs() {
    let app = TestApp::start().await;
    let event = [("event", json!({ "message": "noise" }).to_string())];
    send(&app, ELSEWHERE, &new_id(), &event).await.expect(200);
    let mut sent = 1;
    assert_eq!(settled(&app, sent).await, ["error stored  1"]);
    for (change, outcome) in [(&["noise"][..], "filtered"), (&[], "stored")] {
        set(&app, app.project.id, |filters: &mut FilterSettings| {
            filters.set_entries(Filter::ErrorMessages, change.iter().copied()).unwrap();
        })
        .await;
        let before = of_outcome(&app, outcome).await;
        let began = Instant::now();
        while of_outcome(&app, outcome).await == before {
            assert!(began.elapsed() < Duration::from_secs(5), "{outcome}: it takes longer than a few seconds");
            send(&app, ELSEWHERE, &new_id(), &event).await.expect(200);
            sent += 1;
            settled(&app, sent).await;
        }
    }
}

async fn of_outcome(app: &TestApp, outcome: &str) -> i64 {
    sqlx::query_scalar("select coalesce(sum(quantity), 0)::bigint from outcome_hourly where outcome = $1")
        .bind(outcome)
        .fetch_one(app.database.pool())
        .await
        .unwrap()
}
