//! Statuses, bodies and headers of the answers: A.4, A.5 and A.12 of the protocol.

use bytes::Bytes;

use super::{OTHER_KEY, envelope, send};
use crate::support::TestApp;

/// Each endpoint, a content type that it takes, and how it is addressed with a key.
fn endpoints(app: &TestApp, key: &str) -> Vec<(String, &'static str)> {
    let project = app.project.id;
    [
        ("envelope", "text/plain"),
        ("store", "application/json"),
        ("security", "application/csp-report"),
        ("csp-report", "application/csp-report"),
        ("nel", "application/reports+json"),
        ("minidump", "application/x-dmp"),
        ("events/0123456789abcdef0123456789abcdef/attachments", "multipart/form-data; boundary=B"),
        ("cron/nightly", "application/json"),
    ]
    .into_iter()
    .flat_map(|(name, content_type)| {
        ["", "/"].map(|slash| (format!("/api/{project}/{name}{slash}?sentry_key={key}"), content_type))
    })
    .chain([(format!("/api/{project}/unreal/{key}/"), "")])
    .collect()
}

#[tokio::test]
async fn every_refusal_says_why_in_body_and_header_and_browsers_may_read_it() {
    let app = TestApp::start().await;
    let origin = ("origin", "https://shop.example");
    let large = Bytes::from(vec![b' '; 21 * 1024 * 1024]);
    for (own, content_type) in endpoints(&app, &app.key.public_key) {
        let headers = [origin, ("content-type", content_type)];
        let stranger = own.replace(&app.key.public_key, OTHER_KEY);
        let short = own.replace(&app.key.public_key, "short");
        let nobody = own.replace(&format!("?sentry_key={}", app.key.public_key), "");
        let no_number = own.replace(&format!("/api/{}/", app.project.id), "/api/shop/");
        let elsewhere = own.replace(&format!("/api/{}/", app.project.id), "/api/999/");
        // Only there is the key in the path; and an envelope is asked for a DSN of its own.
        let (anything, unauthorized) = if own.contains("unreal") { ("", 400) } else { ("{}", 401) };
        for (path, method, body, status) in [
            (&own, "POST", Bytes::new(), 400),
            (&own, "POST", large.clone(), 413),
            (&own, "DELETE", Bytes::new(), 405),
            (&nobody, "POST", Bytes::from(anything), unauthorized),
            (&short, "POST", Bytes::new(), 400),
            (&stranger, "POST", Bytes::new(), 403),
            (&elsewhere, "POST", Bytes::new(), 403),
            (&no_number, "POST", Bytes::new(), 400),
        ] {
            let reply = app.client().send(method, path, &headers, body).await.expect(status);
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(!detail.is_empty());
            assert_eq!(reply.header("x-sentry-error"), detail, "{method} {path}");
            assert_eq!(reply.header("access-control-allow-origin"), "*", "{method} {path}");
            assert!(reply.header("access-control-expose-headers").contains("x-sentry-error"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_endpoint_answers_a_preflight() {
    let app = TestApp::start().await;
    let mut paths: Vec<String> = endpoints(&app, "any").into_iter().map(|(path, _)| path).collect();
    let user_feedback = "/api/0/projects/default/default/user-feedback/";
    paths.extend(
        ["/api/store/", "/api/tunnel/", "/tunnel/", "/api/embed/error-page/", user_feedback].map(str::to_owned),
    );
    for path in paths {
        let asks = [("origin", "https://shop.example"), ("access-control-request-method", "POST")];
        let reply = app.client().send("OPTIONS", &path, &asks, Bytes::new()).await.expect(204);
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(reply.header("access-control-allow-methods"), "GET, POST, OPTIONS");
        assert_eq!(reply.header("access-control-max-age"), "3600");
        let allowed: Vec<&str> = reply.header("access-control-allow-headers").split(", ").collect();
        for header in ["x-sentry-auth", "content-type", "content-encoding", "authorization", "sentry-trace", "baggage"]
        {
            assert!(allowed.contains(&header), "{header} for {path}");
        }
    }
}

#[tokio::test]
async fn what_is_over_a_limit_is_answered_413_at_every_stage() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let path = |name: &str| format!("/api/{project}/{name}/?sentry_key={key}");
    let event = |size: usize| format!("{{\"message\":\"{}\"}}", "x".repeat(size - 14));
    let item = |size: usize| format!("{{}}\n{{\"type\":\"event\"}}\n{}\n", event(size));
    let mib = 1024 * 1024;
    let packed = |size: usize| zstd::encode_all(vec![b' '; size].as_slice(), 1).unwrap();
    for (what, path, headers, body, status) in [
        ("an event", path("envelope"), vec![], item(mib).into_bytes(), 200),
        ("an event over 1 MiB", path("envelope"), vec![], item(mib + 1).into_bytes(), 413),
        ("a store body", path("store"), vec![], event(mib).into_bytes(), 200),
        ("a store body over 1 MiB", path("store"), vec![], event(mib + 1).into_bytes(), 413),
        ("a request over 20 MiB", path("envelope"), vec![], vec![b' '; 20 * mib + 1], 413),
        ("over 100 MiB unpacked", path("store"), vec![("content-encoding", "zstd")], packed(100 * mib + 1), 413),
        ("a report over 1 MiB", path("security"), vec![("content-type", "application/json")], vec![b' '; mib + 1], 413),
        (
            "a report over 1 MiB unpacked",
            path("security"),
            vec![("content-type", "application/json"), ("content-encoding", "zstd")],
            packed(mib + 1),
            413,
        ),
    ] {
        let reply = send(&app, &path, &headers, body).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
    }
}

#[tokio::test]
async fn encodings_are_undone_in_their_order_and_corrupt_ones_are_400() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let plain = envelope("{}").into_bytes();
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    let both = super::zlib(&zstd);
    let raw = both[2..both.len() - 4].to_vec();
    for (encoding, body, status) in [
        ("zstd, deflate", both.clone(), 200),
        ("zstd,deflate,identity", both, 200),
        ("zstd, deflate", raw, 200),
        ("", plain.clone(), 200),
        ("deflate", plain.clone(), 400),
        ("br", plain.clone(), 400),
        ("zstd", plain.clone(), 400),
        ("compress", plain, 415),
    ] {
        let reply = send(&app, &path, &[("content-encoding", encoding)], body).await;
        assert_eq!(reply.status, status, "{encoding}: {}", reply.text());
    }
}
