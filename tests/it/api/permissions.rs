//! Who gets what.

use axum::http::HeaderMap;
use glitchbox::auth::{csrf, session};
use glitchbox::http::ClientInfo;
use glitchbox::store::member::Role;
use glitchbox::store::organization;
use serde_json::json;

use super::seed::{ALL, Seed, client_of, join, new_project, new_user, store};
use crate::support::{Client, TestApp};

const EVENT: &str = "000000000000000000000000000000aa";

/// One address of every resource: method, path, the scope it takes.
fn resources() -> Vec<(&'static str, String, &'static str)> {
    let event = |base: &str| format!("{base}/events/{EVENT}/");
    let mut all: Vec<(&str, String, &str)> = vec![
        ("GET", "organizations/default/".into(), "org:read"),
        ("GET", "organizations/default/projects/".into(), "project:read"),
        ("GET", "organizations/default/environments/".into(), "org:read"),
        ("GET", "projects/default/default/".into(), "project:read"),
        ("GET", "projects/default/default/environments/".into(), "project:read"),
        ("GET", "projects/default/default/keys/".into(), "project:read"),
        ("GET", "organizations/default/limits/".into(), "org:read"),
        ("GET", "projects/default/default/limits/".into(), "project:read"),
        ("GET", "projects/default/default/filters/".into(), "project:read"),
        ("GET", "projects/default/default/filters/localhost/".into(), "project:read"),
        ("GET", "projects/default/default/alerts/".into(), "project:read"),
        ("GET", "projects/default/default/alerts/1/".into(), "project:read"),
        ("GET", "organizations/default/issues/".into(), "event:read"),
        ("GET", "projects/default/default/issues/".into(), "event:read"),
        ("GET", "projects/default/default/events/".into(), "event:read"),
        ("GET", event("projects/default/default"), "event:read"),
        ("GET", format!("{}json/", event("projects/default/default")), "event:read"),
        ("GET", "organizations/default/shortids/DEFAULT-1/".into(), "event:read"),
        ("PUT", "organizations/default/issues/?id=1".into(), "event:write"),
        ("PUT", "projects/default/default/issues/?id=1".into(), "event:write"),
    ];
    for base in ["issues/1", "organizations/default/issues/1"] {
        all.extend([
            ("GET", format!("{base}/"), "event:read"),
            ("PUT", format!("{base}/"), "event:write"),
            ("GET", format!("{base}/tags/"), "event:read"),
            ("GET", format!("{base}/events/"), "event:read"),
            ("GET", format!("{base}/events/latest/"), "event:read"),
            ("GET", format!("{}json/", event(base)), "event:read"),
        ]);
    }
    all
}

async fn status(client: &Client, method: &str, path: &str) -> (u16, String) {
    let body = if method == "PUT" { json!({ "status": "resolved" }).to_string() } else { String::new() };
    let reply = client.send(method, &format!("/api/0/{path}"), &[], body.into()).await;
    let detail = serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
    let detail = detail.and_then(|json| json["detail"].as_str().map(str::to_owned)).unwrap_or_default();
    (reply.status, detail)
}

#[tokio::test]
async fn each_resource_for_each_kind_of_caller() {
    let app = TestApp::start().await;
    let id = u128::from_str_radix(EVENT, 16).unwrap();
    store(&app, &[Seed::new(app.project.id, "A: a", 1).id(id)]).await;

    let insider = new_user(&app, "in@example.org", false).await;
    join(&app, app.organization.id, insider, Role::Member).await;
    let outsider = new_user(&app, "out@example.org", false).await;
    let elsewhere = organization::insert(&app.app.db, "other", "Other").await.unwrap();
    join(&app, elsewhere.id, outsider, Role::Owner).await;
    let root = new_user(&app, "root@example.org", true).await;

    let scopeless = client_of(&app, insider, &["team:read"]).await;
    let outside = client_of(&app, outsider, ALL).await;
    let superuser = client_of(&app, root, ALL).await;
    let unknown = app.client().with_token("sntryu_0000");
    let (absent, wrong) = ("Authentication credentials were not provided.", "Invalid token");
    let (forbidden, missing) =
        ("You do not have permission to perform this action.", "The requested resource does not exist");
    for (method, path, scope) in resources() {
        let with_scope = client_of(&app, insider, &[scope]).await;
        assert_eq!(status(&app.client(), method, &path).await, (401, absent.to_owned()), "{method} {path}");
        assert_eq!(status(&unknown, method, &path).await, (401, wrong.to_owned()), "{method} {path}");
        assert_eq!(status(&scopeless, method, &path).await, (403, forbidden.to_owned()), "{method} {path}");
        assert_eq!(status(&outside, method, &path).await, (404, missing.to_owned()), "{method} {path}");
        assert_eq!(status(&with_scope, method, &path).await.0, 200, "{method} {path}");
        assert_eq!(status(&superuser, method, &path).await.0, 200, "{method} {path}");
    }
    let reader = client_of(&app, insider, &["event:read"]).await;
    assert_eq!(status(&reader, "PUT", "issues/1/").await.0, 403);
    let admin = client_of(&app, insider, &["event:admin"]).await;
    assert_eq!(status(&admin, "PUT", "issues/1/").await.0, 200);
}

