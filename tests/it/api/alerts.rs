//! Alerts over the API: their shape, who may do what, and what is refused.

use glitchbox::ids::AlertId;
use glitchbox::store::alert;
use glitchbox::store::member::Role;
use serde_json::{Value, json};

use super::seed::{ALL, client_of, join, member, new_project, new_user};
use crate::support::{Client, TestApp};

const ALERTS: &str = "/api/0/projects/default/default/alerts/";
const SLACK: &str = "https://hooks.example.org/services/T0001/B0002/abcdefghijkl";

/// An administrator's client, with every scope that alerts take.
async fn admin(app: &TestApp) -> Client {
    let user = new_user(app, "admin@example.org", false).await;
    join(app, app.organization.id, user, Role::Admin).await;
    client_of(app, user, &["project:admin"]).await
}

async fn delete(client: &Client, path: &str) -> u16 {
    client.send("DELETE", path, &[], bytes::Bytes::new()).await.status
}

/// The one stored secret of an alert's first recipient.
async fn secret(app: &TestApp, id: i64) -> Option<String> {
    let alert = alert::find(&app.app.db, app.project.id, AlertId(id)).await.unwrap().unwrap();
    alert.recipients[0].secret.as_ref().map(|secret| secret.expose().to_owned())
}

#[tokio::test]
async fn a_new_project_mails_its_members_of_new_issues() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    let list = client.get(ALERTS).await.expect(200).json();
    let expected = json!([{
        "id": 1, "name": "New issues", "timespanMinutes": null, "quantity": null, "uptime": false, "isEnabled": true,
        "alertRecipients": [{ "id": 1, "recipientType": "email", "url": "", "hasSecret": false, "tagsToAdd": [] }],
    }]);
    assert_eq!(list, expected);
    assert_eq!(client.get(&format!("{ALERTS}1/")).await.expect(200).json(), expected[0]);
    assert_eq!(client.get("/api/0/projects/1/default/alerts").await.expect(200).json(), expected);
    for unknown in ["2/", "0/", "x/", "99999999999999999999/"] {
        client.get(&format!("{ALERTS}{unknown}")).await.expect(404);
    }
}

#[tokio::test]
async fn alerts_are_made_changed_and_deleted() {
    let app = TestApp::start().await;
    let client = admin(&app).await;
    let body = json!({
        "name": "Storm", "timespanMinutes": 60, "quantity": 100, "uptime": false,
        "alertRecipients": [
            { "recipientType": "email", "url": "", "tagsToAdd": [] },
            { "recipientType": "webhook", "url": SLACK },
        ],
    });
    let made = client.post_json(ALERTS, &body).await.expect(201).json();
    assert_eq!((&made["name"], &made["timespanMinutes"], &made["quantity"]), (&body["name"], &json!(60), &json!(100)));
    assert_eq!(made["alertRecipients"][1]["url"], SLACK);
    let path = format!("{ALERTS}{}/", made["id"]);
    assert_eq!(client.get(&path).await.expect(200).json(), made);

    // What is not named stays, recipients and their numbers too.
    let off = client.put_json(&path, &json!({ "isEnabled": false })).await.expect(200).json();
    assert_eq!((&off["isEnabled"], &off["quantity"]), (&json!(false), &json!(100)));
    assert_eq!(off["alertRecipients"], made["alertRecipients"]);

    let change = json!({
        "name": null, "timespanMinutes": null, "quantity": null,
        "alertRecipients": [{ "recipientType": "webhook", "url": SLACK }],
    });
    let changed = client.put_json(&path, &change).await.expect(200).json();
    assert_eq!((&changed["name"], &changed["timespanMinutes"]), (&json!(""), &Value::Null));
    assert_eq!(changed["alertRecipients"], json!([made["alertRecipients"][1]]));
    let nobody = client.put_json(&path, &json!({ "alertRecipients": null })).await.expect(200).json();
    assert_eq!(nobody["alertRecipients"], json!([]));

    assert_eq!(delete(&client, &path).await, 204);
    assert_eq!(delete(&client, &path).await, 404);
    client.put_json(&path, &json!({})).await.expect(404);
}

