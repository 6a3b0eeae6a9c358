//! Python: a plain program, with and without brotli, and a Flask application.

use serde_json::json;

use super::{FILES, LOGS, RUNS, SESSION_COUNTS, SESSIONS, SPANS, Site, WRITTEN, command, programs};

#[test]
fn every_item_of_python_arrives() {
    // Bodies are compressed by what can be imported; spans travel in transactions, or by themselves.
    for (encoding, lifecycle) in [("gzip", "static"), ("br", "stream")] {
        let (site, sdks) = Site::new(&format!("Python {encoding}"));
        let program = programs().join("python/items.py");
        let mut python = command(sdks.join("python/bin/python"), [program.as_os_str(), lifecycle.as_ref()]);
        if encoding == "br" {
            python.env("PYTHONPATH", sdks.join("brotli"));
        }
        let output = site.run(python, 0);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), encoding);
        site.settles(&fates(if lifecycle == "stream" { "span stored some" } else { "transaction stored 1" }));
        check(&site);
    }
}

/// Each endpoint of the DSN is below its path.
#[test]
fn python_sends_below_the_path_of_the_dsn() {
    let (site, sdks) = Site::below("/errors/of", "Python below a path");
    assert!(site.dsn.contains("/errors/of/"), "{}", site.dsn);
    let program = programs().join("python/items.py");
    site.run(command(sdks.join("python/bin/python"), [program.as_os_str(), "static".as_ref()]), 0);
    site.settles(&fates("transaction stored 1"));
    check(&site);
}

/// What becomes of the program's items, with its spans in one way or the other.
fn fates(spans: &'static str) -> Vec<&'static str> {
    let mut fates = vec![
        "attachment stored 1",
        "error discarded before_send 1",
        "error stored 2",
        "feedback stored 1",
        "log_item stored some",
        "monitor stored 4",
        "session stored 1",
        "trace_metric filtered not_kept some",
        spans,
    ];
    fates.sort_unstable();
    fates
}

fn check(site: &Site) {
    assert_eq!(
        site.issues(),
        [
            json!(["KeyError: 'plum'", "python", "error", false, "1", 1]),
            json!(["the warehouse is nearly full", "python", "warning", false, "1", 1]),
        ]
    );
    let event = site.event("KeyError: 'plum'");
    assert_eq!((&event["release"], &event["environment"]), (&json!("shop@1.4.0"), &json!("staging")), "{event:#}");
    assert_eq!(event["user"]["email"], "ada@example.org", "{event:#}");
    assert!(event["tags"].as_array().unwrap().contains(&json!(["shelf", "4"])), "{event:#}");
    assert_eq!(
        site.rows(SESSIONS),
        json!([{ "release": "shop@1.4.0", "environment": "staging", "status": 1, "errors": 1, "of_a_user": true }])
    );
    let config = json!({
        "schedule": { "type": "crontab", "value": "15 3 * * *" }, "timezone": "Asia/Shanghai", "checkin_margin": 5,
        "max_runtime": 20, "failure_issue_threshold": 1, "recovery_threshold": 1,
    });
    let run = |status: u8| {
        json!({
            "slug": "nightly-count", "config": config, "environment": "staging", "status": status,
            "release": "shop@1.4.0", "timed": true, "traced": true,
        })
    };
    assert_eq!(site.rows(RUNS), json!([run(1), run(2)]));
    assert_eq!(
        site.rows(FILES),
        json!([{
            "name": "basket.csv", "content_type": "text/csv", "kind": "event.attachment", "content": "plum;3\n",
            "of": "event",
        }])
    );
    assert_eq!(
        site.rows(WRITTEN),
        json!([{
            "kind": 0, "message": "I only bought a plum.", "name": "Ada", "email": "ada@example.org", "url": null,
            "about": "KeyError: 'plum'",
        }])
    );
    let span = |name: &str, op: &str, within: Option<&str>| {
        json!({
            "name": name, "op": op, "status": "ok", "release": "shop@1.4.0", "environment": "staging",
            "is_segment": within.is_none(), "within": within,
        })
    };
    assert_eq!(
        site.rows(SPANS),
        json!([span("restock", "task", None), span("select price from article", "db", Some("restock"))])
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

#[test]
fn every_item_of_a_flask_application_arrives() {
    let (site, sdks) = Site::new("Flask");
    let output = site.run(command(sdks.join("python/bin/python"), [programs().join("python/web.py")]), 0);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[200, 200, 200, 500]");
    site.settles(&["error discarded event_processor 1", "error stored 2", "session stored 1", "transaction stored 4"]);
    // The one that was handled, and the one that was not.
    assert_eq!(
        site.rows("select culprit, is_unhandled from issue where project_id = $project order by culprit"),
        json!([{ "culprit": "price", "is_unhandled": true }, { "culprit": "stock", "is_unhandled": false }])
    );
    let title = "KeyError: 'plum'";
    assert_eq!(site.issues().iter().filter(|issue| issue[0] == title).count(), 2);
    // What happened before one of its requests.
    assert_eq!(
        site.rows(SESSION_COUNTS),
        json!([{
            "release": "shop@1.4.0", "environment": "staging", "exited": 2, "errored": 1, "unhandled": 0, "abnormal": 0,
            "crashed": 1,
        }])
    );
    assert_eq!(
        site.rows(
            "select name, status, attributes ->> 'http.request.method' as method,
                 attributes -> 'http.response.status_code' as code, count(*) as n
             from span where project_id = $project and is_segment group by 1, 2, 3, 4 order by 1, 2"
        ),
        json!([
            { "name": "price", "status": "internal_error", "method": "GET", "code": 500, "n": 1 },
            { "name": "price", "status": "ok", "method": "GET", "code": 200, "n": 2 },
            { "name": "stock", "status": "ok", "method": "GET", "code": 200, "n": 1 },
        ])
    );
}
