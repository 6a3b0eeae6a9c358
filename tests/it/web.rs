//! The pages, as a browser without a script uses them.

use chrono::Utc;
use glitchbox::auth::password;
use glitchbox::ids::EventId;
use glitchbox::protocol::event::Event;
use glitchbox::store::event_batch::{self, NewEvent};
use glitchbox::store::user::{self, NewUser, UserChange};
use glitchbox::store::{partition, payload};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Client, Reply, TestApp};

/// The alerts of the first project, and the form for one more.
const ALERTS: &str = "/projects/default/default/alerts/";
const NEW_ALERT: &str = "/projects/default/default/alerts/new/";
const PASSWORD: &str = "correct horse battery";

/// An application with one administrator and one stored event.
async fn with_event() -> TestApp {
    let test = TestApp::start().await;
    add_user(&test, "admin@localhost", true).await;
    store_event(&test).await;
    test
}

pub(crate) async fn add_user(test: &TestApp, email: &str, is_superuser: bool) {
    let hash = password::hash(PASSWORD.to_owned()).await.unwrap();
    let new = NewUser { email, name: "", password_hash: Some(&hash), is_superuser };
    user::insert(&test.app.db, new).await.unwrap();
}

async fn store_event(test: &TestApp) {
    let now = Utc::now();
    let event: Event = serde_json::from_value(json!({
        "event_id": Uuid::new_v4().simple().to_string(), "type": "error", "level": "error", "platform": "python",
        "timestamp": now, "received": now, "title": "PaymentFailed: <b>no</b> funds", "culprit": "shop.pay in charge",
        "metadata": {"type": "PaymentFailed", "value": "<b>no</b> funds"},
        "exception": {"values": [{"type": "PaymentFailed", "value": "<b>no</b> funds", "stacktrace": {"frames": [
            {"function": "dispatch", "filename": "framework.py", "lineno": 3, "in_app": false},
            {"function": "charge_card", "filename": "shop/pay.py", "lineno": 41, "in_app": true,
             "pre_context": ["def charge_card(order):"], "context_line": "    raise PaymentFailed(order)",
             "post_context": [""], "vars": {"order": "<Order 7>"}}]}}]},
        "breadcrumbs": {"values": [{"type": "query", "category": "query", "level": "info", "timestamp": now,
                                    "message": "select 1 from cart"}]},
        "request": {"url": "https://shop.example/pay", "method": "POST"},
        "tags": [["environment", "production"]],
    }))
    .unwrap();
    let today = now.date_naive();
    partition::ensure(&test.app.db, today..=today).await.unwrap();
    let new = NewEvent {
        project_id: test.project.id,
        event_id: EventId(event.event_id.0),
        ingest_id: Uuid::now_v7(),
        received_at: now,
        received_on: today,
        occurred_at: now,
        kind: event.kind,
        level: event.level,
        platform: event.platform.clone(),
        environment: Some("production".to_owned()),
        release: None,
        hash: [7; 32],
        hash_version: 1,
        title: event.title.clone(),
        culprit: event.culprit.clone(),
        metadata: serde_json::to_value(&event.metadata).unwrap(),
        logger: String::new(),
        is_unhandled: false,
        tags: event.tags.clone(),
        user: None,
        payload: payload::compress(&serde_json::to_vec(&event).unwrap(), None).unwrap(),
    };
    event_batch::write(&test.app.db, &[new]).await.unwrap();
}

/// Signs in and returns a client that carries the session.
pub(crate) async fn sign_in(test: &TestApp, email: &str) -> Client {
    sign_in_at(test, "", email).await.0
}

/// As `sign_in`, at a path; also where that leads.
pub(crate) async fn sign_in_at(test: &TestApp, path: &str, email: &str) -> (Client, String) {
    let form = [("email", email), ("password", PASSWORD)];
    let reply = test.client().post_form(&format!("{path}/login/"), &form).await.expect(303);
    let client = test.client().with_header("cookie", &reply.cookie("glitchbox").unwrap());
    (client, reply.header("location").to_owned())
}

