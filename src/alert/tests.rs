//! What messages look like.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use glitchbox_notify::Language;
use serde_json::{Value, json};

use super::content::{self, Content};
use super::{html, mail, webhook};
use crate::ids::{IssueId, ProjectId};
use crate::protocol::{Event, Level};
use crate::store::alert::RecipientKind;
use crate::store::notice::Reason;
use crate::store::notice::channel::{Addressee, Channel, Window};
use crate::store::notice::delivery::Delivery;

const ORIGIN: &str = "https://errors.example.com";

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

fn addressee() -> Addressee {
    Addressee {
        organization: "acme".to_owned(),
        project: "shop".to_owned(),
        project_name: "Shop & Co".to_owned(),
        language: String::new(),
        secret: None,
    }
}

fn delivery(number: i64, reason: Reason) -> Delivery {
    Delivery {
        id: number,
        project_id: ProjectId(1),
        issue_id: IssueId(100 + number),
        short_id: number,
        title: format!("ValueError: <item {number}> is sold out"),
        culprit: "shop.cart in add".to_owned(),
        level: Level::Error,
        event_count: 1000 - number,
        user_count: 7,
        first_seen: noon(),
        last_seen: noon() + TimeDelta::minutes(5),
        reason,
        regression: 0,
        created_at: noon(),
        alert: "New issues".to_owned(),
        quantity: (reason == Reason::Frequency).then_some(100),
        timespan_minutes: (reason == Reason::Frequency).then_some(10),
    }
}

fn event() -> Event {
    serde_json::from_value(json!({
        "event_id": "5".repeat(32), "type": "error", "level": "error", "platform": "python",
        "timestamp": noon(), "received": noon(), "environment": "production", "release": "shop@1.2.3",
        "exception": { "values": [{ "type": "ValueError", "value": "sold out", "stacktrace": { "frames": [
            { "filename": "shop/views.py", "lineno": 12, "function": "buy", "in_app": true, "context_line": "    cart.add(item)" },
            { "filename": "shop/cart.py", "lineno": 34, "function": "add", "in_app": true, "context_line": "        raise ValueError(f\"<{item}>\")" },
            { "filename": "lib/orm.py", "lineno": 5, "function": "save", "in_app": false },
        ] } }] },
    }))
    .unwrap()
}

fn single(reason: Reason, language: Language) -> Content {
    content::single(&delivery(42, reason), Some(&event()), &addressee(), language, ORIGIN)
}

fn digest(language: Language) -> Content {
    let reasons = [Reason::New, Reason::New, Reason::Regressed];
    let deliveries: Vec<Delivery> =
        (1..=23).zip(reasons.into_iter().cycle()).map(|(number, reason)| delivery(number, reason)).collect();
    content::digest(&deliveries, &addressee(), language, ORIGIN)
}

fn body(kind: RecipientKind, content: &Content, secret: Option<&str>) -> Value {
    let request =
        webhook::request(kind, "https://bot.example/x", content, secret, "notice.1.2", 1_599_360_473_000).unwrap();
    serde_json::from_slice(&request.body).unwrap()
}

#[test]
fn a_mail_of_one_issue() {
    insta::assert_snapshot!("single-en-text", mail::text(&single(Reason::New, Language::English)));
    insta::assert_snapshot!("single-zh-text", mail::text(&single(Reason::Regressed, Language::Chinese)));
    insta::assert_snapshot!("single-en-html", html::page(&single(Reason::New, Language::English)));
}

#[test]
fn a_mail_of_many_issues() {
    insta::assert_snapshot!("digest-en-text", mail::text(&digest(Language::English)));
    insta::assert_snapshot!("digest-zh-html", html::page(&digest(Language::Chinese)));
}

