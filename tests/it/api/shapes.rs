//! The JSON of every resource, kept in snapshots.

use insta::assert_json_snapshot;

use super::seed::{ALL, Seed, client_of, join, member, new_user, redacted, store};
use crate::support::TestApp;
use glitchbox::store::member::Role;

/// Three events of one issue, one of another.
async fn filled() -> TestApp {
    let app = TestApp::start().await;
    let id = app.project.id;
    let first =
        |minutes| Seed::new(id, "ValueError: no money", minutes).environment("production").tag("browser", "Firefox");
    let seeds = [
        first(50).id(1).user("7"),
        first(40).id(2).user("8"),
        first(30).id(3).user("7"),
        Seed::new(id, "KeyError: apple", 20).id(4).environment("staging"),
    ];
    store(&app, &seeds).await;
    app
}

macro_rules! snapshot {
    ($app:expr, $client:expr, $($name:literal => $path:expr),+ $(,)?) => {
        $(
            let json = $client.get($path).await.expect(200).json();
            assert_json_snapshot!($name, redacted(&$app, &json));
        )+
    };
}

#[tokio::test]
async fn answers_are_data_and_for_nobody_elses_cache() {
    let app = filled().await;
    let client = member(&app).await;
    for (path, status) in [("/api/0/projects/", 200), ("/api/0/issues/1/events/latest/json/", 200), ("/api/0/no/", 404)]
    {
        let reply = client.get(path).await.expect(status);
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("cache-control"), "private, no-store", "{path}");
    }
    client.get("/api/0/organizations/default/issues/?start=-262000-01-01").await.expect(400);
}

#[tokio::test]
async fn root_and_accounts() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    snapshot!(app, app.client(), "root_stranger" => "/api/0/");
    snapshot!(app, client,
        "root_member" => "/api/0/",
        "auth" => "/api/0/auth/",
        "regions" => "/api/0/users/me/regions/",
    );
    assert_eq!(client.get("/api/0/users/me/").await.json(), client.get("/api/0/auth").await.json());
}

#[tokio::test]
async fn organizations_projects_and_keys() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    snapshot!(app, client,
        "organizations" => "/api/0/organizations/",
        "organization" => "/api/0/organizations/default/",
        "projects" => "/api/0/organizations/1/projects/",
        "project" => "/api/0/projects/default/1/",
        "keys" => "/api/0/projects/1/default/keys/",
    );
    assert_eq!(
        client.get("/api/0/projects/").await.json(),
        client.get("/api/0/organizations/default/projects").await.json()
    );
    let key = format!("/api/0/projects/default/default/keys/{}/", app.key.public_key);
    assert_eq!(client.get(&key).await.json(), client.get("/api/0/projects/default/default/keys/").await.json()[0]);
}

#[tokio::test]
async fn keys_are_made_and_switched_off() {
    let app = TestApp::start().await;
    let user = new_user(&app, "admin@example.org", false).await;
    join(&app, app.organization.id, user, Role::Admin).await;
    let client = client_of(&app, user, ALL).await;
    let keys = "/api/0/projects/default/default/keys/";
    let made = client.post_json(keys, &serde_json::json!({ "name": "Phone" })).await.expect(201).json();
    assert_eq!((made["name"].as_str(), made["isActive"].as_bool()), (Some("Phone"), Some(true)));
    let path = format!("{keys}{}/", made["id"].as_str().unwrap());
    let off = client.put_json(&path, &serde_json::json!({ "isActive": false })).await.expect(200).json();
    assert_eq!(off["isActive"], false);
    assert_eq!(client.get(&path).await.json(), off);
    assert_eq!(client.get(keys).await.json().as_array().unwrap().len(), 2);
    client.put_json(&path, &serde_json::json!({})).await.expect(400);
    client.put_json(&path, &serde_json::json!({ "isActive": "no" })).await.expect(400);
    client.get(&format!("{keys}unknown/")).await.expect(404);
}

#[tokio::test]
async fn issues_events_and_tags() {
    let app = filled().await;
    let client = member(&app).await;
    snapshot!(app, client,
        "issues" => "/api/0/organizations/default/issues/",
        "issue" => "/api/0/issues/1/",
        "short_id" => "/api/0/organizations/default/shortids/default-1/",
        "tags" => "/api/0/issues/1/tags/",
        "environments" => "/api/0/projects/default/default/environments/",
        "events" => "/api/0/issues/2/events/",
        "event_latest" => "/api/0/issues/1/events/latest/",
    );
    let same = [
        ("/api/0/issues/1/", "/api/0/organizations/default/issues/DEFAULT-1/"),
        ("/api/0/issues/1/events/", "/api/0/organizations/1/issues/1/events"),
        ("/api/0/issues/1/events/latest/", "/api/0/issues/1/events/00000000000000000000000000000003/"),
        ("/api/0/issues/1/events/latest/", "/api/0/issues/1/events/00000000-0000-0000-0000-000000000003/"),
        ("/api/0/issues/1/events/latest/", "/api/0/projects/default/default/events/00000000000000000000000000000003/"),
        ("/api/0/issues/1/events/oldest/", "/api/0/issues/1/events/00000000000000000000000000000001/"),
        ("/api/0/projects/default/default/environments/", "/api/0/organizations/default/environments/"),
    ];
    for (one, other) in same {
        assert_eq!(
            client.get(one).await.expect(200).json(),
            client.get(other).await.expect(200).json(),
            "{one} {other}"
        );
    }
    // Of another issue, of none, and no id at all.
    for id in ["00000000000000000000000000000004", "00000000000000000000000000000009", "x"] {
        client.get(&format!("/api/0/issues/1/events/{id}/")).await.expect(404);
    }
    assert_eq!(
        client.get("/api/0/issues/1/tags/browser/").await.json(),
        client.get("/api/0/issues/1/tags/").await.json()[0]
    );
    client.get("/api/0/issues/1/tags/nothing/").await.expect(404);
}

#[tokio::test]
async fn events_know_their_neighbours_and_their_bytes() {
    let app = filled().await;
    let client = member(&app).await;
    let neighbours = async |id: u8| {
        let event = client.get(&format!("/api/0/issues/1/events/{id:032}/")).await.expect(200).json();
        ["previousEventID", "nextEventID"]
            .map(|side| event[side].as_str().map(|id| id.trim_start_matches('0').to_owned()))
    };
    let id = |id: &str| Some(id.to_owned());
    assert_eq!(neighbours(1).await, [None, id("2")]);
    assert_eq!(neighbours(2).await, [id("1"), id("3")]);
    assert_eq!(neighbours(3).await, [id("2"), None]);

    let raw = client.get("/api/0/organizations/default/issues/1/events/latest/json/").await.expect(200);
    assert_eq!(raw.header("content-type"), "application/json");
    assert_eq!(raw.json()["exception"]["values"][0]["type"], "ValueError");
    let same = client.get("/api/0/projects/default/default/events/00000000000000000000000000000003/json").await;
    assert_eq!(same.body, raw.body);
    let full = client.get("/api/0/projects/default/default/events/?full=true").await.expect(200).json();
    assert_eq!(full[0]["entries"][0]["type"], "exception");
}
