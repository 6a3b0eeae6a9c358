//! What users write of an event: the API's endpoint, and the dialog of `Sentry.showReportDialog`.

use std::convert::Infallible;

use bytes::Bytes;
use glitchbox::store::member::Role;
use glitchbox::store::rate_limit::{self, Allowance, Covers, Target};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::form_urlencoded::Serializer;

use super::{ID, OTHER_KEY, eventually, rows, send, settled_items};
use crate::api::seed::{client_of, join, new_user};
use crate::appliance::webdriver::Browser;
use crate::support::TestApp;

const REPORTS: &str = "select kind, replace(event_id::text, '-', '') as event, name, email, message from user_feedback";

fn report(name: &str) -> Value {
    json!({ "event_id": ID, "name": name, "email": "ann@example.org", "comments": "It broke." })
}

fn stored(name: &str) -> Value {
    json!([{ "kind": 0, "event": ID, "name": name, "email": "ann@example.org", "message": "It broke." }])
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// The dialog's address, as `@sentry/browser` makes it: the DSN is not escaped.
fn dialog(dsn: &str, options: &[(&str, &str)]) -> String {
    format!("/api/embed/error-page/?dsn={dsn}&{}", Serializer::new(String::new()).extend_pairs(options).finish())
}

#[tokio::test]
async fn user_feedback_comes_with_the_dsn_and_is_answered_with_nothing() {
    let app = TestApp::start().await;
    let auth = format!("DSN {}", app.dsn());
    let path = "/api/0/projects/default/default/user-feedback/";
    let reply = send(&app, path, &[JSON, ("authorization", &auth)], report("Ann").to_string()).await.expect(200);
    assert_eq!((reply.text().as_str(), reply.header("access-control-allow-origin")), ("", "*"));
    settled_items(&app, 1).await;
    assert_eq!(Value::from(rows(&app, REPORTS).await), stored("Ann"));
    // Any form of credentials will do, and numbers in place of slugs; the second report takes the first one's place.
    let by_number = format!("/api/0/projects/{}/{}/user-feedback", app.organization.id, app.project.id);
    let sentry = format!("Sentry sentry_key={}", app.key.public_key);
    send(&app, &by_number, &[JSON, ("x-sentry-auth", &sentry)], report("Bob").to_string()).await.expect(200);
    settled_items(&app, 2).await;
    eventually(&app, REPORTS, &stored("Bob")).await;
    let preflight = app.client().send("OPTIONS", path, &[], Bytes::new()).await.expect(204);
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
}

#[tokio::test]
async fn user_feedback_comes_with_a_token_and_is_answered_with_an_object() {
    let app = TestApp::start().await;
    let user = new_user(&app, "ann@example.org", false).await;
    let path = "/api/0/projects/default/default/user-feedback/";
    let client = client_of(&app, user, &["project:write"]).await;
    client.post_json(path, &report("Ann")).await.expect(404);
    join(&app, app.organization.id, user, Role::Member).await;
    let reply = client.post_json(path, &report("Ann")).await.expect(200).json();
    for (key, value) in [("eventID", ID), ("name", "Ann"), ("email", "ann@example.org"), ("comments", "It broke.")] {
        assert_eq!(reply[key], value, "{reply}");
    }
    client_of(&app, user, &["project:read"]).await.post_json(path, &report("Ann")).await.expect(403);
    app.client().with_token("sntryu_none").post_json(path, &report("Ann")).await.expect(401);
    client.post_json(&path.replace("/default/user", "/none/user"), &report("Ann")).await.expect(404);
    eventually(&app, REPORTS, &stored("Ann")).await;
}

#[tokio::test]
async fn what_is_no_user_feedback_is_refused() {
    let app = TestApp::start().await;
    let path = "/api/0/projects/default/default/user-feedback/";
    let auth = format!("DSN {}", app.dsn());
    let own = [JSON, ("authorization", auth.as_str())];
    let with = |key: &str, value: Value| {
        let mut report = report("Ann");
        report[key] = value;
        report.to_string()
    };
    for body in [
        String::new(),
        "[]".to_owned(),
        with("event_id", json!("short")),
        with("event_id", json!(null)),
        with("event_id", json!("0".repeat(32))),
        with("comments", json!(" ")),
        with("comments", json!(7)),
        with("email", json!("nobody")),
    ] {
        send(&app, path, &own, body.clone()).await.expect(400);
    }
    send(&app, path, &own, with("comments", json!("x".repeat(101 * 1024)))).await.expect(413);
    send(&app, path, &[JSON], report("Ann").to_string()).await.expect(401);
    let stranger = auth.replace(&app.key.public_key, OTHER_KEY);
    send(&app, path, &[JSON, ("authorization", &stranger)], report("Ann").to_string()).await.expect(403);
    send(&app, &path.replace("/default/user", "/none/user"), &own, report("Ann").to_string()).await.expect(403);
    app.client().get(path).await.expect(405);
    app.drain().await;
    assert!(rows(&app, REPORTS).await.is_empty());
}

#[tokio::test]
async fn the_dialog_is_for_pages_that_know_a_key_and_an_event() {
    let app = TestApp::start().await;
    let dsn = app.dsn();
    let reply =
        app.client().get(&dialog(&dsn, &[("eventId", ID), ("title", "</script><script>alert(1)")])).await.expect(200);
    assert_eq!(reply.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert!(
        !reply.text().contains("</script>") && !reply.text().contains(&app.key.public_key),
        "nothing is put into it"
    );
    let stranger = dsn.replace(&app.key.public_key, OTHER_KEY);
    let elsewhere = dsn.trim_end_matches(&format!("/{}", app.project.id)).to_owned() + "/999";
    let fields = [("comments", "It broke."), ("email", "")];
    for (path, status) in [
        (dialog("", &[("eventId", ID)]), 400),
        (dialog("nonsense", &[("eventId", ID)]), 400),
        (dialog(&dsn, &[]), 400),
        (dialog(&dsn, &[("eventId", "undefined")]), 400),
        (dialog(&dsn, &[("eventId", &"0".repeat(32))]), 400),
        (dialog(&stranger, &[("eventId", ID)]), 403),
        (dialog(&elsewhere, &[("eventId", ID)]), 403),
    ] {
        for reply in [app.client().get(&path).await, app.client().post_form(&path, &fields).await] {
            let reply = reply.expect(status);
            assert_eq!(reply.header("x-sentry-error"), reply.json()["detail"], "{path}");
            assert_eq!(reply.header("access-control-allow-origin"), "*", "{path}");
        }
    }
    let own = dialog(&dsn, &[("eventId", ID)]);
    for fields in [vec![], vec![("comments", " ")], vec![("comments", "c"), ("email", "nobody")]] {
        app.client().post_form(&own, &fields).await.expect(400);
    }
    app.client().send("PUT", &own, &[], Bytes::new()).await.expect(405);
    app.client().send("OPTIONS", &own, &[], Bytes::new()).await.expect(204);
    app.client()
        .post_form(&own, &[("name", "Ann"), ("email", "ann@example.org"), ("comments", "It broke.")])
        .await
        .expect(200);
    settled_items(&app, 1).await;
    assert_eq!(Value::from(rows(&app, REPORTS).await), stored("Ann"));
}

#[tokio::test]
async fn what_users_write_counts_against_the_limits() {
    let app = TestApp::start().await;
    let allowance = Allowance { quantity: 1, window_s: 3600 * 24 };
    rate_limit::set(app.database.pool(), Target::Key(app.key.id), Covers::All, allowance).await.unwrap();
    let own = dialog(&app.dsn(), &[("eventId", ID)]);
    app.client().post_form(&own, &[("comments", "It broke.")]).await.expect(200);
    app.client().post_form(&own, &[("comments", "It broke again.")]).await.expect(429);
}

/// A page of another origin that allows nothing but what the dialog needs, and does what the SDK does. It answers until
/// the test ends.
async fn page(app: &TestApp, options: &[(&str, &str)]) -> String {
    let (site, src) = (format!("http://{}", app.address()), dialog(&app.dsn(), options));
    let policy = format!(
        "default-src 'none'; script-src 'nonce-x' {site}; connect-src {site}; require-trusted-types-for 'script'"
    );
    let html = format!(
        "<!doctype html><html lang=en><title>Shop</title><style>label {{ display: none }}</style><body><main>Sorry.</main>
         <script nonce=x>
         addEventListener('message', event => {{ if (event.data === '__sentry_reportdialog_closed__') document.title = 'closed' }});
         const policy = trustedTypes.createPolicy('x', {{ createScriptURL: text => text }});
         const script = document.createElement('script');
         script.crossOrigin = 'anonymous';
         script.onerror = () => document.title = 'refused';
         script.src = policy.createScriptURL('{site}{src}');
         document.head.append(script);
         </script>"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (html, policy) = (html.clone(), policy.clone());
            let service = service_fn(move |_| {
                let reply = hyper::Response::builder()
                    .header("content-type", "text/html; charset=utf-8")
                    .header("content-security-policy", policy.clone())
                    .body(Full::new(Bytes::from(html.clone())))
                    .unwrap();
                async move { Ok::<_, Infallible>(reply) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move { drop(connection.await) });
        }
    });
    address
}

/// Waits until a script's `return` is this.
async fn until(browser: &Browser, script: &str, wanted: &Value) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let found = browser.run(script).await;
        if found == *wanted {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{script}: {found}\n{:?}", browser.console().await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The root of the dialog's elements.
const ROOT: &str = "const root = [...document.body.children].map(one => one.shadowRoot).find(Boolean);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dialog_works_in_a_page_with_a_strict_policy_in_both_languages() {
    let app = TestApp::start().await;
    let browser = Browser::start("en").await;
    let told =
        format!("{ROOT} return root?.activeElement?.name + '|' + root?.querySelector('label')?.innerText.trim()");
    browser.open(&page(&app, &[("eventId", ID), ("lang", "zh-CN")]).await).await;
    until(&browser, &told, &json!("name|姓名")).await;
    let title = "<img src=x onerror=document.title=1>";
    let options =
        [("eventId", ID), ("title", title), ("name", "Ann"), ("email", "ann@example.org"), ("subtitle", "undefined")];
    browser.open(&page(&app, &options).await).await;
    until(&browser, &told, &json!("comments|Name")).await;
    until(&browser, &format!("{ROOT} return root.querySelector('h2').textContent"), &json!(title)).await;
    let style = format!("{ROOT} return getComputedStyle(root.querySelector('label')).display");
    until(&browser, &style, &json!("block")).await;
    let submit = format!(
        "{ROOT} root.querySelector('textarea').value = 'It broke.'; root.querySelector('[type=submit]').click(); return 1"
    );
    browser.run(&submit).await;
    let message = format!("{ROOT} return root.querySelector('[role=alert]').innerText");
    until(&browser, &message, &json!("Your report has been sent. Thank you!")).await;
    browser.run(&format!("{ROOT} root.querySelector('[type=button]').click(); return 1")).await;
    until(&browser, "return document.title", &json!("closed")).await;
    let stranger = page(&app, &[("eventId", "none")]).await;
    browser.open(&stranger).await;
    until(&browser, "return document.title", &json!("refused")).await;
    browser.quit().await;
    eventually(&app, REPORTS, &stored("Ann")).await;
}
