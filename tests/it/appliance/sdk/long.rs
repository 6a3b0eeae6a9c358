//! Frameworks that need more to be installed, and SDKs of former years, which applications still send with.

use serde_json::{Value, json};

use super::{FILES, LOGS, RUNS, SESSION_COUNTS, SPANS, Site, WRITTEN, command, node, prepared, programs};
use crate::support::keeper::{Kept, new_dir};
use crate::support::redis::TestRedis;

#[test]
#[ignore = "long: installs Django and Celery"]
fn every_item_of_a_django_application_arrives() {
    let (site, _sdks) = Site::new("Django");
    let python = prepared(&["--long"]).join("python-long/bin/python");
    let output = site.run(command(python, [programs().join("python-long/web.py")]), 0);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[200, 500, 404]");
    site.settles(&["error stored 1", "log_item stored some", "session stored 1", "transaction stored 3"]);
    let title = "TypeError: 'NoneType' object is not subscriptable";
    assert_eq!(site.issues(), [json!([title, "python", "error", true, "1", 1])]);
    let event = site.event(title);
    assert!(event["request"]["url"].as_str().unwrap().ends_with("/price/plum/"), "{event:#}");
    assert_eq!(event["transaction"], "/price/{article}/", "{event:#}");
    assert_eq!(
        site.rows(SESSION_COUNTS),
        json!([{
            "release": "shop@1.4.0", "environment": "staging", "exited": 2, "errored": 0, "unhandled": 0, "abnormal": 0,
            "crashed": 1,
        }])
    );
    let spans = "select s.name, s.op, s.status, p.name as within, s.attributes ->> 'db.system' as db
        from span s left join span p
            on p.project_id = s.project_id and p.trace_id = s.trace_id and p.span_id = s.parent_span_id
        where s.project_id = $project and (s.is_segment or s.name like 'select%') order by s.name, s.status";
    let of_a_request = |name: &str, status: &str| json!({ "name": name, "op": "http.server", "status": status, "within": null, "db": null });
    let query = json!({
        "name": "select 3 where 'pear' = %s", "op": "db", "status": "ok", "within": "/price/{article}/", "db": "sqlite",
    });
    assert_eq!(
        site.rows(spans),
        json!([
            of_a_request("/nowhere/", "not_found"),
            of_a_request("/price/{article}/", "internal_error"),
            of_a_request("/price/{article}/", "ok"),
            query,
            query,
        ])
    );
    let logs = "select body, severity from log_record where project_id = $project order by logged_at";
    assert_eq!(
        site.rows(logs),
        json!([
            { "body": "asked for pear", "severity": 13 },
            { "body": "asked for plum", "severity": 13 },
            { "body": "Internal Server Error: /price/plum/", "severity": 17 },
            { "body": "Not Found: /nowhere/", "severity": 13 },
        ])
    );
}

#[test]
#[ignore = "long: installs Django and Celery, and waits for the minute"]
fn every_item_of_celery_arrives() {
    let (site, _sdks) = Site::new("Celery");
    let python = prepared(&["--long"]).join("python-long/bin");
    let broker = TestRedis::start();
    let (socket, folder) = (broker.socket().to_str().unwrap(), new_dir("gbt-celery-"));
    let (dsn, own) = (format!("SENTRY_DSN={}", site.dsn), format!("BROKER={socket}"));
    let (celery, sources) = (python.join("celery"), format!("PYTHONPATH={}", programs().join("python-long").display()));
    let schedule = folder.join("beat").display().to_string();
    // The clock (-B) runs in the worker.
    let worker = ["env", "-i", "PATH=/usr/bin:/bin", &dsn, &own, &sources, celery.to_str().unwrap()];
    let options = [
        "--workdir",
        folder.to_str().unwrap(),
        "-A",
        "jobs",
        "worker",
        "-P",
        "prefork",
        "-c",
        "1",
        "-B",
        "-s",
        &schedule,
    ];
    let worker = Kept::spawn(folder.clone(), "TERM", &[&worker[..], &options[..]].concat());
    let mut client = command(python.join("python"), [programs().join("python-long/jobs.py")]);
    client.env("BROKER", socket);
    let output = site.run(client, 0);
    let results = String::from_utf8_lossy(&output.stdout);
    assert_eq!(results.trim(), "[25.0, ZeroDivisionError('division by zero')]", "{}", worker.log());
    site.settles(&["error stored 1", "monitor stored 2", "transaction stored 4"]);
    assert_eq!(site.issues(), [json!(["ZeroDivisionError: division by zero", "python", "error", true, "1", 0])]);
    let event = site.event("ZeroDivisionError: division by zero");
    assert_eq!(event["transaction"], "jobs.ship", "{event:#}");
    let config = json!({
        "schedule": { "type": "crontab", "value": "* * * * *" }, "timezone": "Asia/Shanghai", "checkin_margin": 1,
        "max_runtime": 30, "failure_issue_threshold": 1, "recovery_threshold": 1,
    });
    assert_eq!(
        site.rows(RUNS),
        json!([{
            "slug": "count-stock", "config": config, "environment": "staging", "status": 1, "release": "shop@1.4.0",
            "timed": true, "traced": true,
        }])
    );
    // One trace goes from whoever asked for a task to whoever did it.
    let segments = "select s.name, s.op, s.status, t.name as trace_of from span s left join span t
            on t.project_id = s.project_id and t.trace_id = s.trace_id and t.is_segment and t.name = 'order'
        where s.project_id = $project and s.is_segment order by s.name, s.status";
    let task = |name: &str, status: &str, trace_of: Option<&str>| json!({ "name": name, "op": "queue.task.celery", "status": status, "trace_of": trace_of });
    assert_eq!(
        site.rows(segments),
        json!([
            task("jobs.count_stock", "ok", None),
            task("jobs.ship", "internal_error", Some("order")),
            task("jobs.ship", "ok", Some("order")),
            { "name": "order", "op": "task", "status": "ok", "trace_of": "order" },
        ])
    );
}

