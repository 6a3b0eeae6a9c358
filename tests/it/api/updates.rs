//! Resolving, ignoring and reopening.

use serde_json::json;

use super::seed::{Seed, fields, member, new_project, store};
use crate::support::{Client, TestApp};

async fn status(client: &Client, issue: u32) -> String {
    client.get(&format!("/api/0/issues/{issue}/")).await.expect(200).json()["status"].as_str().unwrap().to_owned()
}

/// Issues 1 and 2 in the first project, 3 in another.
async fn filled() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let other = new_project(&app, app.organization.id, "web").await;
    let id = app.project.id;
    store(&app, &[Seed::new(id, "A: a", 3), Seed::new(id, "B: b", 2), Seed::new(other, "C: c", 1)]).await;
    let client = member(&app).await;
    (app, client)
}

#[tokio::test]
async fn one_issue_through_every_status() {
    let (app, client) = filled().await;
    for (path, name, expected) in [
        ("/api/0/issues/1/", "resolved", "resolved"),
        ("/api/0/organizations/default/issues/1/", "unresolved", "unresolved"),
        ("/api/0/issues/1", "muted", "ignored"),
        ("/api/0/organizations/default/issues/DEFAULT-1/", "archived", "ignored"),
        ("/api/0/issues/1/", "ignored", "ignored"),
    ] {
        let reply = client.put_json(path, &json!({ "status": name, "snoozeDuration": null })).await.expect(200).json();
        assert_eq!((reply["id"].as_str(), reply["status"].as_str()), (Some("1"), Some(expected)));
    }
    assert_eq!(status(&client, 2).await, "unresolved");

    client.put_json("/api/0/issues/1/", &json!({ "status": "resolved" })).await.expect(200);
    store(&app, &[Seed::new(app.project.id, "A: a", -1)]).await;
    let reopened = client.get("/api/0/issues/1/").await.json();
    assert_eq!((reopened["status"].as_str(), reopened["substatus"].as_str()), (Some("unresolved"), Some("regressed")));
    let found = client.get("/api/0/organizations/default/issues/?query=is:regressed").await.json();
    assert_eq!(fields(&found, "id"), ["1"]);
    let again = client.put_json("/api/0/issues/1/", &json!({ "status": "unresolved" })).await.json();
    assert_eq!(again["substatus"], "ongoing");
}

#[tokio::test]
async fn many_issues_by_id_and_by_query() {
    let (_app, client) = filled().await;
    let organization = "/api/0/organizations/default/issues/";
    let project = "/api/0/projects/default/default/issues/";
    let put = async |path: String, name: &str| client.put_json(&path, &json!({ "status": name })).await;

    let reply = put(format!("{organization}?id=1&id=3"), "resolved").await.expect(200);
    assert_eq!(reply.json(), json!({ "status": "resolved", "statusDetails": {} }));
    assert_eq!(
        [status(&client, 1).await, status(&client, 2).await, status(&client, 3).await],
        ["resolved", "unresolved", "resolved"]
    );

    // An issue of another project is not reached through this one.
    assert!(put(format!("{project}?id=3"), "ignored").await.expect(204).body.is_empty());
    put(format!("{project}?query=is:unresolved"), "ignored").await.expect(200);
    assert_eq!([status(&client, 2).await, status(&client, 3).await], ["ignored", "resolved"]);
    put(format!("{project}?status=ignored"), "unresolved").await.expect(200);
    assert_eq!([status(&client, 1).await, status(&client, 2).await], ["resolved", "unresolved"]);
    put(project.to_owned(), "muted").await.expect(200);
    assert_eq!(
        [status(&client, 1).await, status(&client, 2).await, status(&client, 3).await],
        ["ignored", "ignored", "resolved"]
    );
    put(organization.to_owned(), "resolved").await.expect(400);
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let (_app, client) = filled().await;
    for (body, word) in [
        (json!({}), "`status`"),
        (json!({ "status": "purple" }), "purple"),
        (json!({ "status": "resolved", "statusDetails": { "inNextRelease": true } }), "`statusDetails`"),
        (json!({ "status": "ignored", "ignoreDuration": 30 }), "`ignoreDuration`"),
        (json!(["resolved"]), "JSON"),
    ] {
        for path in ["/api/0/issues/1/", "/api/0/organizations/default/issues/?id=1"] {
            let reply = client.put_json(path, &body).await.expect(400);
            assert!(reply.json()["detail"].as_str().unwrap().contains(word), "{}", reply.text());
        }
    }
    let reply = client.send("PUT", "/api/0/issues/1/", &[], "{".into()).await.expect(400);
    assert!(reply.json()["detail"].as_str().unwrap().starts_with("JSON parse error"), "{}", reply.text());
    client.send("PUT", "/api/0/issues/1/", &[], vec![b' '; 300 * 1024].into()).await.expect(413);
    assert_eq!(status(&client, 1).await, "unresolved");
}
