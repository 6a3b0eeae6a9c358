//! The pages of alerts, as a browser without a script uses them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use glitchbox::ids::AlertId;
use glitchbox::jobs::{KINDS, runner};
use glitchbox::queue::{Consumer, Queue};
use glitchbox::shutdown::Shutdown;
use glitchbox::store::alert::{self, Alert, Recipient, RecipientKind};
use glitchbox::store::alert_test;
use glitchbox::store::member::{self, Role};
use glitchbox::store::user;
use glitchbox_notify::generic;

use crate::support::mail::MailSink;
use crate::support::webhook::WebhookSink;
use crate::support::{Client, Reply, TestApp};
use crate::web::{add_user, sign_in, token};

const ALERTS: &str = "/projects/default/default/alerts/";
const SLACK: &str = "https://hooks.example.org/services/T0001/B0002/abcdefghijkl";

async fn started() -> (TestApp, Client) {
    let test = TestApp::start().await;
    add_user(&test, "admin@localhost", true).await;
    let client = sign_in(&test, "admin@localhost").await;
    (test, client)
}

/// Sends an alert's form with the token of the page at `path`.
async fn submit(client: &Client, path: &str, fields: &[(&str, &str)]) -> Reply {
    let csrf = token(&client.get(path).await.expect(200));
    let all: Vec<(&str, &str)> = [("csrf", csrf.as_str())].into_iter().chain(fields.iter().copied()).collect();
    client.post_form(path, &all).await
}

async fn stored(test: &TestApp, id: i64) -> Option<Alert> {
    alert::find(&test.app.db, test.project.id, AlertId(id)).await.unwrap()
}

const HOOK: [(&str, &str); 6] = [
    ("name", "Bot"),
    ("when", "new"),
    ("kind-0", "feishu"),
    ("url-0", SLACK),
    ("secret-0", "s3cr3t-value"),
    ("do", "save"),
];

#[tokio::test]
async fn an_alert_is_made_changed_switched_off_and_deleted() {
    let (test, client) = started().await;
    let saved = submit(&client, &format!("{ALERTS}new/"), &HOOK).await.expect(303);
    assert_eq!(saved.header("location"), format!("{ALERTS}?done=saved"));
    let made = stored(&test, 2).await.unwrap();
    assert_eq!((made.name.as_str(), made.is_enabled, made.quantity), ("Bot", true, None));
    assert_eq!((made.recipients.len(), made.recipients[0].kind), (1, RecipientKind::Feishu));

    let list = client.get(&format!("{ALERTS}?done=saved")).await.expect(200).text();
    for shown in ["Alert saved.", "Bot", "https://hooks.example.org/…ijkl", "signed", "nothing sent yet"] {
        assert!(list.contains(shown), "{shown} is missing");
    }
    assert!(!list.contains("abcdefghijkl"), "the list shows no whole address");

    // The secret stays though its field comes back empty; the address may change.
    let edit = format!("{ALERTS}2/");
    let page = client.get(&edit).await.expect(200).text();
    assert!(page.contains(SLACK) && !page.contains("s3cr3t-value"));
    let id = made.recipients[0].id.to_string();
    let fields = [
        ("name", "Storm"),
        ("when", "many"),
        ("quantity", "50"),
        ("minutes", "10"),
        ("mail", "on"),
        ("id-0", id.as_str()),
        ("kind-0", "feishu"),
        ("url-0", "https://hooks.example.org/2"),
        ("secret-0", ""),
    ];
    submit(&client, &edit, &fields).await.expect(303);
    let changed = stored(&test, 2).await.unwrap();
    assert_eq!((changed.quantity, changed.timespan_minutes, changed.recipients.len()), (Some(50), Some(10), 2));
    let bot = changed.recipients.iter().find(|one| one.kind == RecipientKind::Feishu).unwrap();
    assert_eq!(bot.secret.as_ref().map(|secret| secret.expose().to_owned()).as_deref(), Some("s3cr3t-value"));
    assert!(client.get(ALERTS).await.text().contains("When an issue has 50 events within 10 min"));

    let csrf = token(&client.get(ALERTS).await);
    let press = async |path: &str, name: &str, value: &str| {
        client.post_form(&format!("{edit}{path}/"), &[("csrf", &csrf), (name, value)]).await
    };
    press("switch", "to", "off").await.expect(303);
    assert!(!stored(&test, 2).await.unwrap().is_enabled);
    assert_eq!(stored(&test, 2).await.unwrap().recipients, changed.recipients, "nothing else changed");
    press("switch", "to", "on").await.expect(303);
    press("switch", "to", "sideways").await.expect(400);
    press("delete", "", "").await.expect(303);
    press("delete", "", "").await.expect(404);
    assert!(stored(&test, 2).await.is_none());
}

