//! Files that go with events: the endpoint for them, and those of crash reporters.

use glitchbox::store::rate_limit::{self, Allowance, Covers, Target};
use serde_json::json;

use super::{ID, OTHER_KEY, eventually, rows, send, settled_items};
use crate::support::TestApp;

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=B");

const FILES: &str = "select name, content_type, kind, convert_from(content, 'UTF8') as content,
     replace(event_id::text, '-', '') as event from attachment order by name";

fn form(files: &[(&str, &str)]) -> String {
    let part = |(name, content): &(&str, &str)| {
        format!(
            "--B\r\nContent-Disposition: form-data; name=\"x\"; filename=\"{name}\"\r\nContent-Type: text/plain\r\n\r\n\
             {content}\r\n"
        )
    };
    files.iter().map(part).chain(["--B--\r\n".to_owned()]).collect()
}

#[tokio::test]
async fn files_of_an_event_come_before_it_or_after_it() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let dashed = uuid::Uuid::parse_str(ID).unwrap().hyphenated().to_string();
    for (id, file, slash) in [(ID, "a.log", "/"), (dashed.as_str(), "dir/view-hierarchy.json", "")] {
        let path = format!("/api/{project}/events/{id}/attachments{slash}?sentry_key={key}");
        let reply = send(&app, &path, &[FORM], form(&[(file, "{}")])).await.expect(201);
        assert_eq!((reply.text().as_str(), reply.header("access-control-allow-origin")), ("", "*"));
    }
    settled_items(&app, 2).await;
    let file = |name: &str| json!({ "name": name, "content_type": "text/plain", "kind": "event.attachment", "content": "{}", "event": ID });
    assert_eq!(rows(&app, FILES).await, [file("a.log"), file("view-hierarchy.json")]);
}

#[tokio::test]
async fn what_is_no_file_of_an_event_is_refused() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let path = |id: &str| format!("/api/{project}/events/{id}/attachments/?sentry_key={key}");
    let good = form(&[("a", "b")]);
    for (path, content_type, body, status) in [
        (path("short"), FORM.1, good.clone(), 400),
        (path(&"0".repeat(32)), FORM.1, good.clone(), 400),
        (path(ID), "text/plain", good.clone(), 400),
        (path(ID), FORM.1, String::new(), 400),
        (path(ID), FORM.1, form(&[]), 400),
        (path(ID), FORM.1, "x".repeat(21 * 1024 * 1024), 413),
        (path(ID).replace(key, OTHER_KEY), FORM.1, good.clone(), 403),
        (path(ID).replace("sentry_key", "x"), FORM.1, good, 401),
    ] {
        let reply = send(&app, &path, &[("content-type", content_type)], body).await.expect(status);
        assert_eq!(reply.header("x-sentry-error"), reply.json()["detail"], "{path}");
    }
    app.client().get(&path(ID)).await.expect(405);
    app.drain().await;
    assert!(rows(&app, FILES).await.is_empty());
}

#[tokio::test]
async fn files_count_against_the_limits() {
    let app = TestApp::start().await;
    let allowance = Allowance { quantity: 2, window_s: 3600 * 24 };
    rate_limit::set(app.database.pool(), Target::Key(app.key.id), Covers::All, allowance).await.unwrap();
    let path = format!("/api/{}/events/{ID}/attachments/?sentry_key={}", app.project.id, app.key.public_key);
    send(&app, &path, &[FORM], form(&[("a", "1"), ("b", "2"), ("c", "3")])).await.expect(201);
    let reply = send(&app, &path, &[FORM], form(&[("d", "4")])).await.expect(429);
    assert!(reply.header("x-sentry-rate-limits").contains(":key:key_quota"));
    settled_items(&app, 2).await;
    assert_eq!(
        rows(&app, "select name from attachment order by name").await,
        [json!({"name": "a"}), json!({"name": "b"})]
    );
}

#[tokio::test]
async fn crash_reporters_files_are_kept_with_the_event() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let body = form(&[("game.dmp", "MDMP"), ("game.log", "lines")]).replacen("\"x\"", "\"upload_file_minidump\"", 1);
    let one = send(&app, &format!("/api/{project}/minidump/?sentry_key={key}"), &[FORM], body).await.expect(200).text();
    let two = send(&app, &format!("/api/{project}/unreal/{key}/"), &[], "archive").await.expect(200).text();
    // In envelopes, with an event of their own and without.
    let path = format!("/api/{project}/envelope/?sentry_key={key}");
    let dump = "{\"type\":\"attachment\",\"attachment_type\":\"event.minidump\",\"filename\":\"native.dmp\"}\nMDMP\n";
    let alone = send(&app, &path, &[], format!("{{}}\n{dump}")).await.expect(200).json();
    let event = format!("{{\"event_id\":\"{ID}\"}}\n{dump}{{\"type\":\"event\"}}\n{{\"message\":\"crashed\"}}\n");
    send(&app, &path, &[], event).await.expect(200);
    let archive = "{}\n{\"type\":\"unreal_report\",\"filename\":\"crash\"}\narchive\n";
    let unreal = send(&app, &path, &[], archive).await.expect(200).json();
    settled_items(&app, 11).await;
    let id = |text: &str| text.replace('-', "");
    let file = |name: &str, content_type: &str, kind: &str, content: &str, event: &str| json!({ "name": name, "content_type": content_type, "kind": kind, "content": content, "event": event });
    let (plain, bytes) = ("event.attachment", "application/octet-stream");
    let mut wanted = vec![
        file("crash", bytes, plain, "archive", unreal["id"].as_str().unwrap()),
        file("game.dmp", "application/x-dmp", "event.minidump", "MDMP", &id(&one)),
        file("game.log", "text/plain", plain, "lines", &id(&one)),
        file("native.dmp", bytes, "event.minidump", "MDMP", ID),
        file("native.dmp", bytes, "event.minidump", "MDMP", alone["id"].as_str().unwrap()),
        file("unreal_crash", bytes, plain, "archive", &id(&two)),
    ];
    let mut found = rows(&app, FILES).await;
    for list in [&mut wanted, &mut found] {
        list.sort_by_key(ToString::to_string);
    }
    assert_eq!(found, wanted);
    let titles = "select i.title, count(*) as n from event e join issue i on i.id = e.issue_id group by 1 order by 1";
    let expected = json!([
        { "title": "Minidump", "n": 3 }, { "title": "Unreal crash", "n": 2 }
    ]);
    eventually(&app, titles, &expected).await;
}
