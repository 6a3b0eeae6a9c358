//! Setting limits: by the API, on the command line, on a page.

use std::process::Command;

use glitchbox::store::member::Role;
use glitchbox::store::rate_limit::{self, Allowance, Covers, Target};
use glitchbox::store::user;
use serde_json::{Value, json};

use super::{EVENT, hour, limit, send};
use crate::api::seed::{ALL, client_of, join, new_user};
use crate::support::{Client, TestApp};
use crate::web::{add_user, sign_in, token};

const PAGE: &str = "/projects/default/default/limits/";

async fn admin(app: &TestApp) -> Client {
    let user = new_user(app, "admin@example.org", false).await;
    join(app, app.organization.id, user, Role::Admin).await;
    client_of(app, user, &["org:write", "project:write"]).await
}

#[tokio::test]
async fn a_key_has_a_rate_limit() {
    let app = TestApp::start().await;
    let client = admin(&app).await;
    let keys = "/api/0/projects/default/default/keys/";
    let path = format!("{keys}{}/", app.key.public_key);
    assert_eq!(client.get(&path).await.expect(200).json()["rateLimit"], Value::Null);
    let limit = json!({ "window": 7200, "count": 1000 });
    let changed = client.put_json(&path, &json!({ "rateLimit": limit })).await.expect(200).json();
    assert_eq!((&changed["rateLimit"], &changed["isActive"]), (&limit, &json!(true)));
    assert_eq!(client.get(keys).await.json()[0]["rateLimit"], limit);
    // What is not named stays.
    let changed = client.put_json(&path, &json!({ "isActive": false, "name": "Shop" })).await.expect(200).json();
    assert_eq!(
        (&changed["rateLimit"], &changed["name"], &changed["isActive"]),
        (&limit, &json!("Shop"), &json!(false))
    );
    for wrong in [
        json!({ "rateLimit": { "window": 0, "count": 5 } }),
        json!({ "rateLimit": { "window": 60 } }),
        json!({ "rateLimit": { "window": 60, "count": -1 } }),
        json!({ "rateLimit": { "window": 2_678_401, "count": 1 } }),
        json!({ "rateLimit": "many" }),
        json!({}),
    ] {
        client.put_json(&path, &wrong).await.expect(400);
    }
    assert_eq!(client.get(&path).await.json()["rateLimit"], limit);
    for nothing in [json!(null), json!({ "window": 0, "count": 0 }), json!({ "window": null, "count": null })] {
        client.put_json(&path, &json!({ "rateLimit": limit })).await.expect(200);
        let changed = client.put_json(&path, &json!({ "rateLimit": nothing })).await.expect(200).json();
        assert_eq!(changed["rateLimit"], Value::Null);
    }
    let made = client.post_json(keys, &json!({ "name": "Limited", "rateLimit": limit })).await.expect(201).json();
    assert_eq!(made["rateLimit"], limit);
}

#[tokio::test]
async fn what_cannot_be_done_whole_is_not_done_in_part() {
    let app = TestApp::start().await;
    let client = admin(&app).await;
    for refused in
        ["alter table project_key add check (label <> 'no')", "alter table rate_limit add check (quantity <> 7)"]
    {
        sqlx::query(refused).execute(app.database.pool()).await.unwrap();
    }
    let keys = "/api/0/projects/default/default/keys/";
    let limit = |count: u32| json!({ "window": 60, "count": count });
    let path = format!("{keys}{}/", app.key.public_key);
    client.put_json(&path, &json!({ "rateLimit": limit(5), "name": "no" })).await.expect(500);
    assert_eq!(client.get(&path).await.json()["rateLimit"], Value::Null);
    client.post_json(keys, &json!({ "name": "New", "rateLimit": limit(7) })).await.expect(500);
    assert_eq!(client.get(keys).await.json().as_array().unwrap().len(), 1);
    let limits = "/api/0/projects/default/default/limits/";
    let all = json!({ "category": "all", "count": 9, "window": 60 });
    client.put_json(limits, &json!({ "limits": [all] })).await.expect(200);
    let both = json!([
        { "category": "error", "count": 3, "window": 60 },
        { "category": "all", "count": 7, "window": 60 },
    ]);
    client.put_json(limits, &json!({ "limits": both })).await.expect(500);
    let left = client.get(limits).await.json()["limits"].take();
    assert_eq!((&left[0]["category"], left.as_array().unwrap().len()), (&json!("all"), 1));
}