#[tokio::test]
async fn secrets_go_in_and_never_come_out() {
    let app = TestApp::start().await;
    let client = admin(&app).await;
    let bot = |more: Value| {
        let mut recipient = json!({ "recipientType": "feishu", "url": "https://open.example.org/hook/1" });
        recipient.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "alertRecipients": [recipient] })
    };
    let made = client.post_json(ALERTS, &bot(json!({ "secret": "s3cr3t-value" }))).await.expect(201);
    assert!(!made.text().contains("s3cr3t-value"));
    let made = made.json();
    assert_eq!(made["alertRecipients"][0]["hasSecret"], true);
    let (id, path) = (made["id"].as_i64().unwrap(), format!("{ALERTS}{}/", made["id"]));
    assert_eq!(secret(&app, id).await.as_deref(), Some("s3cr3t-value"));

    // It stays when nothing is said of it, with a new address too when the recipient is named.
    client.put_json(&path, &bot(json!({}))).await.expect(200);
    assert_eq!(secret(&app, id).await.as_deref(), Some("s3cr3t-value"));
    let moved = json!({ "id": made["alertRecipients"][0]["id"], "url": "https://open.example.org/hook/2" });
    let moved = client.put_json(&path, &bot(moved)).await.expect(200).json();
    assert_eq!(moved["alertRecipients"][0]["url"], "https://open.example.org/hook/2");
    assert_eq!(secret(&app, id).await.as_deref(), Some("s3cr3t-value"));
    let gone = client.put_json(&path, &bot(json!({ "url": "https://open.example.org/hook/2", "secret": "" }))).await;
    assert_eq!(gone.expect(200).json()["alertRecipients"][0]["hasSecret"], false);
    assert_eq!(secret(&app, id).await, None);
}

