//! What the issue list can be asked for.

use super::seed::{Seed, fields, member, new_project, store};
use crate::support::TestApp;

#[tokio::test]
async fn filters() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    let first = app.project.id;
    let second = new_project(&app, app.organization.id, "web").await;
    let seeds = [
        Seed::new(first, "ValueError: 50% off", 60).environment("production").tag("browser", "Firefox 130").id(0xaa),
        Seed::new(first, "KeyError: apple", 50).environment("staging").level("warning").tag("browser", "Chrome 1"),
        Seed::new(second, "TypeError: x is not a function", 40).level("fatal").tag("browser", "Firefox 131"),
        Seed::new(second, "Timeout: /checkout", 60 * 24 * 3).environment("production"),
        Seed::new(first, "KeyError: apple", 10).environment("production").tag("region", "eu"),
    ];
    store(&app, &seeds).await;
    client.put_json("/api/0/issues/4/", &serde_json::json!({ "status": "ignored" })).await.expect(200);

    let found = async |parameters: &str| {
        let reply = client.get(&format!("/api/0/organizations/default/issues/?{parameters}")).await.expect(200);
        let ids = fields(&reply.json(), "id");
        assert_eq!(reply.header("x-hits"), ids.len().to_string(), "{parameters}");
        ids.join(" ")
    };
    for (parameters, expected) in [
        ("", "2 3 1"),
        ("query=", "2 3 1 4"),
        ("query=is%3Aignored", "4"),
        ("query=is:archived", "4"),
        ("query=!is:unresolved", "4"),
        ("query=is:resolved", ""),
        ("query=is:resolved+is:ignored", ""),
        ("query=apple", "2"),
        ("query=APPLE+keyerror", "2"),
        ("query=apple+nothing", ""),
        ("query=!apple", "3 1 4"),
        ("query=50%25", "1"),
        ("query=%22not+a+function%22", "3"),
        ("query=level:warning", ""),
        ("query=level:%5Bfatal,error%5D+is:unresolved", "2 3 1"),
        ("query=environment:production", "2 1 4"),
        ("query=!environment:production", "3"),
        ("query=environment:%22%22", "3"),
        ("environment=staging", "2"),
        ("environment=staging&environment=production&query=", "2 1 4"),
        ("query=browser:%22Firefox+130%22", "1"),
        ("query=browser:Firefox*", "3 1"),
        ("query=!browser:Firefox*", "2 4"),
        ("query=browser:%22%22", "4"),
        ("query=has:region", "2"),
        ("query=!has:browser", "4"),
        ("query=tags%5Bregion%5D:eu", "2"),
        ("query=region:%5Beu,us%5D", "2"),
        ("query=issue:DEFAULT-1", "1"),
        ("query=issue:web-1", "3"),
        ("query=WEB-1&shortIdLookup=1", "3"),
        ("query=error.unhandled:true+is:unresolved", "2 3 1"),
        ("query=error.handled:true", ""),
        ("query=000000000000000000000000000000aa", "1"),
        ("query=error.type:TypeError", "3"),
        ("query=firstRelease:nothing@1", ""),
        ("query=platform:python+logger:shop+is:ignored", "4"),
        ("project=2&query=", "3 4"),
        ("project=default", "2 1"),
        ("project=-1", "2 3 1"),
        ("id=1&id=4&query=", "1 4"),
        ("statsPeriod=24h&query=", "2 3 1"),
        ("statsPeriod=14d&query=", "2 3 1 4"),
        ("sort=first_seen", "3 2 1"),
        ("sort=freq", "2 3 1"),
    ] {
        assert_eq!(found(parameters).await, expected, "{parameters}");
    }
}

#[tokio::test]
async fn malformed_filters_are_named() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    for (parameters, word) in [
        ("query=is:purple", "purple"),
        ("query=%22open", "quotation"),
        ("query=user.email:a@example.org", "user.email"),
        ("sort=colour", "`sort`"),
        ("statsPeriod=soon", "`statsPeriod`"),
        ("start=yesterday", "`start`"),
        ("id=one", "`id`"),
    ] {
        let reply = client.get(&format!("/api/0/projects/default/default/issues/?{parameters}")).await.expect(400);
        assert!(reply.json()["detail"].as_str().unwrap().contains(word), "{}", reply.text());
    }
    client.get("/api/0/organizations/default/issues/?project=99").await.expect(404);
}

#[tokio::test]
async fn a_direct_hit_says_so() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    store(&app, &[Seed::new(app.project.id, "A: a", 1).id(0xbeef)]).await;
    let id = format!("{:032x}", 0xbeef);
    let reply = client.get(&format!("/api/0/organizations/default/issues/?query={id}")).await.expect(200);
    assert_eq!(reply.header("x-sentry-direct-hit"), "1");
    assert_eq!(reply.json()[0]["matchingEventId"], id.as_str());
}
