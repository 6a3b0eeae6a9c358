//! Rust.

use serde_json::json;

use super::{FILES, LOGS, SESSIONS, SPANS, Site, command};

#[test]
fn every_item_of_rust_arrives() {
    let (site, sdks) = Site::new("Rust");
    let nothing: [&str; 0] = [];
    // What a panic ends with.
    site.run(command(sdks.join("rust/debug/glitchbox-sdk-test"), nothing), 101);
    site.settles(&[
        "attachment stored 1",
        "error discarded before_send 1",
        "error stored 3",
        "log_item stored some",
        "session stored 2",
        "trace_metric filtered not_kept some",
        "transaction stored 1",
    ]);
    assert_eq!(
        site.issues(),
        [
            json!(["NoPrice: no price for plum", "native", "error", false, "1", 1]),
            json!(["panic: nothing weighs nothing", "native", "fatal", true, "1", 1]),
            json!(["the warehouse is nearly full", "native", "warning", false, "1", 1]),
        ]
    );
    let error = site.event("NoPrice: no price for plum");
    let kinds: Vec<_> = error["exception"]["values"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["ParseIntError", "NoPrice"], "{error:#}");
    assert!(error["tags"].as_array().unwrap().contains(&json!(["shelf", "4"])), "{error:#}");
    let panic = site.event("panic: nothing weighs nothing");
    let frames = panic["exception"]["values"][0]["stacktrace"]["frames"].as_array().unwrap();
    assert!(frames.iter().any(|frame| frame["function"] == "glitchbox_sdk_test::ship"), "{panic:#}");
    // Two errors, the second of which ended it.
    assert_eq!(
        site.rows(SESSIONS),
        json!([{ "release": "shop@1.4.0", "environment": "staging", "status": 4, "errors": 2, "of_a_user": true }])
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
    assert_eq!(
        site.rows(LOGS),
        json!([{
            "body": "only 2 plums left", "severity": 13, "release": "shop@1.4.0", "environment": "staging",
            "traced": true, "within": null,
        }])
    );
    assert_eq!(
        site.rows(FILES),
        json!([{
            "name": "basket.csv", "content_type": "application/octet-stream", "kind": "event.attachment",
            "content": "plum;3\n", "of": "event",
        }])
    );
}