#[tokio::test]
async fn projects_and_organizations_have_limits_of_events_and_of_everything() {
    hour().await;
    let app = TestApp::start().await;
    let client = admin(&app).await;
    for path in ["/api/0/projects/default/default/limits/", "/api/0/organizations/default/limits/"] {
        assert_eq!(client.get(path).await.expect(200).json(), json!({ "limits": [] }));
        let limits = json!([
            { "category": "all", "count": 100, "window": 2_678_400 },
            { "category": "error", "count": 5, "window": 3600 },
        ]);
        let set = client.put_json(path, &json!({ "limits": limits })).await.expect(200).json();
        assert_eq!(set["limits"][0]["category"], "error");
        assert_eq!((&set["limits"][1]["window"], &set["limits"][1]["used"]), (&json!(2_678_400), &json!(0)));
        for wrong in [
            json!({ "limits": [{ "category": "transaction", "count": 1, "window": 60 }] }),
            json!({ "limits": [{ "category": "all", "count": 0, "window": 60 }] }),
            json!({ "limits": [limits[0], limits[0]] }),
            json!({}),
        ] {
            client.put_json(path, &wrong).await.expect(400);
        }
        assert_eq!(client.get(path).await.json()["limits"].as_array().unwrap().len(), 2);
        let one = client.put_json(path, &json!({ "limits": [limits[1]] })).await.expect(200).json();
        assert_eq!(one["limits"].as_array().unwrap().len(), 1);
    }
    send(&app, EVENT).await.expect(200);
    send(&app, EVENT).await.expect(200);
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let limits = client.get("/api/0/organizations/default/limits/").await.json();
    assert_eq!(limits["limits"][0]["used"], 2);

    let member = new_user(&app, "member@example.org", false).await;
    join(&app, app.organization.id, member, Role::Member).await;
    let member = client_of(&app, member, ALL).await;
    for path in ["projects/default/default", "organizations/default"] {
        member.put_json(&format!("/api/0/{path}/limits/"), &json!({ "limits": [] })).await.expect(403);
    }
}