/// The value of the page's token for forms.
pub(crate) fn token(page: &Reply) -> String {
    let html = page.text();
    let rest = html.split(r#"name="csrf" value=""#).nth(1).expect("a form with a token");
    rest.split('"').next().unwrap().to_owned()
}

/// The address of the first issue in the list.
fn first_issue(list: &Reply) -> String {
    let text = list.text();
    let rest = text.split(r#"<a class="line title" href=""#).nth(1).expect("an issue in the list");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn pages_ask_for_a_sign_in_and_lead_back() {
    let test = with_event().await;
    let reply = test.client().get("/issues/?query=pay").await.expect(303);
    assert_eq!(reply.header("location"), "/login/?next=%2Fissues%2F%3Fquery%3Dpay");
    let form = [("email", "Admin@Localhost"), ("password", PASSWORD), ("next", "/issues/?query=pay")];
    let reply = test.client().post_form("/login/", &form).await.expect(303);
    assert_eq!(reply.header("location"), "/issues/?query=pay");
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("glitchbox=") && cookie.ends_with("; HttpOnly; SameSite=Lax"), "{cookie}");
    let form = [("email", "admin@localhost"), ("password", PASSWORD), ("next", "//evil.example/")];
    assert_eq!(test.client().post_form("/login/", &form).await.expect(303).header("location"), "/");
}

#[tokio::test]
async fn cookie_is_secure_behind_an_https_proxy() {
    let test = with_event().await;
    let client = test.client().with_header("x-forwarded-proto", "https");
    let form = [("email", "admin@localhost"), ("password", PASSWORD)];
    let reply = client.post_form("/login/", &form).await.expect(303);
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("__Host-glitchbox=") && cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn what_makes_no_sense_is_answered_by_a_page() {
    let test = with_event().await;
    let client = sign_in(&test, "admin@localhost").await;
    for address in ["/issues/abc/", "/issues/99999999999999999999/", "/settings/?done=bogus"] {
        let reply = client.get(address).await.expect(400);
        assert!(reply.text().contains("<h1>") && !reply.text().contains("i64"), "{address}");
    }
    let nobody = [("email", "admin@localhost\0"), ("password", PASSWORD)];
    test.client().post_form("/login/", &nobody).await.expect(401);
}

#[tokio::test]
async fn unknown_user_and_wrong_password_look_the_same_and_guessing_is_slowed() {
    let test = with_event().await;
    let client = test.client();
    let attempt = async |email: &str| client.post_form("/login/", &[("email", email), ("password", "guess")]).await;
    let (wrong, unknown) = (attempt("admin@localhost").await, attempt("nobody@localhost").await);
    assert_eq!((wrong.status, unknown.status), (401, 401));
    assert_eq!(wrong.text().replace("admin", "X"), unknown.text().replace("nobody", "X"));
    for _ in 0..9 {
        attempt("admin@localhost").await.expect(401);
    }
    let throttled = attempt("admin@localhost").await.expect(429);
    assert!(throttled.header("retry-after").parse::<u32>().unwrap() > 0);
}

#[tokio::test]
async fn issue_page_shows_what_a_developer_needs() {
    let test = with_event().await;
    let client = sign_in(&test, "admin@localhost").await;
    let list = client.get("/issues/").await.expect(200);
    assert!(list.text().contains("PaymentFailed"), "{}", list.text());
    let page = client.get(&first_issue(&list)).await.expect(200);
    let html = page.text();
    for shown in [
        "charge_card",
        "shop/pay.py",
        r#"<li class="hit"><span class="ln">41</span><code>    raise PaymentFailed(order)</code>"#,
        "&lt;Order 7&gt;",
        "select 1 from cart",
        "https://shop.example/pay",
        "production",
        "&lt;b&gt;no&lt;/b&gt; funds",
    ] {
        assert!(html.contains(shown), "{shown} is missing");
    }
    assert!(!html.contains("<b>no</b>"), "an event's text became markup");
    let json = html.split("/json/\"").next().unwrap().rsplit('"').next().unwrap().to_owned() + "/json/";
    let raw = client.get(&json).await.expect(200);
    assert_eq!(raw.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(raw.json()["title"], "PaymentFailed: <b>no</b> funds");
}

#[tokio::test]
async fn issues_are_resolved_and_reopened_by_forms() {
    let test = with_event().await;
    let client = sign_in(&test, "admin@localhost").await;
    let list = client.get("/issues/").await.expect(200);
    let (issue, csrf) = (first_issue(&list), token(&list));
    let id = issue.trim_matches('/').rsplit('/').next().unwrap();
    let form = [("csrf", csrf.as_str()), ("issue", id), ("status", "resolved"), ("back", "/issues/")];
    let reply = client.post_form("/issues/", &form).await.expect(303);
    assert_eq!(reply.header("location"), "/issues/?changed=1");
    assert!(!client.get("/issues/").await.text().contains("PaymentFailed"));
    assert!(client.get("/issues/?query=is:resolved").await.text().contains("PaymentFailed"));
    client.post_form(&issue, &[("csrf", &csrf), ("status", "unresolved")]).await.expect(303);
    assert!(client.get("/issues/").await.text().contains("PaymentFailed"));
}

#[tokio::test]
async fn forms_of_other_sites_and_sessions_are_refused() {
    let test = with_event().await;
    let client = sign_in(&test, "admin@localhost").await;
    let list = client.get("/issues/").await.expect(200);
    let (issue, csrf) = (first_issue(&list), token(&list));
    client.post_form(&issue, &[("status", "resolved")]).await.expect(403);
    client.post_form(&issue, &[("csrf", &"0".repeat(64)), ("status", "resolved")]).await.expect(403);
    let foreign = client.with_header("origin", "https://evil.example");
    foreign.post_form(&issue, &[("csrf", &csrf), ("status", "resolved")]).await.expect(403);
    let origin = format!("http://{}", test.address());
    let own = client.with_header("origin", &origin);
    own.post_form(&issue, &[("csrf", &csrf), ("status", "resolved")]).await.expect(303);
    client.with_header("origin", "null").post_form("/login/", &[("email", "a"), ("password", "b")]).await.expect(403);
}

#[tokio::test]
async fn language_follows_the_browser_until_chosen() {
    let test = with_event().await;
    let client = sign_in(&test, "admin@localhost").await;
    let chinese = client.with_header("accept-language", "zh-CN,zh;q=0.9");
    let page = chinese.get("/settings/").await.expect(200);
    assert!(page.text().contains(r#"<html lang="zh-CN">"#) && page.text().contains("修改密码"));
    chinese.post_form("/settings/", &[("csrf", &token(&page)), ("language", "en")]).await.expect(303);
    let page = chinese.get("/issues/").await.expect(200);
    assert!(page.text().contains(r#"<html lang="en">"#) && page.text().contains("Sign out"));
    let missing = chinese.get("/issues/999999/").await.expect(404);
    assert!(missing.text().contains("There is nothing here"), "failures speak the chosen language too");
    client.post_form("/settings/", &[("csrf", &token(&page)), ("language", "tlh")]).await.expect(400);
}

#[tokio::test]
async fn password_change_ends_other_sessions() {
    let test = with_event().await;
    let (here, there) = (sign_in(&test, "admin@localhost").await, sign_in(&test, "admin@localhost").await);
    let csrf = token(&here.get("/settings/").await.expect(200));
    let change = async |current: &str, new: &str, repeat: &str| {
        let form = [("csrf", csrf.as_str()), ("current", current), ("new", new), ("repeat", repeat)];
        here.post_form("/settings/password/", &form).await
    };
    change("wrong", "another password", "another password").await.expect(422);
    change(PASSWORD, "short", "short").await.expect(422);
    change(PASSWORD, "another password", "different").await.expect(422);
    let reply = change(PASSWORD, "another password", "another password").await.expect(303);
    let renewed = test.client().with_header("cookie", &reply.cookie("glitchbox").unwrap());
    renewed.get("/issues/").await.expect(200);
    here.get("/issues/").await.expect(303);
    there.get("/issues/").await.expect(303);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let test = with_event().await;
    let client = sign_in(&test, "admin@localhost").await;
    let csrf = token(&client.get("/issues/").await.expect(200));
    client.post_form("/logout/", &[("csrf", &csrf)]).await.expect(303);
    client.get("/issues/").await.expect(303);
}

#[tokio::test]
async fn strangers_to_an_organization_see_nothing_of_it() {
    let test = with_event().await;
    let admin = sign_in(&test, "admin@localhost").await;
    let issue = first_issue(&admin.get("/issues/").await.expect(200));
    add_user(&test, "stranger@localhost", false).await;
    let stranger = sign_in(&test, "stranger@localhost").await;
    let list = stranger.get("/issues/").await.expect(200);
    assert!(!list.text().contains("PaymentFailed"));
    let csrf = token(&list);
    stranger.get(&issue).await.expect(404);
    stranger.get("/projects/default/default/").await.expect(404);
    stranger.post_form(&issue, &[("csrf", &csrf), ("status", "resolved")]).await.expect(404);
    stranger.get(&format!("/issues/?project={}", test.project.id)).await.expect(404);
}

#[tokio::test]
async fn inactive_users_lose_their_sessions() {
    let test = with_event().await;
    let client = sign_in(&test, "admin@localhost").await;
    let found = user::find_by_email(&test.app.db, "admin@localhost").await.unwrap().unwrap();
    let change = UserChange { is_active: Some(false), ..UserChange::default() };
    user::update(&test.app.db, found.id, change).await.unwrap();
    client.get("/issues/").await.expect(303);
}

#[tokio::test]
async fn project_page_tells_how_to_send_events() {
    let test = TestApp::start().await;
    add_user(&test, "admin@localhost", true).await;
    let client = sign_in(&test, "admin@localhost").await;
    let page = client.get("/projects/default/default/?sdk=curl").await.expect(200);
    assert!(page.text().contains(&test.dsn()), "{}", page.text());
    assert!(page.text().contains("data-waiting"), "no event has come yet");
    assert!(page.text().contains(&format!("/api/{}/store/", test.project.id)));
}

#[tokio::test]
async fn every_answer_carries_a_strict_policy_and_nothing_is_inline() {
    let test = with_event().await;
    let client = sign_in(&test, "admin@localhost").await;
    let issue = first_issue(&client.get("/issues/").await.expect(200));
    for path in [
        "/login/",
        "/issues/",
        &issue,
        "/projects/",
        "/projects/default/default/",
        ALERTS,
        NEW_ALERT,
        "/settings/",
        "/nowhere/",
    ] {
        let page = if path == "/login/" { test.client().get(path).await } else { client.get(path).await };
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        let html = page.text();
        assert!(!html.contains(" style=\"") && !html.contains("<style") && !html.contains(" onclick="), "{path}");
        assert!(html.split("<script").skip(1).all(|script| script.starts_with(" src=\"/static/")), "{path}");
    }
}

#[tokio::test]
async fn static_files_are_kept_for_ever_under_names_of_their_content() {
    let test = TestApp::start().await;
    let page = test.client().get("/login/").await.expect(200).text();
    for kind in [".css\"", ".js\"", ".svg\""] {
        let path = page.split(kind).next().unwrap().rsplit('"').next().unwrap().to_owned() + kind.trim_end_matches('"');
        let file = test.client().get(&path).await.expect(200);
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable", "{path}");
    }
    test.client().get("/static/app.000000000000.css").await.expect(404);
}

#[tokio::test]
async fn searching_for_an_event_id_opens_it() {
    let test = with_event().await;
    let client = sign_in(&test, "admin@localhost").await;
    let issue = first_issue(&client.get("/issues/").await.expect(200));
    let page = client.get(&issue).await.expect(200).text();
    let event = page.split("?event=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let reply = client.get(&format!("/issues/?query={event}")).await.expect(303);
    assert_eq!(reply.header("location"), format!("{issue}?event={event}"));
    client.get("/issues/?query=is:purple").await.expect(200);
    let other = client.get(&format!("{issue}?event={}", "0".repeat(32))).await.expect(200);
    assert!(other.text().contains("That event is not kept"));
}
