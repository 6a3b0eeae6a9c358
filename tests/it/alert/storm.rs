//! Five hundred new issues at once: few messages, and every issue is in one.

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use glitchbox::alert::throttle::{POLICY, Policy};
use glitchbox::store::alert::RecipientKind;
use std::time::{Duration, Instant};

use super::{add_alert, add_member, error};
use crate::support::{MailSink, TestApp, WebhookSink};

const ISSUES: usize = 500;
const EVENTS: usize = 5000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_events_in_five_hundred_issues_are_few_messages() {
    let (mail, hooks) = (MailSink::start().await, WebhookSink::start().await);
    let url = format!("smtp://127.0.0.1:{}", mail.port());
    let app = TestApp::start_with(&[("EMAIL_URL", url.as_str())]).await;
    add_member(&app, "dev@example.com", "").await;
    add_alert(&app, &[(RecipientKind::Generic, &hooks.url("/ok"), None)]).await;
    let window = TimeDelta::seconds(10);
    app.send_alerts(Policy { window, gather: TimeDelta::seconds(3), ..POLICY });
    let begin = Instant::now();
    let sending = stream::iter(0..EVENTS).for_each_concurrent(16, |number| {
        let app = &app;
        async move {
            let event = error(&format!("Storm{}", number % ISSUES));
            app.send_event(&event).await.expect(200);
        }
    });
    tokio::join!(sending, async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.drain().await;
    });
    app.drain().await;

    // Everything told of, in whatever message.
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let posts = hooks.posts("/ok");
        let told: u64 = posts.iter().map(|post| post.json()["digest"]["issues"].as_u64().unwrap_or(1)).sum();
        if usize::try_from(told).unwrap() == ISSUES && mail.mails().len() >= posts.len() {
            break;
        }
        assert!(Instant::now() < deadline, "{told} issues told in {} messages", posts.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let posts = hooks.posts("/ok");
    let windows = begin.elapsed().as_secs() / 10 + 1;
    let bound = 11 + usize::try_from(windows).unwrap();
    assert!(posts.len() <= bound && mail.mails().len() <= bound, "{} and {}", posts.len(), mail.mails().len());
    assert_eq!(posts.iter().filter(|post| post.json()["kind"] == "issue.new").count(), 10);
    let digest = posts.iter().find(|post| post.json()["kind"] == "issue.digest").unwrap().json();
    assert_eq!(digest["digest"]["top"].as_array().unwrap().len(), 20);
    let waiting: i64 = sqlx::query_scalar("select count(*) from notice_delivery where state <> 1")
        .fetch_one(app.database.pool())
        .await
        .unwrap();
    assert_eq!(waiting, 0);
    let sent: i64 =
        sqlx::query_scalar("select count(*) from notice_delivery").fetch_one(app.database.pool()).await.unwrap();
    assert_eq!(usize::try_from(sent).unwrap(), 2 * ISSUES);
}