#[tokio::test]
async fn members_read_and_administrators_change() {
    let app = TestApp::start().await;
    let root = admin(&app).await;
    let hook = json!({ "name": "Hook", "alertRecipients": [{ "recipientType": "webhook", "url": SLACK }] });
    let path = format!("{ALERTS}{}/", root.post_json(ALERTS, &hook).await.expect(201).json()["id"]);

    for (role, scopes, status) in [
        (Role::Member, ALL, 403),
        (Role::Admin, &["project:read"][..], 403),
        (Role::Admin, &["project:write"], 200),
        (Role::Owner, &["project:write"], 200),
    ] {
        let user = new_user(&app, &format!("{}-{}@example.org", role.as_str(), scopes.len() + status), false).await;
        join(&app, app.organization.id, user, role).await;
        let client = client_of(&app, user, scopes).await;
        let shown = client.get(&path).await.expect(200).json()["alertRecipients"][0]["url"].clone();
        let whole = if status == 200 { SLACK } else { "https://hooks.example.org/…ijkl" };
        assert_eq!(shown, whole, "{role:?} {scopes:?}");
        assert_eq!(client.get(ALERTS).await.expect(200).json()[1]["alertRecipients"][0]["url"], shown);
        client.put_json(&path, &json!({ "name": "Hook" })).await.expect(status.try_into().unwrap());
        let created = client.post_json(ALERTS, &json!({})).await.status;
        assert_eq!(created, if status == 200 { 201 } else { 403 });
        assert_eq!(delete(&client, &path).await, 403, "deleting takes project:admin");
    }

    let stranger = new_user(&app, "stranger@example.org", false).await;
    let stranger = client_of(&app, stranger, &["project:admin"]).await;
    for path in [ALERTS, &path] {
        stranger.get(path).await.expect(404);
        app.client().get(path).await.expect(401);
    }
    stranger.post_json(ALERTS, &json!({})).await.expect(404);
    assert_eq!(delete(&stranger, &path).await, 404);
    // Another project's alert is not this one's.
    new_project(&app, app.organization.id, "other").await;
    let elsewhere = path.replace("default/default", "default/other");
    root.get(&elsewhere).await.expect(404);
    root.put_json(&elsewhere, &json!({ "name": "mine" })).await.expect(404);
    assert_eq!(delete(&root, &elsewhere).await, 404);
    assert_eq!(delete(&root, &path).await, 204);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_fields_name() {
    let app = TestApp::start().await;
    let client = admin(&app).await;
    let hook = |recipient: Value| json!({ "alertRecipients": [recipient] });
    let webhook = |url: &str| hook(json!({ "recipientType": "webhook", "url": url }));
    for (body, named) in [
        (json!({ "name": 7 }), "`name`"),
        (json!({ "name": "a\0" }), "`name`"),
        (json!({ "name": "n".repeat(256) }), "`name`"),
        (json!({ "quantity": 5 }), "`timespanMinutes` and `quantity`"),
        (json!({ "timespanMinutes": 5 }), "`timespanMinutes` and `quantity`"),
        (json!({ "timespanMinutes": 0, "quantity": 5 }), "`timespanMinutes`"),
        (json!({ "timespanMinutes": "5", "quantity": 5 }), "`timespanMinutes`"),
        (json!({ "timespanMinutes": 5, "quantity": 1.5 }), "`quantity`"),
        (json!({ "timespanMinutes": 5, "quantity": u64::MAX }), "`quantity`"),
        (json!({ "uptime": true }), "`uptime`"),
        (json!({ "isEnabled": "yes" }), "`isEnabled`"),
        (json!({ "alertRecipients": {} }), "`alertRecipients`"),
        (hook(json!("email")), "`alertRecipients[0]`"),
        (hook(json!({})), "`alertRecipients[0].recipientType`"),
        (
            hook(json!({ "recipientType": "pigeon" })),
            "email, webhook, feishu, dingtalk, wecom, discord, teams, telegram, ntfy, generic",
        ),
        (hook(json!({ "recipientType": "webhook" })), "`alertRecipients[0].url` is missing"),
        (hook(json!({ "recipientType": "email", "url": "a@example.org" })), "`alertRecipients[0].url`"),
        (hook(json!({ "recipientType": "webhook", "url": SLACK, "secret": "x" })), "`alertRecipients[0].secret`"),
        (hook(json!({ "recipientType": "webhook", "url": SLACK, "tagsToAdd": ["a"] })), "tagsToAdd"),
        (webhook("hooks.example.org/x"), "`alertRecipients[0].url`"),
        (webhook("ftp://hooks.example.org/x"), "`alertRecipients[0].url`"),
        (webhook("http://hooks.example.org/\r\nX: y"), "`alertRecipients[0].url`"),
        (webhook(&format!("http://a/{}", "x".repeat(2000))), "`alertRecipients[0].url`"),
        (json!({ "alertRecipients": vec![json!({ "recipientType": "email" }); 21] }), "at most 20"),
        (json!({ "alertRecipients": vec![json!({ "recipientType": "email" }); 2] }), "`alertRecipients[1]"),
    ] {
        for reply in [
            client.post_json(ALERTS, &body).await.expect(400),
            client.put_json(&format!("{ALERTS}1/"), &body).await.expect(400),
        ] {
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(named), "{body}: {detail}");
        }
    }
    client.post(ALERTS, &[], "[1]").await.expect(400);
    assert_eq!(client.get(ALERTS).await.json().as_array().unwrap().len(), 1, "nothing was stored");
}

#[tokio::test]
async fn a_project_has_a_bounded_number_of_alerts() {
    let app = TestApp::start().await;
    let client = admin(&app).await;
    for _ in 1..alert::MAX_ALERTS {
        client.post_json(ALERTS, &json!({})).await.expect(201);
    }
    let refused = client.post_json(ALERTS, &json!({})).await.expect(400);
    assert!(refused.text().contains("at most"), "{}", refused.text());
}
