//! What only clients of old do with `/store/`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use url::form_urlencoded;

use super::{ID, rows, send, stored, zlib};
use crate::spool::settled_ledger;
use crate::support::TestApp;

#[tokio::test]
async fn an_event_in_the_address_of_an_image_is_stored_and_answered_with_a_pixel() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let event = |id: char| format!("{{\"event_id\":\"{}\",\"message\":\"a + b\"}}", id.to_string().repeat(32));
    let json = event('1');
    let packed = STANDARD.encode(zlib(event('2').as_bytes()));
    for data in [&json, &packed] {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("sentry_version", "4")
            .append_pair("sentry_key", key)
            .append_pair("sentry_data", data)
            .finish();
        let reply = app.client().get(&format!("/api/{project}/store/?{query}")).await.expect(200);
        assert_eq!(reply.header("content-type"), "image/gif");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert!(reply.body.starts_with(b"GIF89a\x01\0\x01\0") && reply.body.len() == 43);
    }
    let events = stored(&app).await;
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|stored| stored.event.title == "a + b"));
    for (query, status) in [
        (format!("sentry_key={key}"), 400),
        (format!("sentry_key={key}&sentry_data=nonsense"), 400),
        ("sentry_data=%7B%7D".to_owned(), 401),
    ] {
        app.client().get(&format!("/api/{project}/store/?{query}")).await.expect(status);
    }
    let reply = app.client().send("PUT", &format!("/api/{project}/store/"), &[], bytes::Bytes::new()).await.expect(405);
    assert_eq!(reply.header("allow"), "GET, POST, OPTIONS");
}

#[tokio::test]
async fn store_takes_envelopes_by_their_content_type() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/store/?sentry_key={}", app.project.id, app.key.public_key);
    let headers = [("content-type", "application/x-sentry-envelope")];
    let body = format!(
        "{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"event\"}}\n{{\"message\":\"x\"}}\n{{\"type\":\"session\"}}\n{{}}\n"
    );
    assert_eq!(send(&app, &path, &headers, body).await.expect(200).json()["id"], ID);
    assert_eq!(app.queued_events().await, 1);
}

#[tokio::test]
async fn store_answers_both_ids_and_keeps_transactions_and_feedback() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/store/?sentry_key={}", app.project.id, app.key.public_key);
    let trace = json!({ "trace_id": ID, "span_id": "0123456789abcdef", "op": "http.server" });
    let now = chrono::Utc::now().timestamp();
    let transaction = json!({ "event_id": ID, "type": "transaction", "transaction": "/cart", "start_timestamp": now - 1,
                              "timestamp": now, "contexts": { "trace": trace } });
    let other = "fedcba9876543210fedcba9876543210";
    let feedback = json!({ "event_id": other, "type": "feedback", "contexts": { "feedback": { "message": "m" } } });
    for (event, id) in [(transaction, ID), (feedback, other)] {
        let reply = send(&app, &path, &[], event.to_string()).await.expect(200);
        assert_eq!(reply.json(), json!({ "id": id, "event_id": id }));
    }
    app.drain().await;
    let expected =
        [("accepted/feedback/", 1), ("accepted/transaction/", 1), ("stored/feedback/", 1), ("stored/transaction/", 1)];
    settled_ledger(&app, &expected).await;
    assert_eq!(
        rows(&app, "select name, op from span where is_segment").await,
        [json!({"name": "/cart", "op": "http.server"})]
    );
    assert_eq!(rows(&app, "select message from user_feedback").await, [json!({"message": "m"})]);
}

#[tokio::test]
async fn bare_nan_and_infinity_are_null() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/store/?sentry_key={}", app.project.id, app.key.public_key);
    let body = "{\"message\":\"NaN\",\"extra\":{\"a\":NaN,\"b\":[-Infinity,Infinity,1]}}";
    send(&app, &path, &[("user-agent", "raven-python/6.10.0")], body).await.expect(200);
    let events = stored(&app).await;
    assert_eq!(events[0].event.title, "NaN");
    assert_eq!(events[0].event.extra["b"], serde_json::json!([null, null, 1]));
}