#[tokio::test]
async fn lists_hold_what_the_caller_may_see() {
    let app = TestApp::start().await;
    let other = organization::insert(&app.app.db, "other", "Other").await.unwrap();
    new_project(&app, other.id, "hidden").await;
    let user = new_user(&app, "in@example.org", false).await;
    join(&app, app.organization.id, user, Role::Member).await;
    let root = new_user(&app, "root@example.org", true).await;
    for (user, expected) in [(user, 1), (root, 2)] {
        let client = client_of(&app, user, ALL).await;
        for list in ["organizations", "projects"] {
            let found = client.get(&format!("/api/0/{list}/")).await.expect(200).json();
            assert_eq!(found.as_array().unwrap().len(), expected, "{list}");
        }
    }
}

#[tokio::test]
async fn only_admins_change_keys() {
    let app = TestApp::start().await;
    let path = format!("/api/0/projects/default/default/keys/{}/", app.key.public_key);
    for (role, expected) in [(Role::Member, 403), (Role::Admin, 200), (Role::Owner, 200)] {
        let user = new_user(&app, &format!("{}@example.org", role.as_str()), false).await;
        join(&app, app.organization.id, user, role).await;
        let client = client_of(&app, user, ALL).await;
        client.put_json(&path, &json!({ "isActive": true })).await.expect(expected);
        let reader = client_of(&app, user, &["project:read"]).await;
        reader.put_json(&path, &json!({ "isActive": true })).await.expect(403);
        reader.post_json("/api/0/projects/default/default/keys/", &json!({})).await.expect(403);
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_done() {
    let app = TestApp::start().await;
    let root = new_user(&app, "root@example.org", true).await;
    let client = client_of(&app, root, ALL).await;
    for path in [
        "nothing/",
        "issues/1/",
        "issues/x/",
        "issues/99999999999999999999/",
        "organizations/nothing/",
        "organizations/nothing/issues/",
        "organizations/default/issues/NOTHING-1/",
        "projects/default/nothing/",
        "projects/default/default/events/00/",
        "projects/default/a%00b/",
        "projects/default/%ff/",
    ] {
        let reply = client.get(&format!("/api/0/{path}")).await.expect(404);
        assert_eq!(reply.json(), json!({ "detail": "The requested resource does not exist" }), "{path}");
    }
    for (method, path) in
        [("POST", "issues/1/"), ("DELETE", "organizations/"), ("PATCH", ""), ("PUT", "projects/a/b/keys")]
    {
        let reply = client.send(method, &format!("/api/0/{path}"), &[], "".into()).await.expect(405);
        assert_eq!(reply.json(), json!({ "detail": "Method not allowed" }), "{path}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused_at_the_root_too() {
    let app = TestApp::start().await;
    let reply = app.client().with_token("wrong").get("/api/0/").await.expect(401);
    assert_eq!(reply.json(), json!({ "detail": "Invalid token" }));
    let reply = app.client().with_header("authorization", "Basic eDp5").get("/api/0/").await.expect(401);
    assert_eq!(reply.json(), json!({ "detail": "Authentication credentials were not provided." }));
}

#[tokio::test]
async fn a_session_reads_and_with_its_token_writes() {
    let app = TestApp::start().await;
    store(&app, &[Seed::new(app.project.id, "A: a", 1)]).await;
    let user = new_user(&app, "in@example.org", false).await;
    join(&app, app.organization.id, user, Role::Member).await;
    let browser = ClientInfo {
        ip: [127, 0, 0, 1].into(),
        peer: [127, 0, 0, 1].into(),
        is_secure: false,
        host: app.address().to_string(),
    };
    let set = session::begin(&app.app, user, &browser, &HeaderMap::new()).await.unwrap();
    let cookie = set.to_str().unwrap().split(';').next().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("cookie", cookie.parse().unwrap());
    let token = csrf::token(&session::SessionToken::from_headers(&headers).unwrap());

    let client = app.client().with_header("cookie", cookie);
    assert_eq!(client.get("/api/0/").await.expect(200).json()["user"]["email"], "in@example.org");
    client.get("/api/0/issues/1/").await.expect(200);
    let resolve = json!({ "status": "resolved" });
    let reply = client.put_json("/api/0/issues/1/", &resolve).await.expect(403);
    assert!(reply.json()["detail"].as_str().unwrap().starts_with("CSRF"), "{}", reply.text());
    client.with_header("x-csrftoken", "0").put_json("/api/0/issues/1/", &resolve).await.expect(403);
    let page = client.with_header("x-csrftoken", &token);
    page.with_header("origin", "https://evil.example").put_json("/api/0/issues/1/", &resolve).await.expect(403);
    page.put_json("/api/0/issues/1/", &resolve).await.expect(200);

    let stale = app.client().with_header("cookie", "glitchbox=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    stale.get("/api/0/issues/1/").await.expect(401);
    assert!(stale.get("/api/0/").await.expect(200).json()["user"].is_null());
}
