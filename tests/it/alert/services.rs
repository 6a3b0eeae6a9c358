//! Each chat service in its own form, and by its own answers.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use glitchbox::alert::throttle::POLICY;
use glitchbox::store::alert::RecipientKind;
use glitchbox::store::notice::delivery::State;
use glitchbox_notify::dingtalk;
use serde_json::json;

use super::{add_alert, error, wait_for_log};
use crate::support::{TestApp, WebhookSink};

#[tokio::test]
async fn each_service_is_told_in_its_own_form() {
    let hooks = WebhookSink::start().await;
    let app = TestApp::start().await;
    let kinds = [
        (RecipientKind::DingTalk, hooks.url("/dingtalk?access_token=t"), Some("SECdemo")),
        (RecipientKind::WeCom, hooks.url("/wecom?key=k"), None),
        (RecipientKind::Discord, hooks.url("/discord"), None),
        (RecipientKind::Teams, hooks.url("/teams"), None),
        (RecipientKind::Telegram, hooks.url("/bot1:x/sendMessage?chat_id=-100"), None),
        (RecipientKind::Ntfy, hooks.url("/alerts"), Some("tk_demo")),
    ];
    let recipients: Vec<_> = kinds.iter().map(|(kind, url, secret)| (*kind, url.as_str(), *secret)).collect();
    add_alert(&app, &recipients).await;
    app.send_alerts(POLICY);
    app.send_event(&error("NotFound")).await.expect(200);
    app.drain().await;
    let log = wait_for_log(&app, |row| row.state == State::Sent).await;
    assert_eq!(log.len(), kinds.len(), "{log:?}");

    let dingtalk = hooks.posts("/dingtalk").remove(0);
    let signed = dingtalk.query.strip_prefix("access_token=t&timestamp=").unwrap();
    let (stamp, sign) = signed.split_once("&sign=").unwrap();
    let sign = sign.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    assert_eq!(sign, dingtalk::signature("SECdemo", stamp.parse().unwrap()));
    assert_eq!(dingtalk.json()["markdown"]["title"], "新问题：NotFound: no such product <b>");
    let wecom = hooks.posts("/wecom").remove(0);
    assert_eq!((wecom.query.as_str(), &wecom.json()["msgtype"]), ("key=k", &json!("markdown")));
    let discord = hooks.posts("/discord").remove(0);
    assert_eq!(discord.query, "wait=true");
    assert_eq!(discord.json()["embeds"][0]["title"], "New issue: NotFound: no such product \\<b\\>");
    let teams = hooks.posts("/teams").remove(0);
    assert_eq!(teams.json()["attachments"][0]["content"]["type"], "AdaptiveCard");
    let telegram = hooks.posts("/bot1:x/sendMessage").remove(0);
    assert_eq!((telegram.query.as_str(), &telegram.json()["chat_id"]), ("", &json!("-100")));
    let ntfy = hooks.posts("/").remove(0);
    assert_eq!((ntfy.header("authorization"), &ntfy.json()["topic"]), ("Bearer tk_demo", &json!("alerts")));
}

#[tokio::test]
async fn a_no_with_status_200_is_seen_and_a_service_is_left_alone_as_long_as_it_wants() {
    let hooks = WebhookSink::start().await;
    let app = TestApp::start().await;
    add_alert(
        &app,
        &[
            (RecipientKind::DingTalk, &hooks.url("/dingtalk/fast?access_token=hook-token"), None),
            (RecipientKind::WeCom, &hooks.url("/wecom/key?key=hook-token"), None),
            (RecipientKind::Discord, &hooks.url("/discord/fast"), None),
        ],
    )
    .await;
    app.send_alerts(POLICY);
    app.send_event(&error("Refused")).await.expect(200);
    app.drain().await;
    let begin = Utc::now();
    let log = wait_for_log(&app, |row| row.error.is_some()).await;
    let told = |kind| log.iter().find(|row| row.kind == kind).and_then(|row| row.error.clone()).unwrap();
    // Not the services themselves, so nothing of what they say is shown.
    assert_eq!(told(RecipientKind::DingTalk), "the webhook answered HTTP 200");
    assert_eq!(told(RecipientKind::WeCom), "the webhook refused it: HTTP 200");
    assert_eq!(told(RecipientKind::Discord), "the webhook answered HTTP 429");

    // DingTalk takes nothing for ten minutes; what is refused stays so until somebody changes something.
    let due: Vec<(String, DateTime<Utc>)> =
        sqlx::query_as("select kind, due_at from notice_channel").fetch_all(app.database.pool()).await.unwrap();
    let rests = |kind: &str| due.iter().find(|(of, _)| of == kind).unwrap().1 - begin;
    assert!(rests("dingtalk") >= TimeDelta::minutes(9), "{due:?}");
    assert!(rests("wecom") >= TimeDelta::minutes(7), "{due:?}");
    let discord = rests("discord");
    assert!(discord > TimeDelta::seconds(6) && discord < TimeDelta::seconds(15), "{due:?}");

    // Discord has it as soon as it wants it.
    hooks.wait_for("/discord/fast", 2).await;
    wait_for_log(&app, |row| row.kind != RecipientKind::Discord || row.state == State::Sent).await;
    assert_eq!((hooks.posts("/dingtalk/fast").len(), hooks.posts("/wecom/key").len()), (1, 1));
}

#[tokio::test]
async fn a_message_that_is_refused_for_what_it_is_keeps_no_other_waiting() {
    let hooks = WebhookSink::start().await;
    let app = TestApp::start().await;
    add_alert(&app, &[(RecipientKind::Discord, &hooks.url("/discord/picky"), None)]).await;
    app.send_alerts(POLICY);
    app.send_event(&error("Poison")).await.expect(200);
    app.drain().await;
    let log = wait_for_log(&app, |row| row.error.is_some()).await;
    // Without the words: it is not Discord itself.
    assert_eq!(log[0].error.as_deref(), Some("the webhook refused it: HTTP 400"));
    app.send_event(&error("Fine")).await.expect(200);
    app.drain().await;
    // The new one goes before the odd one is tried again.
    let posts = hooks.wait_for("/discord/picky", 2).await;
    assert!(posts[1].json().to_string().contains("Fine"), "{posts:?}");
    let log = wait_for_log(&app, |row| row.state == State::Sent || row.title.contains("Poison")).await;
    assert_eq!((log.len(), log[1].state), (2, State::Waiting), "{log:?}");
}

#[tokio::test]
async fn an_address_gets_no_more_than_its_service_takes() {
    let hooks = WebhookSink::start().await;
    let app = TestApp::start().await;
    let url = hooks.url("/bot1:x/sendMessage?chat_id=1");
    add_alert(&app, &[(RecipientKind::Telegram, &url, None)]).await;
    for name in ["First", "Second", "Third"] {
        app.send_event(&error(name)).await.expect(200);
        app.drain().await;
    }
    let begin = Instant::now();
    app.send_alerts(POLICY);
    hooks.wait_for("/bot1:x/sendMessage", 3).await;
    // One a second.
    assert!(begin.elapsed() >= Duration::from_millis(1_900), "{:?}", begin.elapsed());
    wait_for_log(&app, |row| row.state == State::Sent).await;
}
