//! What crash reporters send: A.10 of the protocol.

use glitchbox::store::rate_limit::{self, Allowance, Covers, Target};

use super::{OTHER_KEY, send, stored};
use crate::spool::settled_ledger;
use crate::support::TestApp;

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=\"---crash\"");

/// A form with a minidump, a log and these fields.
fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("-----crash\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let files = [("upload_file_minidump", "MDMP\u{0}\u{0}"), ("some.log", "a\r\nb")].map(|(name, content)| {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\nContent-Type: x/y");
        format!("-----crash\r\n{head}\r\n\r\n{content}\r\n")
    });
    fields.iter().map(field).chain(files).chain(["-----crash--\r\n".to_owned()]).collect()
}

#[tokio::test]
async fn a_minidump_becomes_a_fatal_event_with_what_the_form_says() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/minidump/?sentry_key={}", app.project.id, app.key.public_key);
    let fields = [
        ("sentry__2", "1\",\"tags\":{\"b\":\"c\"}}"),
        ("sentry__1", "{\"release\":\"app@"),
        ("sentry[environment]", "prod"),
        ("sentry[user][id]", "7"),
        ("ptype", "browser"),
    ];
    let reply = send(&app, &path, &[FORM], form(&fields)).await.expect(200);
    assert!(reply.header("content-type").starts_with("text/plain"));
    assert_eq!(reply.text().len(), 36, "a dashed id: {}", reply.text());
    let raw = [("content-type", "application/x-dmp")];
    let without_slash = path.replace("minidump/", "minidump");
    send(&app, &without_slash, &raw, "MDMP\u{0}").await.expect(200);
    let events = stored(&app).await;
    assert_eq!(events.len(), 2);
    let event = events.iter().find(|stored| stored.event_id.0.hyphenated().to_string() == reply.text()).unwrap();
    assert_eq!(
        (event.event.title.as_str(), event.level.as_str(), event.platform.as_str()),
        ("Minidump", "fatal", "native")
    );
    assert_eq!((event.release.as_deref(), event.environment.as_deref()), (Some("app@1"), Some("prod")));
    assert_eq!(event.event.user.as_ref().unwrap().id.as_deref(), Some("7"));
    assert_eq!(event.event.extra["ptype"], "browser");
    assert!(event.event.tags.contains(&("b".to_owned(), "c".to_owned())));
    settled_ledger(
        &app,
        &[("accepted/attachment/", 3), ("accepted/error/", 2), ("stored/attachment/", 3), ("stored/error/", 2)],
    )
    .await;
}

#[tokio::test]
async fn a_minidump_in_an_envelope_has_what_the_form_beside_it_says() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let form = "{\"type\":\"form_data\"}\n[\"sentry[release]\",\"app@2\"][\"ptype\",\"browser\"]\n";
    let dump = "{\"type\":\"attachment\",\"attachment_type\":\"event.minidump\",\"filename\":\"a.dmp\"}\nMDMP\n";
    send(&app, &path, &[], format!("{{}}\n{form}{dump}")).await.expect(200);
    let events = stored(&app).await;
    assert_eq!((events.len(), events[0].release.as_deref()), (1, Some("app@2")));
    assert_eq!(events[0].event.extra["ptype"], "browser");
    settled_ledger(
        &app,
        &[("accepted/attachment/", 1), ("accepted/error/", 1), ("stored/attachment/", 1), ("stored/error/", 1)],
    )
    .await;
}