#[tokio::test]
async fn every_service_is_offered_with_what_its_addresses_look_like() {
    let (test, client) = started().await;
    let new = format!("{ALERTS}new/");
    for (language, label) in [("en", "DingTalk bot"), ("zh-CN", "钉钉机器人")] {
        let page = client.with_header("accept-language", language).get(&new).await.expect(200).text();
        assert!(page.contains(label), "{page}");
        for kind in RecipientKind::ALL.into_iter().filter(|kind| *kind != RecipientKind::Email) {
            assert!(page.contains(&format!(r#"<option value="{}""#, kind.as_str())), "{kind:?}: {page}");
        }
        assert!(page.contains("https://oapi.dingtalk.com/robot/send?access_token=…"), "{page}");
    }
    let ntfy = [("kind-0", "ntfy"), ("url-0", "https://ntfy.sh/alerts"), ("secret-0", "tk_demo"), ("do", "save")];
    submit(&client, &new, &ntfy).await.expect(303);
    let made = stored(&test, 2).await.unwrap().recipients.remove(0);
    assert_eq!((made.kind, made.secret.is_some()), (RecipientKind::Ntfy, true));
    assert!(client.get(ALERTS).await.text().contains("with a token"));
}

#[tokio::test]
async fn webhooks_are_added_and_removed_without_a_script() {
    let (test, client) = started().await;
    let new = format!("{ALERTS}new/");
    let two =
        [("name", "Two"), ("kind-0", "webhook"), ("url-0", "http://a/"), ("kind-1", "generic"), ("url-1", "http://b/")];
    let with = |button: &'static str| [&two[..], &[("do", button)]].concat();
    let page = submit(&client, &new, &with("add")).await.expect(200).text();
    assert!(page.contains(r#"name="url-2""#) && page.contains("http://b/") && page.contains(r#"value="Two""#));
    let page = submit(&client, &new, &with("remove-0")).await.expect(200).text();
    assert!(!page.contains("http://a/") && page.contains(r#"name="url-0" value="http://b/""#), "{page}");
    assert!(stored(&test, 2).await.is_none(), "nothing is stored by these");
    submit(&client, &new, &[("kind-0", "pigeon"), ("url-0", "http://a/")]).await.expect(400);
    submit(&client, &new, &with("save")).await.expect(303);
    assert_eq!(stored(&test, 2).await.unwrap().recipients.len(), 2);
}

#[tokio::test]
async fn a_mistake_is_named_where_it_is_and_nothing_typed_is_lost() {
    let (test, client) = started().await;
    let new = format!("{ALERTS}new/");
    let long = "n".repeat(300);
    for (fields, says) in [
        (vec![("name", "Kept"), ("kind-0", "webhook"), ("url-0", "hooks.example.org")], "must begin with http://"),
        (vec![("name", "Kept"), ("kind-0", "feishu"), ("url-0", ""), ("secret-0", "x")], "has no address"),
        (
            vec![("name", "Kept"), ("kind-0", "webhook"), ("url-0", SLACK), ("kind-1", "webhook"), ("url-1", SLACK)],
            "there twice",
        ),
        (
            vec![("name", "Kept"), ("when", "many"), ("quantity", "many"), ("minutes", "5")],
            "number of events must be from",
        ),
        (vec![("name", "Kept"), ("when", "many"), ("quantity", "5"), ("minutes", "0")], "minutes must be a number"),
        (
            vec![("name", "Kept"), ("kind-0", "telegram"), ("url-0", "https://api.telegram.org/bot1:x/sendMessage")],
            "ends in ?chat_id=",
        ),
        (vec![("name", "Kept"), ("kind-0", "ntfy"), ("url-0", "https://ntfy.sh/")], "ends in the topic"),
        (vec![("name", &long)], "at most 255"),
    ] {
        let page = submit(&client, &new, &fields).await.expect(422).text();
        assert!(page.contains(says) && page.contains("Not saved"), "{says}: {page}");
        assert!(page.contains(fields[0].1), "{page}");
    }
    assert!(stored(&test, 2).await.is_none());
}

#[tokio::test]
async fn members_see_alerts_and_administrators_change_them() {
    let (test, admin) = started().await;
    submit(&admin, &format!("{ALERTS}new/"), &HOOK).await.expect(303);
    add_user(&test, "member@localhost", false).await;
    add_user(&test, "stranger@localhost", false).await;
    let found = user::find_by_email(&test.app.db, "member@localhost").await.unwrap().unwrap();
    member::upsert(&test.app.db, test.organization.id, found.id, Role::Member).await.unwrap();
    let client = sign_in(&test, "member@localhost").await;
    let page = client.get(ALERTS).await.expect(200);
    assert!(page.text().contains("https://hooks.example.org/…") && !page.text().contains("abcdefghijkl"));
    assert!(!page.text().contains("/switch/") && !page.text().contains("alerts/new/"));
    let csrf = token(&page);
    for path in ["new/", "2/"] {
        client.get(&format!("{ALERTS}{path}")).await.expect(404);
    }
    client.get("/projects/default/%00/alerts/").await.expect(404);
    for path in ["new/", "2/", "2/switch/", "2/delete/", "2/test/"] {
        let form = [("csrf", csrf.as_str()), ("to", "off"), ("recipient", "2"), ("name", "x")];
        client.post_form(&format!("{ALERTS}{path}"), &form).await.expect(404);
        admin.post_form(&format!("{ALERTS}{path}"), &form).await.expect(403);
    }
    sign_in(&test, "stranger@localhost").await.get(ALERTS).await.expect(404);
    assert!(stored(&test, 2).await.unwrap().is_enabled);
}

/// Starts the worker's job that sends test messages.
fn start_sender(test: &TestApp) -> Shutdown {
    let (app, shutdown) = (Arc::clone(&test.app), Shutdown::new());
    let requests = Consumer::connect(&app.config, Queue::Notify, "1").unwrap();
    let until = shutdown.clone();
    tokio::spawn(async move { runner::run(&app, KINDS, requests, 4, &until).await });
    shutdown
}

/// Presses "Send a test" and gives back the page after it, once the message is settled.
async fn press_test(client: &Client, alert: &Alert, recipient: &Recipient) -> String {
    let csrf = token(&client.get(ALERTS).await);
    let id = recipient.id.to_string();
    let form = [("csrf", csrf.as_str()), ("recipient", id.as_str())];
    let reply = client.post_form(&format!("{ALERTS}{}/test/", alert.id), &form).await.expect(303);
    assert_eq!(reply.header("location"), format!("{ALERTS}?test={id}"));
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let page = client.get(reply.header("location")).await.expect(200).text();
        if !page.contains("data-waiting") {
            return page;
        }
        assert!(Instant::now() < deadline, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_test_message_is_sent_and_shows_what_became_of_it() {
    let (mails, hooks) = (MailSink::start().await, WebhookSink::start().await);
    let mail_url = format!("smtp://127.0.0.1:{}", mails.port());
    let test = TestApp::start_with(&[("EMAIL_URL", &mail_url)]).await;
    add_user(&test, "admin@localhost", true).await;
    let client = sign_in(&test, "admin@localhost").await.with_header("accept-language", "zh-CN");
    let sender = start_sender(&test);
    let refusing = hooks.url("/refuse");
    let (wrong_key, teams) = (hooks.url("/wecom/key"), hooks.url("/teams"));
    let (signed, plain) = (hooks.url("/signed"), hooks.url("/500"));
    let fields = [
        ("name", "Bot"),
        ("mail", "on"),
        ("kind-0", "feishu"),
        ("url-0", refusing.as_str()),
        ("kind-1", "generic"),
        ("url-1", signed.as_str()),
        ("secret-1", "Jefe"),
        ("kind-2", "webhook"),
        ("url-2", plain.as_str()),
        ("kind-3", "webhook"),
        ("url-3", "http://127.0.0.1:9/closed-and-secret"),
        ("kind-4", "wecom"),
        ("url-4", wrong_key.as_str()),
        ("kind-5", "teams"),
        ("url-5", teams.as_str()),
    ];
    submit(&client, &format!("{ALERTS}new/"), &fields).await.expect(303);
    let alert = stored(&test, 2).await.unwrap();
    for (place, says) in
        [(0, "已送达"), (1, "HTTP 200"), (2, "已送达"), (3, "500"), (4, "未能送达"), (5, "HTTP 200"), (6, "已送达")]
    {
        let page = press_test(&client, &alert, &alert.recipients[place]).await;
        let main = page.split("<main").nth(1).unwrap();
        assert!(main.contains(says), "{place}: {main}");
        assert!(!main.contains("closed-and-secret"), "an address is as good as a password");
        assert!(
            !main.contains("sign match") && !main.contains("invalid webhook"),
            "what a stranger answers is not shown: {main}"
        );
    }
    let post = hooks.wait_for("/signed", 1).await.remove(0);
    assert_eq!(post.header("x-signature"), generic::signature("Jefe", &post.body));
    assert_eq!((&post.json()["kind"], &post.json()["project"]["slug"]), (&"test".into(), &"default".into()));
    // The mail goes to who asked, in their language, and to nobody else.
    let mail = mails.mails().remove(0);
    assert_eq!((mail.to.as_slice(), mails.mails().len()), (&["admin@localhost".to_owned()][..], 1));
    sender.stop();
}

#[tokio::test]
async fn a_test_message_that_nobody_sends_waits_and_is_asked_for_once() {
    let (test, client) = started().await;
    submit(&client, &format!("{ALERTS}new/"), &HOOK).await.expect(303);
    let id = stored(&test, 2).await.unwrap().recipients[0].id.to_string();
    let csrf = token(&client.get(ALERTS).await);
    let press = async |recipient: &str| {
        client.post_form(&format!("{ALERTS}2/test/"), &[("csrf", &csrf), ("recipient", recipient)]).await
    };
    press(&id).await.expect(303);
    assert!(client.get(&format!("{ALERTS}?test={id}")).await.text().contains("data-waiting"));
    assert!(alert_test::claim(&test.app.db).await.unwrap().is_some());
    press(&id).await.expect(303);
    assert!(alert_test::claim(&test.app.db).await.unwrap().is_none());
    press("1").await.expect(404);
    press("x").await.expect(400);
    client.get(&format!("{ALERTS}?test=99")).await.expect(200);
}

#[tokio::test]
async fn the_page_says_when_no_mail_is_sent() {
    let (_test, client) = started().await;
    for (language, says) in [("en", "EMAIL_URL is not set"), ("zh-CN", "未设置 EMAIL_URL")] {
        let client = client.with_header("accept-language", language);
        assert!(client.get(ALERTS).await.expect(200).text().contains(says));
        assert!(client.get(&format!("{ALERTS}1/")).await.expect(200).text().contains(says));
    }
    let test = TestApp::start_with(&[("EMAIL_URL", "consolemail://")]).await;
    add_user(&test, "admin@localhost", true).await;
    let client = sign_in(&test, "admin@localhost").await;
    assert!(!client.get(ALERTS).await.expect(200).text().contains("EMAIL_URL"));
}
