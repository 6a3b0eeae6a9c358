//! Envelopes that name their DSN themselves: the tunnel, and form 6 of A.3 of the protocol.

use std::path::Path;

use super::{OTHER_KEY, send, stored};
use crate::support::TestApp;

/// The envelope that a browser sent through a tunnel, with a DSN of ours.
fn envelope(dsn: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures");
    let request = std::fs::read_to_string(folder.join("browser11-tunnel-event.http")).unwrap();
    let (_, body) = request.split_once("\n\n").unwrap();
    let captured = "http://a0b1c2d3e4f5061728394a5b6c7d8e9f@127.0.0.1:9911/10";
    assert!(body.contains(captured));
    body.replace(captured, dsn)
}

#[tokio::test]
async fn what_comes_through_the_tunnel_is_stored_with_the_visitors_address() {
    let app = TestApp::start().await;
    // The page's server is the one that speaks to us, by its own name for us.
    let headers = [
        ("host", "shop.example"),
        ("content-type", "text/plain;charset=UTF-8"),
        ("x-forwarded-for", "6.6.6.6, 203.0.113.7, 10.0.0.2"),
        ("user-agent", "nginx"),
    ];
    for (path, last) in [("/api/tunnel/", '1'), ("/tunnel/", '2'), ("/api/tunnel", '3'), ("/tunnel", '4')] {
        let body = envelope(&app.dsn())
            .replace("6a94792791604b2db2a734614656ad92", &format!("6a94792791604b2db2a734614656ad9{last}"));
        let reply = send(&app, path, &headers, body).await.expect(200);
        assert!(reply.json()["id"].as_str().unwrap().ends_with(last), "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
    }
    let own = format!("/api/{}/envelope/", app.project.id);
    send(&app, &own, &headers, envelope(&app.dsn())).await.expect(200);
    let events = stored(&app).await;
    assert_eq!(events.len(), 4, "the second way to the same id is a duplicate");
    for stored in events {
        assert_eq!(stored.event.user.unwrap().ip_address, Some([203, 0, 113, 7].into()));
    }
}

#[tokio::test]
async fn the_tunnel_is_for_projects_of_this_instance() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    for (dsn, status) in [
        (format!("http://{OTHER_KEY}@127.0.0.1/{project}"), 403),
        (format!("http://{key}@127.0.0.1/999"), 403),
        (format!("http://{key}@127.0.0.1/shop"), 400),
        (format!("http://short@127.0.0.1/{project}"), 400),
        (String::new(), 400),
    ] {
        let reply = send(&app, "/api/tunnel/", &[], envelope(&dsn)).await.expect(status);
        assert_eq!(reply.header("x-sentry-error"), reply.json()["detail"], "{dsn}");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
    }
    for body in ["", "{", "{}\n", "{\"event_id\":\"x\"}"] {
        send(&app, "/tunnel/", &[], body).await.expect(400);
    }
    let preflight = app.client().send("OPTIONS", "/tunnel/", &[], bytes::Bytes::new()).await.expect(204);
    assert!(preflight.header("access-control-allow-headers").contains("content-type"));
    app.client().get("/tunnel/").await.expect(405);
    assert_eq!(app.queued_events().await, 0);
}
