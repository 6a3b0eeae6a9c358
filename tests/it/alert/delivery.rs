//! From an event to a mail and to webhooks.

use std::time::Instant;

use glitchbox::alert::throttle::POLICY;
use glitchbox::store::alert::{self, NewAlert, NewRecipient, RecipientKind};
use glitchbox::store::issue_status::{self, IssueStatus};

use super::{add_alert, add_member, error};
use crate::support::{MailSink, TestApp, WebhookSink};

async fn start(mail: &MailSink) -> TestApp {
    let url = format!("smtp://127.0.0.1:{}", mail.port());
    let app = TestApp::start_with(&[
        ("EMAIL_URL", url.as_str()),
        ("DEFAULT_FROM_EMAIL", "Errors <errors@example.com>"),
        ("GLITCHTIP_DOMAIN", "https://errors.example.com"),
    ])
    .await;
    app.send_alerts(POLICY);
    app
}

/// Resolves every issue, so that what comes now reopens it.
async fn resolve_all(app: &TestApp) {
    let db = app.database.pool();
    let issues = sqlx::query_scalar("select id from issue").fetch_all(db).await.unwrap();
    issue_status::update(db, &issues, IssueStatus::Resolved).await.unwrap();
    sqlx::query("update issue set resolved_at = now() - interval '1 hour'").execute(db).await.unwrap();
}

