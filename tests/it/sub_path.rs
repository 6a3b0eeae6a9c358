//! A public address with a path, as `https://example.com/errors`: behind a proxy that takes it off, and one that does not.

use std::collections::{BTreeSet, VecDeque};

use serde_json::json;

use crate::support::{Client, TestApp};
use crate::web::{add_user, sign_in_at};

const PUBLIC: &str = "http://127.0.0.1/errors";

/// What the proxy leaves of the path.
const WAYS: [&str; 2] = ["/errors", ""];

async fn app() -> TestApp {
    let app = TestApp::start_with(&[("GLITCHTIP_DOMAIN", PUBLIC)]).await;
    add_user(&app, "admin@localhost", true).await;
    app.send_event(&json!({ "message": "the first of them" })).await.expect(200);
    app.drain().await;
    app
}

#[tokio::test]
async fn what_sdks_make_of_the_dsn_is_answered() {
    let app = app().await;
    let key = &app.key.public_key;
    assert_eq!(app.dsn(), format!("http://{key}@127.0.0.1/errors/{}", app.project.id));
    for way in WAYS {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let envelope = format!("{{\"event_id\":\"{id}\",\"dsn\":\"{}\"}}\n{{\"type\":\"event\"}}\n{{}}\n", app.dsn());
        for path in [format!("/api/{}/envelope/?sentry_key={key}", app.project.id), "/tunnel/".to_owned()] {
            let reply = app.client().post(&format!("{way}{path}"), &[], envelope.clone()).await.expect(200);
            assert_eq!(reply.json()["id"], id, "{way}{path}");
        }
        let store = format!("{way}/api/{}/store/?sentry_key={key}", app.project.id);
        app.client().post(&store, &[("host", "other.example")], "{\"message\":\"any host\"}").await.expect(200);
        app.client().get(&format!("{way}/_health/")).await.expect(200);
    }
    app.client()
        .post(&format!("/errors2/api/{}/envelope/?sentry_key={key}", app.project.id), &[], "")
        .await
        .expect(404);
}

#[tokio::test]
async fn every_page_leads_to_pages_below_the_path() {
    let app = app().await;
    for way in WAYS {
        let gate = app.client().get(&format!("{way}/issues")).await.expect(308);
        assert_eq!(gate.header("location"), "/errors/issues/");
        let gate = app.client().get(&format!("{way}/issues/")).await.expect(303);
        assert_eq!(gate.header("location"), "/errors/login/?next=%2Fissues%2F");
        let (client, location) = sign_in_at(&app, way, "admin@localhost").await;
        assert_eq!(location, "/errors/");
        let seen = crawl(&client, way).await;
        for page in
            ["/errors/issues/", "/errors/projects/default/default/alerts/", "/errors/usage/", "/errors/settings/"]
        {
            assert!(seen.contains(page), "{page} in {seen:?}");
        }
        assert!(seen.iter().any(|address| address.starts_with("/errors/static/app.")), "{seen:?}");
        assert!(seen.iter().any(|address| address.ends_with("/json/")), "{seen:?}");
    }
}

/// Follows every link, script, picture and form of ours from the first page on; each has to be below the path.
async fn crawl(client: &Client, way: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::from(["/errors/".to_owned()]);
    let mut next = VecDeque::from(["/errors/".to_owned()]);
    while let Some(address) = next.pop_front() {
        let inner = address.strip_prefix("/errors").unwrap();
        let reply = client.get(&format!("{way}{inner}")).await;
        // The address of a form alone may be no page.
        assert!(matches!(reply.status, 200 | 303 | 308 | 405), "{address}: {}", reply.status);
        let mut found = vec![reply.header("location").to_owned()];
        if reply.header("content-type").starts_with("text/html") {
            let page = reply.text();
            for attribute in [" href=\"", " action=\"", " src=\""] {
                found.extend(page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
        for target in found.iter().map(|target| target.replace("&amp;", "&")) {
            let target = target.split('#').next().unwrap();
            if target.starts_with('/') && seen.insert(target.to_owned()) {
                assert!(target.starts_with("/errors/"), "{target} on {address}");
                next.push_back(target.to_owned());
            }
            assert!(seen.len() < 500, "{seen:?}");
        }
    }
    seen
}

#[tokio::test]
async fn forms_lead_back_below_the_path() {
    let app = app().await;
    for way in WAYS {
        let (client, _) = sign_in_at(&app, way, "admin@localhost").await;
        let page = client.get(&format!("{way}/settings/")).await.expect(200);
        let form = [("csrf", crate::web::token(&page)), ("language", "zh-CN".to_owned())];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let reply = client.post_form(&format!("{way}/settings/"), &form).await.expect(303);
        assert_eq!(reply.header("location"), "/errors/settings/?done=language");
    }
}

#[tokio::test]
async fn links_of_the_api_have_the_path() {
    let app = app().await;
    let (client, _) = sign_in_at(&app, "", "admin@localhost").await;
    for way in WAYS {
        let reply = client.get(&format!("{way}/api/0/organizations/default/issues/?query=")).await.expect(200);
        let link = format!("http://{}/errors/api/0/organizations/default/issues/?", app.address());
        assert!(reply.header("link").contains(&link), "{}", reply.header("link"));
        let issue = &reply.json()[0];
        assert_eq!(issue["permalink"], format!("{PUBLIC}/issues/{}/", issue["id"].as_str().unwrap()));
    }
}