#[test]
fn webhooks_of_each_kind() {
    let content = single(Reason::Frequency, Language::English);
    insta::assert_json_snapshot!("slack", body(RecipientKind::Webhook, &content, None));
    for kind in [
        RecipientKind::DingTalk,
        RecipientKind::WeCom,
        RecipientKind::Discord,
        RecipientKind::Teams,
        RecipientKind::Ntfy,
    ] {
        insta::assert_json_snapshot!(kind.as_str(), body(kind, &content, None));
    }
    let telegram = "https://api.telegram.org/bot1:x/sendMessage?chat_id=-100";
    let request = webhook::request(RecipientKind::Telegram, telegram, &content, None, "notice.1.2", 0).unwrap();
    insta::assert_json_snapshot!("telegram", serde_json::from_slice::<Value>(&request.body).unwrap());
    insta::assert_json_snapshot!("generic", body(RecipientKind::Generic, &content, Some("secret")));
    insta::assert_json_snapshot!(
        "feishu-digest",
        body(RecipientKind::Feishu, &digest(Language::Chinese), Some("secret"))
    );
}

#[test]
fn a_destination_is_spoken_to_in_the_language_of_its_house() {
    let spoken = |kind, destination: &str| {
        let channel = Channel {
            id: 1,
            project_id: ProjectId(1),
            kind,
            destination: destination.to_owned(),
            window: Window::default(),
            failures: 0,
        };
        content::language_of(&channel, &addressee())
    };
    assert_eq!(spoken(RecipientKind::Feishu, "https://open.feishu.cn/x"), Language::Chinese);
    assert_eq!(spoken(RecipientKind::Feishu, "https://open.larksuite.com/x"), Language::English);
    assert_eq!(spoken(RecipientKind::DingTalk, "https://oapi.dingtalk.com/x"), Language::Chinese);
    assert_eq!(spoken(RecipientKind::WeCom, "https://qyapi.weixin.qq.com/x"), Language::Chinese);
    assert_eq!(spoken(RecipientKind::Webhook, "https://hooks.slack.com/x"), Language::English);
    assert_eq!(spoken(RecipientKind::Email, "dev@example.com"), Language::English);
}

#[test]
fn headers_of_a_mail() {
    let from = "Errors <errors@example.com>".parse().unwrap();
    let envelope = mail::Envelope {
        from: &from,
        to: "dev@localhost",
        host: "errors.example.com",
        id: "notice.1.2",
        thread: Some("issue.142".to_owned()),
        alerts_page: Some(content::alerts_page(ORIGIN, "acme", "shop")),
        list: "shop.acme".to_owned(),
    };
    let mail = mail::build(&single(Reason::New, Language::Chinese), &envelope).unwrap();
    let raw = String::from_utf8(mail.formatted()).unwrap();
    let head = raw.split("\r\n\r\n").next().unwrap();
    for line in [
        "From: Errors <errors@example.com>",
        "To: dev@localhost",
        "Message-ID: <notice.1.2@errors.example.com>",
        "In-Reply-To: <issue.142@errors.example.com>",
        "References: <issue.142@errors.example.com>",
        "Auto-Submitted: auto-generated",
        "List-Id: <shop.acme.errors.example.com>",
        "List-Unsubscribe: <https://errors.example.com/projects/acme/shop/alerts/>",
        "MIME-Version: 1.0",
    ] {
        assert!(head.lines().any(|has| has == line), "{line} in {head}");
    }
    assert!(raw.lines().all(|line| line.len() <= 998));

    for to in ["dev@example.com\r\nBcc: all@example.com", "a@b, c@d", "dev", ""] {
        let envelope = mail::Envelope { to, ..envelope.clone() };
        assert!(mail::build(&single(Reason::New, Language::English), &envelope).is_err(), "{to}");
    }
    let bare = mail::Envelope { host: "[::1]", thread: None, ..envelope };
    let raw = mail::build(&digest(Language::English), &bare).unwrap().formatted();
    assert!(String::from_utf8(raw).unwrap().contains("<notice.1.2@glitchbox.invalid>"));
}
