//! A page in Chromium: its SDK, directly and through the tunnel, and what Chromium itself reports.

use std::time::{Duration, Instant};

use serde_json::json;

use super::pages::{Page, Pages};
use super::{FILES, Site, WRITTEN, programs};
use crate::appliance::webdriver::Browser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_item_of_a_page_arrives() {
    every_item_arrives("Page", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_item_of_a_page_arrives_through_the_tunnel() {
    every_item_arrives("Page with a tunnel", true).await;
}

async fn every_item_arrives(name: &str, with_tunnel: bool) {
    let (site, sdks) = tokio::task::block_in_place(|| Site::new(name));
    let tunnel = format!("<meta name=tunnel content=http://{}/tunnel/>", site.instance.address());
    let page = format!(
        "<!doctype html><title>Shop</title><meta name=dsn content={}>{}<script src=/sdk.js></script>\
         <script src=/page.js></script><p>Figs",
        site.dsn,
        if with_tunnel { &tunnel } else { "" },
    );
    let pages = Pages::serve([
        ("/shop", Page::html(&page)),
        ("/sdk.js", Page::script(std::fs::read(sdks.join("node/browser.js")).unwrap())),
        ("/page.js", Page::script(std::fs::read(programs().join("browser/page.js")).unwrap())),
        ("/away", Page::html("<!doctype html><title>Away</title>")),
    ])
    .await;
    let browser = Browser::start("en").await;
    browser.open(&pages.url("/shop")).await;
    wait_for_title(&browser, "sent").await;
    // What the page still has to say, it says when it is left.
    browser.open(&pages.url("/away")).await;
    let complaints = browser.console().await;
    browser.quit().await;
    let is_own = |line: &&String| line.contains("reading 'toFixed'") || line.contains("favicon");
    assert!(complaints.iter().all(|line| is_own(&line)), "besides the page's own error: {complaints:#?}");
    tokio::task::block_in_place(|| check(&site, &pages));
}

async fn wait_for_title(browser: &Browser, title: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while browser.run("return document.title").await != title {
        assert!(Instant::now() < deadline, "the page is not done: {:#?}", browser.console().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn check(site: &Site, pages: &Pages) {
    site.settles(&[
        "attachment stored 2",
        "error discarded before_send 1",
        "error stored 3",
        "feedback stored 1",
        "log_item stored some",
        "session stored some",
        "span stored some",
    ]);
    let unhandled = "TypeError: Cannot read properties of undefined (reading 'toFixed')";
    assert_eq!(
        site.issues(),
        [
            json!([unhandled, "javascript", "error", true, "1", 1]),
            json!(["TypeError: a basket is no box", "javascript", "error", false, "1", 1]),
            json!(["the warehouse is nearly full", "javascript", "warning", false, "1", 1]),
        ]
    );
    let event = site.event(unhandled);
    assert_eq!((&event["release"], &event["environment"]), (&json!("shop@1.4.0"), &json!("staging")), "{event:#}");
    assert_eq!(event["request"]["url"], pages.url("/shop"), "{event:#}");
    assert_eq!(event["contexts"]["browser"]["name"], "Chrome Headless", "{event:#}");
    assert_eq!(
        site.rows("select status, errors, release, environment from release_session where project_id = $project"),
        json!([{ "status": 2, "errors": 1, "release": "shop@1.4.0", "environment": "staging" }])
    );
    assert_eq!(
        site.rows(FILES),
        json!([
            { "name": "basket.csv", "content_type": "text/csv", "kind": "event.attachment", "content": "fig;1\n",
              "of": "event" },
            { "name": "screen.png", "content_type": "image/png", "kind": "event.attachment",
              "content": "\u{89}PNG", "of": "feedback" },
        ])
    );
    assert_eq!(
        site.rows(WRITTEN),
        json!([{
            "kind": 1, "message": "I only bought a fig.", "name": "Annie", "email": "annie@example.org",
            "url": pages.url("/shop"), "about": "TypeError: a basket is no box",
        }])
    );
    // How many more there are of the page's loading is Chromium's to say.
    assert_eq!(
        site.rows(
            "select s.name, s.op, s.is_segment, p.op as within, s.release, s.environment,
                 s.attributes ->> 'user_agent.original' like '%Chrome%' as told_by
             from span s left join span p
                 on p.project_id = s.project_id and p.trace_id = s.trace_id and p.span_id = s.parent_span_id
             where s.project_id = $project and (s.is_segment or s.op = 'function')
             order by s.op"
        ),
        json!([
            span("sort the shelf", "function", Some("task"), false),
            span("Pageload", "pageload", None, true),
            span("restock", "task", Some("pageload"), true),
        ])
    );
    assert_eq!(
        site.rows(
            "select l.body, l.severity, l.release, s.op as within from log_record l left join span s
                 on s.project_id = l.project_id and s.trace_id = l.trace_id and s.span_id = l.span_id
             where l.project_id = $project"
        ),
        json!([{ "body": "only 2 figs left", "severity": 13, "release": "shop@1.4.0", "within": "pageload" }])
    );
}

fn span(name: &str, op: &str, within: Option<&str>, is_segment: bool) -> serde_json::Value {
    json!({
        "name": name, "op": op, "is_segment": is_segment, "within": within, "release": "shop@1.4.0",
        "environment": "staging", "told_by": true,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_chromium_reports_of_a_policy_arrives() {
    let (site, _sdks) = tokio::task::block_in_place(|| Site::new("Policy"));
    let (key, rest) = site.dsn.trim_start_matches("http://").split_once('@').unwrap();
    let (host, project) = rest.split_once('/').unwrap();
    let report = format!(
        "http://{host}/api/{project}/security/?sentry_key={key}&sentry_environment=staging&sentry_release=shop@1.4.0"
    );
    // Chromium sends to `report-to` over TLS alone.
    let policy = format!("img-src 'self'; script-src 'self'; report-uri {report}");
    let body =
        "<!doctype html><title>Shop</title><img src=http://127.0.0.1:9/fig.png><script>document.title = 1</script>";
    let page = Page { headers: vec![("content-security-policy", policy)], ..Page::html(body) };
    let pages = Pages::serve([("/shop", page)]).await;
    let browser = Browser::start("en").await;
    browser.open(&pages.url("/shop")).await;
    tokio::task::block_in_place(|| {
        site.settles(&["error stored 2"]);
        assert_eq!(
            site.issues(),
            [
                json!(["Blocked 'image' from '127.0.0.1:9'", "other", "error", false, "1", 1]),
                json!(["Blocked unsafe inline 'script'", "other", "error", false, "1", 1]),
            ]
        );
        let event = site.event("Blocked 'image' from '127.0.0.1:9'");
        assert_eq!((&event["release"], &event["environment"]), (&json!("shop@1.4.0"), &json!("staging")), "{event:#}");
        assert_eq!(event["csp"]["blocked_uri"], "http://127.0.0.1:9/fig.png", "{event:#}");
        assert_eq!(event["request"]["url"], pages.url("/shop"), "{event:#}");
    });
    browser.quit().await;
}