#[tokio::test]
async fn limits_are_set_on_the_command_line() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glitchbox"));
        command.arg("limit").args(arguments).env_clear().env("DATABASE_URL", app.database.url());
        let output = command.env("DATA_DIR", folder.path()).output().unwrap();
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let json = |arguments: &[&str]| -> Value {
        let (done, text) = run(&[arguments, &["--json"]].concat());
        assert!(done, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let dsn = app.dsn();
    let set = json(&["set", "--key", &dsn, "--count", "10", "--window", "60"]);
    assert_eq!(
        (&set["scope"], &set["name"], &set["category"]),
        (&json!("key"), &json!(app.key.public_key), &json!("error"))
    );
    let set = json(&["set", "--org", "default", "--category", "all", "--count", "5", "--window", "31d"]);
    assert_eq!((&set["scope"], &set["window"]), (&json!("organization"), &json!(2_678_400)));
    let project = ["set", "--project", "default", "--org", "default", "--count", "7", "--window", "1h"];
    assert!(run(&project).1.contains("project default: at most 7 events in 3600 s"));
    assert_eq!(json(&["list"]).as_array().unwrap().len(), 3);
    assert_eq!(json(&["list", "--project", "default"])[0]["count"], 7);
    assert!(run(&["list"]).1.starts_with("SCOPE"));
    // A second one of the same kind takes the first one's place.
    json(&["set", "--project", "default", "--count", "8", "--window", "1h"]);
    assert_eq!(json(&["list"]).as_array().unwrap().len(), 3);
    for (wrong, says) in [
        (&["set", "--count", "1", "--window", "60"][..], "--key, --project or --org"),
        (&["set", "--org", "default", "--count", "0", "--window", "60"], "at least 1"),
        (&["set", "--org", "default", "--count", "1", "--window", "32d"], "2678400"),
        (&["set", "--org", "none", "--count", "1", "--window", "60"], "no organization `none`"),
        (&["set", "--key", "x", "--org", "default", "--count", "1", "--window", "60"], "cannot be used with"),
        (&["clear"], "--key, --project or --org"),
    ] {
        let (done, text) = run(wrong);
        assert!(!done && text.contains(says), "{wrong:?}: {text}");
    }
    assert_eq!(json(&["clear", "--org", "default", "--category", "error"]), json!([]));
    assert_eq!(json(&["clear", "--org", "default"])[0]["category"], "all");
    assert_eq!(json(&["list"]).as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_page_shows_sets_and_clears_them() {
    let app = TestApp::start().await;
    add_user(&app, "admin@localhost", true).await;
    let client = sign_in(&app, "admin@localhost").await;
    let page = client.get(PAGE).await.expect(200);
    assert!(page.text().contains("No limits"));
    let csrf = token(&page);
    let key = format!("key-{}", app.key.id);
    let fields = |target: &str, count: &str, window: &str, unit: &str| {
        [
            ("csrf", &*csrf),
            ("target", target),
            ("category", "error"),
            ("count", count),
            ("window", window),
            ("unit", unit),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    };
    let submit = async |fields: [(&'static str, String); 6]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client.post_form(PAGE, &fields).await
    };
    let saved = submit(fields(&key, "1000", "5", "60")).await.expect(303);
    assert_eq!(saved.header("location"), format!("{PAGE}?done=saved"));
    submit(fields("organization", "1000000", "30", "86400")).await.expect(303);
    let page = client.get(PAGE).await.text();
    for shown in ["1,000 in 5 minutes", "1,000,000 in 30 days", "Organization Default", "Key Default", "<meter"] {
        assert!(page.contains(shown), "{shown} is missing in {page}");
    }
    for wrong in
        [fields("project", "0", "5", "60"), fields("project", "1", "32", "86400"), fields("project", "x", "", "")]
    {
        let page = submit(wrong).await.expect(422).text();
        assert!(page.contains("The number must be at least 1"), "{page}");
    }
    submit(fields("key-999", "1", "1", "1")).await.expect(400);
    let stored = rate_limit::list_of_target(&app.app.db, Target::Key(app.key.id)).await.unwrap();
    assert_eq!(stored[0].allowance, Allowance { quantity: 1000, window_s: 300 });
    let clear = [("csrf", csrf.as_str()), ("target", &key), ("category", "error")];
    client.post_form(&format!("{PAGE}clear/"), &clear).await.expect(303);
    assert_eq!(rate_limit::list(&app.app.db, 10).await.unwrap().len(), 1);
    // Members look, and change nothing.
    limit(&app, Target::Project(app.project.id), Covers::All, 5, 60).await;
    add_user(&app, "member@localhost", false).await;
    let member = user::find_by_email(&app.app.db, "member@localhost").await.unwrap().unwrap();
    join(&app, app.organization.id, member.id, Role::Member).await;
    let client = sign_in(&app, "member@localhost").await;
    let page = client.get(PAGE).await.expect(200);
    assert!(page.text().contains("Items of every kind") && !page.text().contains("limit-form"));
    let csrf = token(&client.get("/settings/").await);
    let clear = [("csrf", csrf.as_str()), ("target", "project"), ("category", "all")];
    client.post_form(&format!("{PAGE}clear/"), &clear).await.expect(404);
}
