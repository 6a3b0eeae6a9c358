//! Destinations that fail: tried again, given up in the end, and nobody waits for them.

use std::time::{Duration, Instant};

use glitchbox::alert::throttle::POLICY;
use glitchbox::store::alert::{self, RecipientKind};
use glitchbox::store::notice::delivery::{self, LogRow, State};

use super::{add_alert, add_member, error, wait_for_log};
use crate::support::{MailSink, TestApp, WebhookSink};

/// A port that nobody listens on.
async fn closed_port() -> u16 {
    MailSink::start().await.port()
}

#[tokio::test]
async fn a_dead_mail_server_delays_nothing_and_gets_its_mail_later() {
    let hooks = WebhookSink::start().await;
    let port = closed_port().await;
    let url = format!("smtp://me:pa55word-of-mail@127.0.0.1:{port}");
    let app = TestApp::start_with(&[("EMAIL_URL", url.as_str())]).await;
    add_member(&app, "dev@example.com", "").await;
    add_alert(
        &app,
        &[(RecipientKind::Webhook, &hooks.url("/hang"), None), (RecipientKind::Webhook, &hooks.url("/ok"), None)],
    )
    .await;
    let (shutdown, sender) = app.send_alerts(POLICY);
    let begin = Instant::now();
    app.send_event(&error("First")).await.expect(200);
    app.drain().await;
    hooks.wait_for("/hang", 1).await;
    hooks.wait_for("/ok", 1).await;
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
    let failed = |log: &LogRow| log.kind != RecipientKind::Email || log.error.is_some();
    let log = wait_for_log(&app, failed).await;
    assert!(!format!("{log:?}").contains("pa55word"), "{log:?}");

    // The worker is replaced, with a request in hand that nobody answers; the mail server comes back.
    shutdown.stop();
    tokio::time::timeout(Duration::from_secs(3), sender).await.expect("stops in time").unwrap();
    let leased: i64 = sqlx::query_scalar("select count(*) from notice_channel where leased_until is not null")
        .fetch_one(app.database.pool())
        .await
        .unwrap();
    assert_eq!(leased, 0);
    let mail = MailSink::start_on(port).await;
    app.send_alerts(POLICY);
    mail.wait_for("dev@example.com", 1).await;
    app.send_event(&error("Second")).await.expect(200);
    app.drain().await;
    mail.wait_for("dev@example.com", 2).await;
    assert_eq!(mail.mails().len(), 2);
}

#[tokio::test]
async fn only_a_webhook_that_agrees_has_been_told() {
    let hooks = WebhookSink::start().await;
    let app = TestApp::start().await;
    add_member(&app, "dev@example.com", "").await;
    let secret_path = hooks.url("/500?token=hook-token-1");
    add_alert(
        &app,
        &[
            (RecipientKind::Feishu, &hooks.url("/refuse"), None),
            (RecipientKind::Webhook, &hooks.url("/redirect"), None),
            (RecipientKind::Generic, &secret_path, Some("hook-secret-2")),
            (RecipientKind::Generic, &format!("http://127.0.0.1:{}/?hook-token-1", closed_port().await), None),
        ],
    )
    .await;
    app.send_alerts(POLICY);
    app.send_event(&error("Refused")).await.expect(200);
    app.drain().await;
    let log = wait_for_log(&app, |row| row.error.is_some()).await;
    assert_eq!(log.len(), 4);
    assert!(log.iter().all(|row| row.state == State::Waiting));
    let errors: Vec<String> = log.iter().filter_map(|row| row.error.clone()).collect();
    for part in ["the webhook refused it: HTTP 200", "302", "500", "onnect"] {
        assert!(errors.iter().any(|error| error.contains(part)), "{part} in {errors:?}");
    }
    assert!(errors.iter().all(|error| !error.contains("hook-token") && !error.contains("hook-secret")), "{errors:?}");
    assert!(hooks.posts("/redirected").is_empty());

    // Again after a pause, as the same message; after a day, never more.
    let posts = hooks.wait_for("/500", 2).await;
    assert_eq!(posts[0].header("idempotency-key"), posts[1].header("idempotency-key"));
    sqlx::query(
        "with aged as (update notice_delivery set first_tried_at = now() - interval '25 hours')
         update notice_channel set due_at = now() where leased_until is null",
    )
    .execute(app.database.pool())
    .await
    .unwrap();
    app.send_event(&error("Another")).await.expect(200);
    app.drain().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let log = delivery::log(app.database.pool(), app.project.id, 100).await.unwrap();
        if log.iter().filter(|row| row.state == State::Failed).count() >= 3 {
            break;
        }
        assert!(Instant::now() < deadline, "{log:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // A recipient that is removed is told nothing more.
    for alert in alert::list(app.database.pool(), app.project.id).await.unwrap() {
        alert::delete(app.database.pool(), app.project.id, alert.id).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while delivery::log(app.database.pool(), app.project.id, 100).await.unwrap().iter().any(is_waiting) {
        assert!(Instant::now() < deadline, "something still waits");
        // Not after its pause, but now.
        sqlx::query("update notice_channel set due_at = now() where due_at is not null and leased_until is null")
            .execute(app.database.pool())
            .await
            .unwrap();
        app.app.alerts.stored(std::iter::empty(), true);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn is_waiting(row: &LogRow) -> bool {
    row.state == State::Waiting
}

#[tokio::test]
async fn an_ignored_issue_and_a_missing_mail_server_are_silent() {
    let hooks = WebhookSink::start().await;
    let app = TestApp::start().await;
    add_member(&app, "dev@example.com", "").await;
    add_alert(&app, &[(RecipientKind::Generic, &hooks.url("/ok"), None)]).await;
    app.send_event(&error("Known")).await.expect(200);
    app.drain().await;
    sqlx::query("update issue set status = 2").execute(app.database.pool()).await.unwrap();
    app.send_event(&error("Fresh")).await.expect(200);
    app.drain().await;
    app.send_alerts(POLICY);
    hooks.wait_for("/ok", 1).await;
    let log = wait_for_log(&app, |row| row.state == State::Sent).await;
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(hooks.posts("/ok")[0].json()["issue"]["title"], "Fresh: no such product <b>");
}
