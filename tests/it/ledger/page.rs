//! `/usage/`: the page.

use chrono::{TimeDelta, Utc};
use glitchbox::ids::EventId;
use glitchbox::store::canary_run::{self, CanaryRun};
use glitchbox::store::organization;
use glitchbox::store::outcome::Outcome;
use glitchbox::store::user::{self, UserChange};

use super::{count, reject};
use crate::api::seed::new_project;
use crate::support::{Client, TestApp};
use crate::web::{add_user, sign_in};

async fn page(client: &Client, path: &str) -> String {
    client.get(path).await.expect(200).text()
}

async fn arrive(app: &TestApp, age: TimeDelta) {
    let sent_at = Utc::now() - age;
    let run = CanaryRun { id: uuid::Uuid::now_v7(), sent_at, stored_at: sent_at + TimeDelta::milliseconds(12) };
    canary_run::insert(&app.app.db, &[run]).await.unwrap();
}

#[tokio::test]
async fn it_shows_what_became_of_what_was_sent() {
    let app = TestApp::start().await;
    add_user(&app, "admin@localhost", true).await;
    let client = sign_in(&app, "admin@localhost").await;
    let empty = page(&client, "/usage/").await;
    for text in ["The ledger balances.", "Nothing was sent in this period.", "No test item has come through"] {
        assert!(empty.contains(text), "{text}: {empty}");
    }

    let (now, id) = (Utc::now(), app.project.id);
    let event = EventId::random();
    for (entry, quantity) in [
        (("error", Outcome::Accepted, ""), 1_250),
        (("error", Outcome::Stored, ""), 1_234),
        (("error", Outcome::Filtered, "duplicate"), 10),
        (("error", Outcome::RateLimited, "key_quota"), 77),
        (("error", Outcome::Discarded, "before_send"), 88),
    ] {
        count(&app, id, now, entry, quantity).await;
    }
    reject(&app, event, now, "malformed", "not <b>JSON</b>").await;
    arrive(&app, TimeDelta::seconds(20)).await;
    let full = page(&client, "/usage/").await;
    for text in [
        "1,250",
        "1,234",
        "duplicate",
        "key_quota",
        "before_send",
        "malformed",
        "not &lt;b&gt;JSON&lt;/b&gt;",
        &event.to_string(),
        "but for 5 items on their way",
        "12 ms",
        "queue now: 0",
        "aria-current=\"page\"",
    ] {
        assert!(full.contains(text), "{text}: {full}");
    }
    assert!(!full.contains("note warn") && !full.contains("note bad"), "{full}");
    for period in ["7d", "30d"] {
        assert!(page(&client, &format!("/usage/?period={period}&project={id}")).await.contains("1,234"));
    }
    client.get("/usage/?period=2d").await.expect(400);
    client.get("/usage/?project=999").await.expect(404);
    client.get("/usage/?organization=nothing").await.expect(404);
    client.get("/usage").await.expect(308);
}

#[tokio::test]
async fn it_speaks_chinese() {
    let app = TestApp::start().await;
    add_user(&app, "admin@localhost", true).await;
    let client = sign_in(&app, "admin@localhost").await;
    let admin = user::find_by_email(&app.app.db, "admin@localhost").await.unwrap().unwrap();
    user::update(&app.app.db, admin.id, UserChange { language: Some("zh-CN"), ..UserChange::default() }).await.unwrap();
    count(&app, app.project.id, Utc::now(), ("error", Outcome::Stored, ""), 3).await;
    let shown = page(&client, "/usage/").await;
    for text in ["用量", "账目平衡。", "已存储", "近 24 小时", "另有 3 条较早的数据"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
}

#[tokio::test]
async fn what_does_not_add_up_and_what_does_not_arrive_is_said() {
    let app = TestApp::start().await;
    add_user(&app, "admin@localhost", true).await;
    let client = sign_in(&app, "admin@localhost").await;
    let (long_ago, id) = (Utc::now() - TimeDelta::hours(5), app.project.id);
    let accepted = ("error", Outcome::Accepted, "");
    count(&app, id, long_ago, accepted, 10).await;
    count(&app, id, long_ago, ("error", Outcome::Stored, ""), 7).await;
    arrive(&app, TimeDelta::minutes(6)).await;
    let missing = page(&client, "/usage/").await;
    for text in
        ["The ledger does not balance.", "3 items accepted more than an hour ago", "No test item has arrived for 5"]
    {
        assert!(missing.contains(text), "{text}: {missing}");
    }
    count(&app, id, long_ago, ("error", Outcome::Filtered, "duplicate"), 4).await;
    let surplus = page(&client, "/usage/").await;
    assert!(surplus.contains("note bad") && surplus.contains("1 item more is settled"), "{surplus}");
    // As before the edge counted: nothing to compare with.
    count(&app, id, long_ago, accepted, 1).await;
    count(&app, id, long_ago - TimeDelta::hours(2), ("error", Outcome::Stored, ""), 30).await;
    let older = page(&client, "/usage/").await;
    assert!(older.contains("The ledger balances.") && older.contains("41 older items"), "{older}");
}

#[tokio::test]
async fn everybody_sees_their_own_organizations() {
    let app = TestApp::start().await;
    let other = organization::insert(&app.app.db, "other", "Other Ltd").await.unwrap();
    let hidden = new_project(&app, other.id, "hidden").await;
    count(&app, hidden, Utc::now(), ("error", Outcome::Stored, ""), 4_321).await;
    add_user(&app, "in@example.org", false).await;
    let stranger = sign_in(&app, "in@example.org").await;
    assert!(page(&stranger, "/usage/").await.contains("No projects"));
    let user = user::find_by_email(&app.app.db, "in@example.org").await.unwrap().unwrap();
    crate::api::seed::join(&app, app.organization.id, user.id, glitchbox::store::member::Role::Member).await;
    let own = page(&stranger, "/usage/").await;
    assert!(!own.contains("4,321") && !own.contains("queue now"), "the queue is everybody's: {own}");
    stranger.get("/usage/?organization=other").await.expect(404);
    stranger.get(&format!("/usage/?project={hidden}")).await.expect(404);
    add_user(&app, "root@example.org", true).await;
    let root = sign_in(&app, "root@example.org").await;
    assert!(page(&root, "/usage/?organization=other").await.contains("4,321"));
    assert_eq!(app.client().get("/usage/").await.expect(303).header("location"), "/login/?next=%2Fusage%2F");
}