#[tokio::test]
async fn an_event_beside_a_minidump_crashed_unless_it_says_what_did() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let dump = "{\"type\":\"attachment\",\"attachment_type\":\"event.minidump\",\"length\":4}\nMDMP\n";
    let form = "{\"type\":\"form_data\"}\n[\"sentry[release]\",\"app@2\"][\"ptype\",\"browser\"]\n";
    let beside = async |event: &str, form: &str| {
        let body = format!("{{}}\n{dump}{{\"type\":\"event\",\"length\":{}}}\n{event}\n{form}", event.len());
        let id = send(&app, &path, &[], body).await.expect(200).json()["id"].as_str().unwrap().to_owned();
        let stored = stored(&app).await.into_iter().find(|stored| stored.event_id.to_string() == id).unwrap();
        let mechanism = stored.event.exception.values.first().and_then(|one| one.mechanism.clone());
        (stored, mechanism.map(|mechanism| (mechanism.kind, mechanism.handled)))
    };
    // What Electron sends of a native crash, and an event with bare numbers.
    let unhandled = Some(("minidump".to_owned(), Some(false)));
    for (event, level) in [
        ("{\"level\":\"fatal\",\"platform\":\"native\"}", "fatal"),
        ("{\"extra\":{\"n\":NaN}}", "fatal"),
        ("{\"level\":\"error\",\"exception\":{\"values\":[]},\"message\":\"m\"}", "error"),
    ] {
        let (stored, mechanism) = beside(event, form).await;
        assert_eq!((stored.event.title.as_str(), stored.level.as_str()), ("Minidump", level), "{event}");
        assert_eq!((stored.platform.as_str(), mechanism), ("native", unhandled.clone()), "{event}");
        assert_eq!(stored.release.as_deref(), Some("app@2"), "{event}");
        assert_eq!(stored.event.extra["ptype"], "browser", "{event}");
    }
    for (event, title) in [
        ("{\"platform\":\"native\",\"exception\":{\"values\":[{\"type\":\"SIGSEGV\",\"value\":\"x\"}]}}", "SIGSEGV: x"),
        (
            "{\"message\":\"m\",\"threads\":[{\"id\":1,\"crashed\":true,\"stacktrace\":{\"frames\":[{\"function\":\"f\"}]}}]}",
            "m",
        ),
    ] {
        let (stored, _) = beside(event, "").await;
        assert_eq!((stored.event.title.as_str(), stored.level.as_str()), (title, "error"), "{event}");
    }
    settled_ledger(
        &app,
        &[("accepted/attachment/", 5), ("accepted/error/", 5), ("stored/attachment/", 5), ("stored/error/", 5)],
    )
    .await;
}

#[tokio::test]
async fn a_crash_of_which_too_much_is_said_is_still_a_crash() {
    let app = TestApp::start().await;
    let long = "x".repeat(1024 * 1024);
    let fields = [("sentry", format!("{{\"release\":\"app@1\",\"message\":\"{long}\"}}"))];
    let fields: Vec<_> = fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let path = format!("/api/{}/minidump/?sentry_key={}", app.project.id, app.key.public_key);
    send(&app, &path, &[FORM], form(&fields)).await.expect(200);
    let events = stored(&app).await;
    assert_eq!((events.len(), events[0].event.title.as_str(), events[0].level.as_str()), (1, "Minidump", "fatal"));
}

#[tokio::test]
async fn what_is_no_minidump_is_refused() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/minidump/?sentry_key={}", app.project.id, app.key.public_key);
    for (content_type, body) in [
        ("multipart/form-data", form(&[])),
        ("multipart/form-data; boundary=other", form(&[])),
        (FORM.1, form(&[]).replace("upload_file_minidump", "something")),
        (FORM.1, form(&[]).replace("MDMP", "text")),
        ("application/octet-stream", "text".to_owned()),
        ("application/octet-stream", String::new()),
    ] {
        send(&app, &path, &[("content-type", content_type)], body).await.expect(400);
    }
    let large = vec![b'M'; 21 * 1024 * 1024];
    send(&app, &path, &[("content-type", "application/x-dmp")], large).await.expect(413);
    send(&app, &path.replace(&app.key.public_key, OTHER_KEY), &[FORM], form(&[])).await.expect(403);
    assert_eq!(app.queued_events().await, 0);
}

#[tokio::test]
async fn unreal_names_the_key_in_the_path() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let reply = send(&app, &format!("/api/{project}/unreal/{key}/?UserID=me%7C1"), &[], "archive").await.expect(200);
    assert_eq!(reply.text().len(), 36);
    send(&app, &format!("/api/{project}/unreal/{OTHER_KEY}/"), &[], "archive").await.expect(403);
    send(&app, &format!("/api/{project}/unreal/short"), &[], "archive").await.expect(400);
    send(&app, &format!("/api/{project}/unreal/{key}"), &[], "").await.expect(400);
    let events = stored(&app).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].event.title.as_str(), events[0].level.as_str()), ("Unreal crash", "fatal"));
    assert_eq!(events[0].event.user.as_ref().unwrap().id.as_deref(), Some("me|1"));
}

#[tokio::test]
async fn crash_reporters_are_never_answered_429() {
    let app = TestApp::start().await;
    let allowance = Allowance { quantity: 1, window_s: 3600 * 24 };
    rate_limit::set(app.database.pool(), Target::Project(app.project.id), Covers::All, allowance).await.unwrap();
    let (project, key) = (app.project.id, &app.key.public_key);
    for _ in 0..3 {
        send(&app, &format!("/api/{project}/minidump/?sentry_key={key}"), &[FORM], form(&[])).await.expect(200);
        send(&app, &format!("/api/{project}/unreal/{key}/"), &[], "archive").await.expect(200);
    }
    assert_eq!(app.queued_events().await, 1);
}
