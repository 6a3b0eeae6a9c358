//! sentry-cli, of today and of the line before.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{FILES, RUNS, Site, command, programs};

#[test]
fn every_item_of_sentry_cli_arrives() {
    for (name, package) in [("CLI 3", "@sentry/cli"), ("CLI 2", "sentry-cli-2")] {
        let (site, sdks) = Site::new(name);
        let cli = |arguments: &[&str]| {
            let mut all = vec![sdks.join("node/node_modules").join(package).join("bin/sentry-cli").into_os_string()];
            all.extend(arguments.iter().map(Into::into));
            command(sdks.join("runtime/node"), all)
        };
        check(&site, &cli);
    }
}

fn check(site: &Site, cli: &dyn Fn(&[&str]) -> Command) {
    let envelope = programs().join("cli/basket.envelope");
    let event = ["send-event", "-m", "the till is open", "-t", "shelf:4", "-l", "warning", "-r", "shop@1.4.0"];
    site.run(cli(&[&event[..], &["-E", "staging", "-u", "id:11"]].concat()), 0);
    site.run(cli(&["send-envelope", path(&envelope)]), 0);
    let monitor = ["-s", "15 3 * * *", "--timezone", "Asia/Shanghai", "--check-in-margin", "5", "--max-runtime", "20"];
    let begin = ["monitors", "run", "-e", "staging"];
    // It ends as its command does.
    site.run(cli(&[&begin[..], &monitor[..], &["nightly-count", "--", "true"]].concat()), 0);
    site.run(cli(&[&begin[..], &["nightly-count", "--", "sh", "-c", "exit 3"]].concat()), 3);
    site.settles(&["attachment stored 1", "error stored 2", "monitor stored 4"]);
    assert_eq!(
        site.issues(),
        [
            json!(["no price for plum", "other", "error", false, "1", 0]),
            json!(["the till is open", "native", "warning", false, "1", 1]),
        ]
    );
    let event = site.event("the till is open");
    assert_eq!((&event["release"], &event["environment"]), (&json!("shop@1.4.0"), &json!("staging")), "{event:#}");
    assert!(event["tags"].as_array().unwrap().contains(&json!(["shelf", "4"])), "{event:#}");
    // It sends its whole environment along, with the DSN in it.
    let key = site.dsn.trim_start_matches("http://").split('@').next().unwrap();
    assert!(event["extra"]["environ"].is_object() && !event.to_string().contains(key), "{event:#}");
    assert_eq!(
        site.rows(FILES),
        json!([{
            "name": "basket.csv", "content_type": "text/csv", "kind": "event.attachment", "content": "plum;3\n",
            "of": "event",
        }])
    );
    let config = json!({
        "schedule": { "type": "crontab", "value": "15 3 * * *" }, "timezone": "Asia/Shanghai", "checkin_margin": 5,
        "max_runtime": 20, "failure_issue_threshold": 1, "recovery_threshold": 1,
    });
    let run = |status: u8| {
        json!({
            "slug": "nightly-count", "config": config, "environment": "staging", "status": status, "release": null,
            "timed": true, "traced": false,
        })
    };
    assert_eq!(site.rows(RUNS), json!([run(1), run(2)]));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