#[tokio::test]
async fn a_new_issue_reaches_mail_and_webhooks() {
    let (mail, hooks) = (MailSink::start().await, WebhookSink::start().await);
    let app = start(&mail).await;
    add_member(&app, "dev@localhost", "").await;
    add_member(&app, "kaifa@example.com", "zh-CN").await;
    add_alert(
        &app,
        &[
            (RecipientKind::Webhook, &hooks.url("/slack"), None),
            (RecipientKind::Feishu, &hooks.url("/feishu"), Some("feishu secret")),
            (RecipientKind::Generic, &hooks.url("/generic"), Some("generic secret")),
            // Once more, but told only once.
            (RecipientKind::Email, "", None),
        ],
    )
    .await;

    let begin = Instant::now();
    app.send_event(&error("NotFound")).await.expect(200);
    app.drain().await;
    let english = mail.wait_for("dev@localhost", 1).await.remove(0);
    let chinese = mail.wait_for("kaifa@example.com", 1).await.remove(0);
    let slack = hooks.wait_for("/slack", 1).await.remove(0);
    let feishu = hooks.wait_for("/feishu", 1).await.remove(0);
    let generic = hooks.wait_for("/generic", 1).await.remove(0);
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());

    assert_eq!(english.from, "errors@example.com");
    assert_eq!(english.header("From"), "Errors <errors@example.com>");
    assert_eq!(english.header("Subject"), "[Default] New issue: NotFound: no such product <b>");
    assert_eq!(english.header("Auto-Submitted"), "auto-generated");
    assert_eq!(english.header("List-Id"), "<default.default.errors.example.com>");
    assert_eq!(english.header("List-Unsubscribe"), "<https://errors.example.com/projects/default/default/alerts/>");
    assert!(english.header("Message-ID").ends_with("@errors.example.com>"), "{}", english.raw);
    let text = english.part("text/plain");
    for part in ["Environment: production", "Release: shop@1.2.3", "Events: 1", "shop/find.py:40 find"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(text.contains("https://errors.example.com/issues/") && !text.contains("django/db.py"), "{text}");
    let html = english.part("text/html");
    assert!(html.contains("no such product &lt;b&gt;") && html.contains("prefers-color-scheme:dark"), "{html}");
    assert!(!html.contains("<img") && !html.contains("<link"), "{html}");
    assert!(chinese.part("text/plain").contains("此问题首次出现。"), "{}", chinese.part("text/plain"));

    let title = "New issue: NotFound: no such product &lt;\u{200b}b&gt;";
    assert_eq!(slack.json()["attachments"][0]["title"], title);
    assert!(slack.json()["attachments"][0]["title_link"].as_str().unwrap().starts_with("https://errors.example.com/"));
    let stamp = feishu.json()["timestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(feishu.json()["sign"], glitchbox_notify::feishu::signature("feishu secret", stamp));
    let signature = glitchbox_notify::generic::signature("generic secret", &generic.body);
    assert_eq!((generic.header("x-signature"), generic.header("x-signature-256")), (&*signature, &*signature));
    assert_eq!(generic.header("content-type"), "application/json");
    assert!(generic.header("idempotency-key").starts_with("notice."));
    assert_eq!(generic.json()["kind"], "issue.new");
    assert_eq!(generic.json()["issue"]["title"], "NotFound: no such product <b>");

    // Another event is no news; the issue that comes back is, in the same thread.
    app.send_event(&error("NotFound")).await.expect(200);
    app.drain().await;
    resolve_all(&app).await;
    app.send_event(&error("NotFound")).await.expect(200);
    app.drain().await;
    let again = mail.wait_for("dev@localhost", 2).await.remove(1);
    assert!(again.header("Subject").contains("Back again: NotFound"), "{}", again.raw);
    assert_eq!(again.header("In-Reply-To"), english.header("In-Reply-To"));
    assert_ne!(again.header("Message-ID"), english.header("Message-ID"));
    hooks.wait_for("/generic", 2).await;
    assert_eq!(mail.wait_for("dev@localhost", 2).await.len(), 2);
}

#[tokio::test]
async fn what_strangers_write_stays_in_its_place() {
    let mail = MailSink::start().await;
    let app = start(&mail).await;
    add_member(&app, "dev@example.com", "").await;
    sqlx::query("update project set name = $1")
        .bind("Shop\r\nBcc: all@example.com\r\n\r\n<script>")
        .execute(app.database.pool())
        .await
        .unwrap();
    let mut event = error("Oops");
    event["exception"]["values"][0]["type"] = "Oops\r\nBcc: all@example.com".into();
    event["exception"]["values"][0]["value"] = "\r\n.\r\nMAIL FROM:<x@example.com>\r\n<script>".into();
    app.send_event(&event).await.expect(200);
    app.drain().await;
    let got = mail.wait_for("dev@example.com", 1).await.remove(0);
    assert_eq!(got.to, ["dev@example.com"]);
    assert_eq!((got.header("Bcc"), got.header("From")), (String::new(), "Errors <errors@example.com>".to_owned()));
    assert!(!got.part("text/html").contains("<script"), "{}", got.raw);
    assert_eq!(mail.mails().len(), 1);
}

#[tokio::test]
async fn a_frequent_issue_is_told_once_until_it_comes_back() {
    let (mail, hooks) = (MailSink::start().await, WebhookSink::start().await);
    let app = start(&mail).await;
    let url = hooks.url("/ok");
    let new = NewAlert {
        name: "Often".to_owned(),
        is_enabled: true,
        timespan_minutes: Some(10),
        quantity: Some(5),
        recipients: vec![NewRecipient { kind: RecipientKind::Generic, url, secret: None }],
    };
    alert::insert(&app.app.db, app.project.id, &new).await.unwrap();
    let pool = app.database.pool();
    let count = async |project| {
        glitchbox::store::notice::note_frequent(pool, project, chrono::Utc::now()).await.unwrap();
        app.app.alerts.noted();
        sqlx::query_scalar::<_, i64>("select count(*) from notice where reason = 2").fetch_one(pool).await.unwrap()
    };
    let project = [app.project.id];
    for sent in 1..=8 {
        app.send_event(&error("Often")).await.expect(200);
        app.drain().await;
        assert_eq!(count(Some(&project[..])).await, i64::from(sent >= 5), "{sent}");
    }
    // Events of an hour ago do not count.
    sqlx::query("update event set received_at = received_at - interval '1 hour'").execute(pool).await.unwrap();
    sqlx::query("update issue_hourly set hour = hour - interval '1 hour'").execute(pool).await.unwrap();
    resolve_all(&app).await;
    for sent in 1..=5 {
        app.send_event(&error("Often")).await.expect(200);
        app.drain().await;
        assert_eq!(count(None).await, if sent < 5 { 1 } else { 2 }, "{sent}");
    }
    let posts = hooks.wait_for("/ok", 2).await;
    assert!(posts[0].json()["body"].as_str().unwrap().contains("5 events or more within 10 minutes"));
    assert_eq!(posts[0].json()["kind"], "issue.frequency");
}

#[tokio::test]
async fn each_alert_that_wants_a_number_is_told_and_a_deleted_one_is_not() {
    let hooks = WebhookSink::start().await;
    let url = hooks.url("/ok");
    let app = TestApp::start().await;
    let (db, pool) = (&app.app.db, app.database.pool());
    let mut ids = Vec::new();
    for (name, quantity) in [("Some", 2), ("Many", 3), ("Gone", 3)] {
        let new = NewAlert {
            name: name.to_owned(),
            is_enabled: true,
            timespan_minutes: Some(10),
            quantity: Some(quantity),
            recipients: vec![NewRecipient { kind: RecipientKind::Generic, url: url.clone(), secret: None }],
        };
        ids.push(alert::insert(db, app.project.id, &new).await.unwrap().id);
    }
    for _ in 0..3 {
        app.send_event(&error("Often")).await.expect(200);
        app.drain().await;
    }
    let now = chrono::Utc::now();
    assert_eq!(glitchbox::store::notice::note_frequent(pool, None, now).await.unwrap(), 3);
    glitchbox::store::notice::route(db, false, now).await.unwrap();
    alert::delete(db, app.project.id, ids[2]).await.unwrap();
    app.send_alerts(POLICY);
    hooks.wait_for("/ok", 2).await;
    let told = |part: &str| {
        hooks.posts("/ok").iter().filter(|post| post.json()["body"].as_str().unwrap().contains(part)).count()
    };
    assert_eq!((told("2 events or more"), told("3 events or more")), (1, 1));
}
