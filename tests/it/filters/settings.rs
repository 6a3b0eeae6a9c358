//! Setting filters and privacy: by the API, on the command line, on pages; and who may.

use std::process::Command;

use glitchbox::protocol::{Filter, FilterSettings, PrivacySettings};
use glitchbox::store::member::Role;
use glitchbox::store::outcome::{self, Outcome, OutcomeCount, hour_of};
use glitchbox::store::{project_rules, user};
use serde_json::{Value, json};

use crate::api::seed::{ALL, client_of, join, new_user};
use crate::support::{Client, TestApp};
use crate::web::{add_user, sign_in, token};

const PROJECT: &str = "/api/0/projects/default/default/";
const FILTERS: &str = "/projects/default/default/filters/";
const PRIVACY: &str = "/projects/default/default/privacy/";

async fn caller(app: &TestApp, role: Role, scopes: &[&str]) -> Client {
    let user = new_user(app, &format!("{}@example.org", role.as_str()), false).await;
    join(app, app.organization.id, user, role).await;
    client_of(app, user, scopes).await
}

#[tokio::test]
async fn filters_are_set_over_the_api() {
    let app = TestApp::start().await;
    let client = caller(&app, Role::Admin, &["project:write"]).await;
    let all = client.get(&format!("{PROJECT}filters/")).await.expect(200).json();
    let ids: Vec<&str> = all.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, Filter::ALL.iter().map(|filter| filter.id()).collect::<Vec<_>>());
    assert!(all.as_array().unwrap().iter().all(|one| one["active"] == json!(false)), "off as shipped: {all}");
    for (id, body, active) in [
        ("localhost", json!({ "active": true }), json!(true)),
        ("filtered-transaction", json!({ "active": true }), json!(true)),
        ("legacy-browsers", json!({ "subfilters": ["ie9", "safari_pre_6"] }), json!(["ie9", "safari_pre_6"])),
        ("legacy-browsers", json!({ "active": false }), json!(false)),
        ("ip-address", json!({ "entries": ["10.0.0.0/8"] }), json!(["10.0.0.0/8"])),
        ("error-message", json!({ "subfilters": ["*noise*", " *noise* "] }), json!(["*noise*"])),
        ("localhost", json!({ "active": false }), json!(false)),
    ] {
        let path = format!("{PROJECT}filters/{id}/");
        client.put_json(&path, &body).await.expect(204);
        assert_eq!(client.get(&path).await.expect(200).json(), json!({ "id": id, "active": active }));
    }
    for (id, wrong, says) in [
        ("legacy-browsers", json!({ "subfilters": ["netscape"] }), "`netscape`"),
        ("ip-address", json!({ "entries": ["10.0.0.0/99"] }), "10.0.0.0/99"),
        ("ip-address", json!({ "active": true }), "list"),
        ("localhost", json!({ "subfilters": ["x"] }), "on or off"),
        ("localhost", json!({}), "`active`"),
        ("localhost", json!({ "activ": true }), "activ"),
    ] {
        let answer = client.put_json(&format!("{PROJECT}filters/{id}/"), &wrong).await.expect(400).json();
        assert!(answer["detail"].as_str().unwrap().contains(says), "{answer}");
    }
    client.get(&format!("{PROJECT}filters/nonsense/")).await.expect(404);
    client.put_json(&format!("{PROJECT}filters/nonsense/"), &json!({ "active": true })).await.expect(404);
}

#[tokio::test]
async fn options_of_a_project_are_set_over_the_api() {
    let app = TestApp::start().await;
    let client = caller(&app, Role::Admin, &["project:write"]).await;
    let shown = client.get(PROJECT).await.expect(200).json();
    assert_eq!((&shown["dataScrubber"], &shown["scrubIPAddresses"]), (&json!(true), &json!(false)));
    let change = json!({
        "scrubIPAddresses": true, "sensitiveFields": ["customer", ""], "safeFields": ["csrf_token"],
        "options": {
            "filters:releases": "1.*\n\n2.*", "filters:blacklisted_ips": "10.0.0.1", "filters:chunk-load-error": true,
            "sentry:csp_ignored_sources": "*.evil.example",
        },
    });
    let changed = client.put_json(PROJECT, &change).await.expect(200).json();
    for (name, value) in [
        ("dataScrubber", json!(true)),
        ("scrubIPAddresses", json!(true)),
        ("sensitiveFields", json!(["customer"])),
        ("safeFields", json!(["csrf_token"])),
        (
            "options",
            json!({
                "filters:releases": "1.*\n2.*", "filters:blacklisted_ips": "10.0.0.1", "filters:error_messages": "",
                "filters:chunk-load-error": true, "filters:react-hydration-errors": false,
                "sentry:csp_ignored_sources": "*.evil.example",
            }),
        ),
    ] {
        assert_eq!(changed[name], value, "{name}");
    }
    // What is not named stays, and a fault changes nothing.
    let changed = client.put_json(PROJECT, &json!({ "dataScrubber": false })).await.expect(200).json();
    assert_eq!((&changed["dataScrubber"], &changed["sensitiveFields"]), (&json!(false), &json!(["customer"])));
    for (wrong, says) in [
        (json!({ "dataScrubber": true, "options": { "filters:blacklisted_ips": "x" } }), "`x`"),
        (json!({ "dataScrubber": true, "options": { "filters:nonsense": "x" } }), "filters:nonsense"),
        (json!({ "dataScrubber": true, "options": { "filters:chunk-load-error": "x" } }), "on or off"),
        (json!({ "dataScrubber": true, "options": { "filters:releases": 7 } }), "filters:releases"),
        (json!({ "dataScrubber": true, "sensitiveFields": ["**"] }), "sensitiveFields"),
        (json!({ "dataScrubber": true, "name": "Other" }), "name"),
    ] {
        let answer = client.put_json(PROJECT, &wrong).await.expect(400).json();
        assert!(answer["detail"].as_str().unwrap().contains(says), "{answer}");
    }
    assert_eq!(client.get(PROJECT).await.json()["dataScrubber"], json!(false));
}