#[test]
#[ignore = "long: installs the SDKs of former years"]
fn every_item_of_node_7_8_and_10_arrives() {
    for (version, more) in [
        (7, &[][..]),
        (8, &["error discarded before_send 1", "feedback stored 1"][..]),
        (10, &["error discarded before_send 1", "feedback stored 1", "log_item stored some"][..]),
    ] {
        let (site, _sdks) = Site::new(&format!("Node {version}"));
        let sdks = prepared(&["--long"]);
        let mut program = node(&sdks, "node-old", "items.js");
        program.arg(format!("sentry-node-{version}"));
        site.run(program, 0);
        let all =
            ["attachment stored 1", "error stored 2", "monitor stored 4", "session stored 3", "transaction stored 1"];
        let mut fates = [&all[..], more].concat();
        fates.sort_unstable();
        site.settles(&fates);
        check_items_of_node(&site, version);
    }
}

fn check_items_of_node(site: &Site, version: u32) {
    assert_eq!(
        site.issues(),
        [
            json!(["TypeError: a basket is no box", "node", "error", false, "1", 1]),
            json!(["the warehouse is nearly full", "node", "warning", false, "1", 1]),
        ]
    );
    // That of version 8 never says that it is over.
    let status = u8::from(version != 8);
    assert_eq!(
        site.rows("select release, environment, status, errors from release_session where project_id = $project"),
        json!([{ "release": "shop@1.4.0", "environment": "staging", "status": status, "errors": 1 }])
    );
    let runs = site.rows(RUNS);
    let runs: Vec<(&Value, &Value)> =
        runs.as_array().unwrap().iter().map(|run| (&run["status"], &run["config"]["timezone"])).collect();
    let zone = json!("Europe/Berlin");
    assert_eq!(runs, [(&json!(1), &zone), (&json!(2), &zone)]);
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
    assert_eq!(
        site.rows(FILES),
        json!([{
            "name": "basket.csv", "content_type": "text/csv", "kind": "event.attachment", "content": "pear;2\n",
            "of": "event",
        }])
    );
    let feedback = json!([{
        "kind": 1, "message": "Where are the pears?", "name": "Grace", "email": "grace@example.org", "url": null,
        "about": "TypeError: a basket is no box",
    }]);
    assert_eq!(site.rows(WRITTEN), if version == 7 { json!([]) } else { feedback });
    let log = json!([{
        "body": "within a span", "severity": 9, "release": "shop@1.4.0", "environment": "staging", "traced": true,
        "within": "select price from article",
    }]);
    assert_eq!(site.rows(LOGS), if version == 10 { log } else { json!([]) });
}

#[test]
#[ignore = "long: installs the SDKs of former years"]
fn what_raven_reports_arrives() {
    let sdks = prepared(&["--long"]);
    let (site, _) = Site::new("Raven for Python");
    site.run(command(sdks.join("python-long/bin/python"), [programs().join("python-long/old.py")]), 0);
    site.settles(&["error stored 3"]);
    assert_eq!(
        site.issues(),
        [
            json!(["KeyError: 'plum'", "python", "error", false, "1", 1]),
            json!(["only 2 pears left", "python", "error", false, "1", 1]),
            json!(["the warehouse is nearly full", "python", "warning", false, "1", 1]),
        ]
    );
    check_raven(&site, "KeyError: 'plum'");

    let (site, _) = Site::new("Raven for Node");
    site.run(node(&sdks, "node-old", "raven.js"), 1);
    site.settles(&["error stored 3"]);
    let dies_of = "TypeError: Cannot read properties of undefined (reading 'toFixed')";
    // Its own word for what nobody has handled is the level.
    assert_eq!(
        site.issues(),
        [
            json!([dies_of, "node", "fatal", false, "1", 1]),
            json!(["TypeError: a basket is no box", "node", "error", false, "1", 1]),
            json!(["the warehouse is nearly full", "node", "warning", false, "1", 1]),
        ]
    );
    check_raven(&site, dies_of);
}

fn check_raven(site: &Site, title: &str) {
    let event = site.event(title);
    assert_eq!((&event["release"], &event["environment"]), (&json!("shop@1.4.0"), &json!("staging")), "{event:#}");
    assert!(event["tags"].as_array().unwrap().contains(&json!(["shelf", "4"])), "{event:#}");
    assert!(event["user"]["email"].is_string(), "{event:#}");
}
