//! What is taken out of what is kept, as a project says.

use serde_json::{Value, json};

use super::{count, new_id, only_event, protect, send, settled};
use crate::support::TestApp;

type Change = fn(&mut glitchbox::protocol::PrivacySettings);

const CLIENT: &str = "203.0.113.9";

fn event() -> String {
    json!({
        "message": format!("refused {CLIENT}"), "platform": "javascript",
        "exception": { "values": [{ "type": "E", "value": "password=hunter2" }] },
        "extra": { "password": "hunter2", "customer": "Ann" },
        "request": { "url": "/", "headers": { "X-Forwarded-For": CLIENT } },
    })
    .to_string()
}

#[tokio::test]
async fn a_project_that_wants_no_addresses_stores_none() {
    let app = TestApp::start().await;
    protect(&app, |privacy| privacy.scrub_ip_addresses = true).await;
    let log = json!({ "items": [{
        "timestamp": chrono::Utc::now().timestamp(), "level": "info", "body": format!("from {CLIENT}"),
        "trace_id": "0123456789abcdef0123456789abcdef",
        "attributes": { "client.address": { "type": "string", "value": CLIENT } },
    }], "ingest_settings": { "infer_ip": "auto" }, "version": 2 });
    send(&app, CLIENT, &new_id(), &[("event", event()), ("log", log.to_string())]).await.expect(200);
    settled(&app, 2).await;
    let stored = only_event(&app).await;
    assert_eq!((&stored["user"], &stored["logentry"]["formatted"]), (&Value::Null, &json!("refused [ip]")));
    assert!(!stored.to_string().contains(CLIENT), "{stored}");
    let logs = "select count(*) from log_record where body = 'from [ip]' and attributes::text not like '%203.0%'";
    assert_eq!(count(&app, logs).await, 1);
    assert_eq!(count(&app, "select count(*) from issue_user").await, 0);
}

#[tokio::test]
async fn names_of_its_own_and_switches_count() {
    let filtered = json!("[Filtered]");
    let cases: [(Change, Value, Value, &str); 4] = [
        (|_| (), filtered.clone(), json!("Ann"), "password=[Filtered]"),
        (|privacy| privacy.scrub_exception_values = false, filtered.clone(), json!("Ann"), "password=hunter2"),
        (
            |privacy| privacy.sensitive_fields = vec!["customer".into()],
            filtered.clone(),
            filtered,
            "password=[Filtered]",
        ),
        (|privacy| privacy.scrub_data = false, json!("hunter2"), json!("Ann"), "password=hunter2"),
    ];
    for (index, (change, password, customer, value)) in cases.into_iter().enumerate() {
        let app = TestApp::start().await;
        protect(&app, change).await;
        send(&app, CLIENT, &new_id(), &[("event", event())]).await.expect(200);
        settled(&app, 1).await;
        let stored = only_event(&app).await;
        assert_eq!(
            (&stored["extra"]["password"], &stored["extra"]["customer"]),
            (&password, &customer),
            "case {index}"
        );
        assert_eq!(stored["exception"]["values"][0]["value"], value, "case {index}");
        assert_eq!(stored["user"]["ip_address"], CLIENT, "addresses stay unless they are switched off");
    }
}