#[tokio::test]
async fn only_administrators_change_them() {
    let app = TestApp::start().await;
    let paths = [
        (PROJECT.to_owned(), json!({ "dataScrubber": false })),
        (format!("{PROJECT}filters/localhost/"), json!({ "active": true })),
    ];
    let member = caller(&app, Role::Member, ALL).await;
    let owner = new_user(&app, "o@example.org", false).await;
    join(&app, app.organization.id, owner, Role::Owner).await;
    let (reader, owner) = (client_of(&app, owner, &["project:read"]).await, client_of(&app, owner, ALL).await);
    for (path, body) in &paths {
        member.get(path).await.expect(200);
        member.put_json(path, body).await.expect(403);
        reader.put_json(path, body).await.expect(403);
        app.client().put_json(path, body).await.expect(401);
    }
    assert_eq!(project_rules::find(&app.app.db, app.project.id).await.unwrap(), project_rules::ProjectRules::default());
    for (path, body) in &paths {
        assert!(owner.put_json(path, body).await.status < 300, "{path}");
    }
}

#[tokio::test]
async fn they_are_set_on_the_command_line() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glitchbox"));
        command.args(arguments).env_clear().env("DATABASE_URL", app.database.url());
        let output = command.env("DATA_DIR", folder.path()).output().unwrap();
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let json = |arguments: &[&str]| -> Value {
        let (done, text) = run(&[arguments, &["--project", "default", "--json"]].concat());
        assert!(done, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let list = json(&["filter", "list"]);
    assert_eq!(list.as_array().unwrap().len(), Filter::ALL.len());
    assert_eq!(list[0], json!({ "filter": "localhost", "active": false }));
    assert_eq!(json(&["filter", "on", "localhost"]), json!({ "filter": "localhost", "active": true }));
    assert_eq!(json(&["filter", "on", "legacy-browsers"])["entries"].as_array().unwrap().len(), 8);
    let set = json(&["filter", "set", "releases", "1.*", "2.*"]);
    assert_eq!(set, json!({ "filter": "release-version", "active": true, "entries": ["1.*", "2.*"] }));
    assert_eq!(json(&["filter", "off", "release-version"])["entries"], json!([]));
    let (_, text) = run(&["filter", "set", "client-ips", "10.0.0.0/8", "--project", "default"]);
    assert_eq!(text, "project default: ip-address: 10.0.0.0/8\n");
    let (_, table) = run(&["filter", "list", "--project", "default"]);
    let localhost = table.lines().find(|line| line.starts_with("localhost")).unwrap();
    assert_eq!(localhost.split_whitespace().collect::<Vec<_>>(), ["localhost", "yes"]);
    let privacy = json(&["privacy", "set", "--scrub-ip-addresses", "on", "--sensitive-fields", "customer, iban"]);
    assert_eq!(
        (&privacy["scrub_ip_addresses"], &privacy["sensitive_fields"], &privacy["project"]),
        (&json!(true), &json!(["customer", "iban"]), &json!("default"))
    );
    assert_eq!(json(&["privacy", "set", "--sensitive-fields", ""])["sensitive_fields"], json!([]));
    assert!(run(&["privacy", "show", "--project", "default"]).1.contains("no IP addresses          yes"));
    for (wrong, says) in [
        (&["filter", "on", "nonsense", "--project", "default"][..], "expected one of localhost"),
        (&["filter", "on", "ip-address", "--project", "default"], "`ip-address` is on when its list is not empty"),
        (&["filter", "set", "ip-address", "x", "--project", "default"], "`x` is no IP address"),
        (&["filter", "set", "localhost", "x", "--project", "default"], "on or off"),
        (&["filter", "list", "--project", "none"], "no project `none`"),
        (&["filter", "list"], "--project"),
        (&["privacy", "set", "--project", "default"], "name what is to change"),
        (&["privacy", "set", "--project", "default", "--scrub-data", "maybe"], "expected `on` or `off`"),
        (&["privacy", "set", "--project", "default", "--safe-fields", "*"], "--safe-fields"),
    ] {
        let (done, text) = run(wrong);
        assert!(!done && text.contains(says), "{wrong:?}: {text}");
    }
}

#[tokio::test]
async fn pages_show_and_set_them() {
    let app = TestApp::start().await;
    add_user(&app, "admin@localhost", true).await;
    let client = sign_in(&app, "admin@localhost").await;
    let page = client.get(FILTERS).await.expect(200);
    assert!(!page.text().contains(" checked"), "off as shipped");
    let csrf = token(&page);
    let form = [
        ("csrf", &*csrf),
        ("localhost", "on"),
        ("legacy-browsers", "ie9"),
        ("legacy-browsers", "safari_pre_6"),
        ("error-message", "*noise*\r\n\r\n*Noise: <b>*"),
        ("ip-address", "10.0.0.0/8\r\n2001:db8::1"),
    ];
    let saved = client.post_form(FILTERS, &form).await.expect(303);
    assert_eq!(saved.header("location"), format!("{FILTERS}?done=saved"));
    let rules = project_rules::find(&app.app.db, app.project.id).await.unwrap();
    let expected = FilterSettings {
        localhost: true,
        legacy_browsers: vec!["ie9".into(), "safari_pre_6".into()],
        error_messages: vec!["*noise*".into(), "*Noise: <b>*".into()],
        client_ips: vec!["10.0.0.0/8".into(), "2001:db8::1".into()],
        ..FilterSettings::default()
    };
    assert_eq!((&rules.filters, &rules.privacy), (&expected, &PrivacySettings::default()));
    let page = client.get(&format!("{FILTERS}?done=saved")).await.text();
    assert!(page.contains("Filters saved.") && page.contains("*Noise: &lt;b&gt;*") && page.contains("2001:db8::1"));
    // A fault names its field, and what was typed is still there.
    let wrong = [("csrf", &*csrf), ("web-crawlers", "on"), ("ip-address", "10.0.0.0/99"), ("release-version", "1.*")];
    let page = client.post_form(FILTERS, &wrong).await.expect(422).text();
    assert!(page.contains("IP addresses: “10.0.0.0/99” is no IP address"), "{page}");
    assert!(page.contains("10.0.0.0/99</textarea>") && page.contains("1.*</textarea>"), "{page}");
    assert_eq!(project_rules::find(&app.app.db, app.project.id).await.unwrap().filters, expected);

    let page = client.get(PRIVACY).await.expect(200).text();
    assert_eq!(page.matches(" checked").count(), 3, "as shipped");
    let form = [("csrf", &*csrf), ("scrubIPAddresses", "on"), ("sensitiveFields", "customer\r\niban")];
    client.post_form(PRIVACY, &form).await.expect(303);
    let privacy = project_rules::find(&app.app.db, app.project.id).await.unwrap().privacy;
    assert!(!privacy.scrub_data && privacy.scrub_ip_addresses);
    assert_eq!(privacy.sensitive_fields, ["customer", "iban"]);
    let page = client.post_form(PRIVACY, &[("csrf", &*csrf), ("safeFields", "--")]).await.expect(422).text();
    assert!(page.contains("Safe fields: “--” has no letter"), "{page}");

    // Members look, and change nothing.
    add_user(&app, "member@localhost", false).await;
    let member = user::find_by_email(&app.app.db, "member@localhost").await.unwrap().unwrap();
    join(&app, app.organization.id, member.id, Role::Member).await;
    let client = sign_in(&app, "member@localhost").await;
    let csrf = token(&client.get("/settings/").await);
    for path in [FILTERS, PRIVACY] {
        let page = client.get(path).await.expect(200).text();
        assert!(page.contains("<fieldset class=\"pad\" disabled") && page.contains("Only administrators"), "{page}");
        client.post_form(path, &[("csrf", csrf.as_str())]).await.expect(404);
        app.client().get(path).await.expect(303);
    }
}

#[tokio::test]
async fn the_ledger_names_the_filter() {
    let app = TestApp::start().await;
    add_user(&app, "admin@localhost", true).await;
    for outcome in [Outcome::Accepted, Outcome::Filtered] {
        let is_filtered = outcome == Outcome::Filtered;
        let count = OutcomeCount {
            project_id: app.project.id,
            hour: hour_of(chrono::Utc::now()),
            category: "error".into(),
            outcome,
            reason: if is_filtered { "web-crawlers" } else { "" }.into(),
            quantity: 3,
        };
        outcome::add(&app.app.db, &[count]).await.unwrap();
    }
    let client = sign_in(&app, "admin@localhost").await;
    for (language, name) in [("en", "Web crawlers"), ("zh-CN", "网络爬虫")] {
        let page = client.with_header("accept-language", language).get("/usage/").await.expect(200).text();
        assert!(page.contains(&format!("{name}<br>")) && page.contains("web-crawlers"), "{page}");
    }
    // And its own page says how much it was.
    for (language, held) in [("en", "3 items held back in 7 days"), ("zh-CN", "近 7 天拦截 3 条")] {
        let page = client.with_header("accept-language", language).get(FILTERS).await.expect(200).text();
        assert_eq!(page.matches("class=\"held\"").count(), 1, "{page}");
        assert!(page.contains(held), "{page}");
    }
}
