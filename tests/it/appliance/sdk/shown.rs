//! Real SDKs, told nothing but the DSN: what they report is there, through the API and on its page.

use serde_json::Value;

use super::{Site, command, node, programs};
use crate::appliance::Instance;
use crate::support::Client;

/// What one SDK's program reports.
struct Sdk {
    name: &'static str,
    error: Report,
    message: &'static str,
    unhandled: Report,
    breadcrumb: &'static str,
}

/// One exception, by what identifies it.
struct Report {
    kinds: &'static [&'static str],
    value: &'static str,
    function: &'static str,
    context_line: &'static str,
}

const PYTHON: Sdk = Sdk {
    name: "python",
    error: Report {
        kinds: &["KeyError", "ValueError"],
        value: "no price for plum",
        function: "load_price",
        context_line: "raise ValueError(f\"no price for {article}\") from error",
    },
    message: "python warehouse is nearly full",
    unhandled: Report {
        kinds: &["ZeroDivisionError"],
        value: "division by zero",
        function: "ship",
        context_line: "return 100 / weight",
    },
    breadcrumb: "python put a plum into the basket",
};

const NODE: Sdk = Sdk {
    name: "node",
    error: Report {
        kinds: &["TypeError", "Error"],
        value: "no price for plum",
        function: "loadPrice",
        context_line: "throw new Error(`no price for ${article}`, { cause: error });",
    },
    message: "node warehouse is nearly full",
    unhandled: Report {
        kinds: &["TypeError"],
        value: "Cannot read properties of undefined (reading 'street')",
        function: "shipOrder",
        context_line: "return order.address.street.toUpperCase();",
    },
    breadcrumb: "node put a plum into the basket",
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_python_sdk_reports_is_shown() {
    let site = tokio::task::block_in_place(|| {
        let (site, sdks) = Site::new("Python shown");
        let script = programs().join("python/report.py");
        site.run(command(sdks.join("python/bin/python"), [script]), 1);
        site.settles(&["error stored 3"]);
        site
    });
    check(&site, &PYTHON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_node_sdk_reports_is_shown() {
    let site = tokio::task::block_in_place(|| {
        let (site, sdks) = Site::new("Node shown");
        site.run(node(&sdks, "node", "report.js"), 1);
        site.settles(&["error stored 3"]);
        site
    });
    check(&site, &NODE).await;
}

async fn check(site: &Site, sdk: &Sdk) {
    let api = site.instance.api();
    let pages = signed_in(&site.instance).await;
    let path = format!("/api/0/organizations/default/issues/?query=&project={}", site.number);
    let issues = api.get(&path).await.expect(200).json();
    for report in [&sdk.error, &sdk.unhandled] {
        let title = format!("{}: {}", report.kinds.last().unwrap(), report.value);
        let issue = issue_titled(&issues, &title, sdk.name);
        let event = latest_event(&api, issue).await;
        check_exception(entry(&event, "exception"), report);
        let breadcrumbs = entry(&event, "breadcrumbs").to_string();
        assert!(breadcrumbs.contains(sdk.breadcrumb), "{breadcrumbs}");
        let page = page_of(&pages, issue).await;
        for shown in [report.function, report.context_line, report.value, sdk.breadcrumb] {
            assert!(page.contains(&escape(shown)), "{}: {shown:?} is not on the page of {title}", sdk.name);
        }
    }
    let message = issue_titled(&issues, sdk.message, sdk.name);
    assert_eq!(message["level"], "warning", "{message}");
    let event = latest_event(&api, message).await;
    assert_eq!(event["message"], sdk.message, "{event}");
    assert!(page_of(&pages, message).await.contains(sdk.message));
    let crash = issue_titled(&issues, &format!("{}: {}", sdk.unhandled.kinds[0], sdk.unhandled.value), sdk.name);
    assert_eq!(crash["isUnhandled"], true, "{crash}");
}

fn issue_titled<'a>(issues: &'a Value, title: &str, sdk: &str) -> &'a Value {
    let mut list = issues.as_array().unwrap().iter();
    let found = list.find(|issue| issue["title"] == title && issue["platform"] == sdk_platform(sdk));
    found.unwrap_or_else(|| panic!("no issue {title:?} of {sdk} in {issues:#}"))
}

fn sdk_platform(sdk: &str) -> &str {
    // What @sentry/node has always called itself.
    if sdk == "node" { "node" } else { sdk }
}

async fn latest_event(api: &Client, issue: &Value) -> Value {
    let id = issue["id"].as_str().unwrap();
    api.get(&format!("/api/0/issues/{id}/events/latest/")).await.expect(200).json()
}

async fn page_of(pages: &Client, issue: &Value) -> String {
    let id = issue["id"].as_str().unwrap();
    pages.get(&format!("/issues/{id}/")).await.expect(200).text()
}

fn entry<'a>(event: &'a Value, kind: &str) -> &'a Value {
    let entries = event["entries"].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["type"] == kind);
    &found.unwrap_or_else(|| panic!("no {kind} in {event:#}"))["data"]
}

fn check_exception(data: &Value, report: &Report) {
    let values = data["values"].as_array().unwrap();
    let kinds: Vec<&str> = values.iter().map(|value| value["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, report.kinds);
    let frames = values.last().unwrap()["stacktrace"]["frames"].as_array().unwrap();
    let frame = frames.iter().find(|frame| frame["function"] == report.function);
    let frame = frame.unwrap_or_else(|| panic!("no frame of {} in {frames:#?}", report.function));
    assert!(frame.to_string().contains(&escape_json(report.context_line)), "{frame:#}");
}

/// As the line stands inside a JSON text.
fn escape_json(line: &str) -> String {
    serde_json::to_string(line).unwrap().trim_matches('"').to_owned()
}

/// As the line stands in HTML.
fn escape(line: &str) -> String {
    line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A client with the administrator's session.
pub(crate) async fn signed_in(instance: &Instance) -> Client {
    let password = std::fs::read_to_string(instance.data().join("secrets/admin-password")).unwrap();
    let host = format!("localhost:{}", instance.address().port());
    let client = instance.client().with_header("host", &host);
    let origin = format!("http://{host}");
    let form = [("email", "admin@localhost"), ("password", password.as_str())];
    let reply = client.with_header("origin", &origin).post_form("/login/", &form).await.expect(303);
    let cookies: Vec<&str> = reply.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let pairs: Vec<&str> = cookies.iter().filter_map(|cookie| cookie.split(';').next()).collect();
    client.with_header("cookie", &pairs.join("; "))
}
