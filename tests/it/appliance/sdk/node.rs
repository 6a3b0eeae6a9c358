//! Node.js.

use serde_json::json;

use super::{FILES, LOGS, RUNS, SESSION_COUNTS, SESSIONS, Site, WRITTEN, node};

#[test]
fn every_item_of_node_arrives() {
    let (site, sdks) = Site::new("Node");
    site.run(node(&sdks, "node", "items.js"), 0);
    site.settles(&[
        "attachment stored 2",
        "error discarded before_send 1",
        "error stored 3",
        "feedback stored 1",
        "log_item stored some",
        "monitor stored 4",
        "session stored 3",
        "span stored some",
        "trace_metric filtered not_kept some",
    ]);
    assert_eq!(
        site.issues(),
        [
            json!(["Error: no price for plum", "node", "error", false, "1", 1]),
            json!(["TypeError: a basket is no box", "node", "error", false, "1", 1]),
            json!(["the warehouse is nearly full", "node", "warning", false, "1", 1]),
        ]
    );
    let event = site.event("Error: no price for plum");
    assert_eq!((&event["release"], &event["environment"]), (&json!("shop@1.4.0"), &json!("staging")), "{event:#}");
    assert!(event["request"]["url"].as_str().unwrap().ends_with("/plum"), "{event:#}");
    // The program's own, and those of the requests it has served.
    assert_eq!(
        site.rows(SESSIONS),
        json!([{ "release": "shop@1.4.0", "environment": "staging", "status": 1, "errors": 1, "of_a_user": true }])
    );
    assert_eq!(
        site.rows(SESSION_COUNTS),
        json!([{
            "release": "shop@1.4.0", "environment": "staging", "exited": 1, "errored": 1, "unhandled": 0, "abnormal": 0,
            "crashed": 0,
        }])
    );
    let config = json!({
        "schedule": { "type": "interval", "value": 2, "unit": "hour" }, "timezone": "Europe/Berlin", "checkin_margin": 5,
        "max_runtime": 20, "failure_issue_threshold": 2, "recovery_threshold": 1,
    });
    let run = |status: u8| {
        json!({
            "slug": "nightly-count", "config": config, "environment": "staging", "status": status,
            "release": "shop@1.4.0", "timed": true, "traced": true,
        })
    };
    assert_eq!(site.rows(RUNS), json!([run(1), run(2)]));
    let file = |name: &str, content_type: &str, content: &str, of: &str| {
        json!({
            "name": name, "content_type": content_type, "kind": "event.attachment", "content": content, "of": of,
        })
    };
    assert_eq!(
        site.rows(FILES),
        json!([
            file("basket.csv", "text/csv", "pear;2\n", "event"),
            file("screen.png", "image/png", "\u{89}PNG", "feedback"),
        ])
    );
    assert_eq!(
        site.rows(WRITTEN),
        json!([{
            "kind": 1, "message": "I only bought a pear.", "name": "Grace", "email": "grace@example.org", "url": null,
            "about": "TypeError: a basket is no box",
        }])
    );
    check_traces(&site);
}

fn check_traces(site: &Site) {
    let spans = "select s.name, s.op, s.status, s.is_segment, p.name as within, s.attributes ->> 'url.path' as path
        from span s left join span p
            on p.project_id = s.project_id and p.trace_id = s.trace_id and p.span_id = s.parent_span_id
        where s.project_id = $project order by s.op, path";
    let span = |name: &str, op: &str, path: Option<&str>, within: Option<&str>| {
        json!({
            "name": name, "op": op, "status": "ok", "is_segment": op != "db", "within": within, "path": path,
        })
    };
    assert_eq!(
        site.rows(spans),
        json!([
            span("select price from article", "db", None, Some("restock")),
            span("GET 127.0.0.1", "http.client", Some("/pear"), None),
            span("GET 127.0.0.1", "http.client", Some("/plum"), None),
            span("GET", "http.server", Some("/pear"), Some("GET 127.0.0.1")),
            span("GET", "http.server", Some("/plum"), Some("GET 127.0.0.1")),
            span("restock", "task", None, None),
        ])
    );
    let log = |body: &str, severity: u8, within: Option<&str>| {
        json!({
            "body": body, "severity": severity, "release": "shop@1.4.0", "environment": "staging", "traced": true,
            "within": within,
        })
    };
    assert_eq!(
        site.rows(LOGS),
        json!([log("within a span", 9, Some("select price from article")), log("only 2 pears left", 13, None)])
    );
}
