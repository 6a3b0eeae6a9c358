//! `POST /api/{project}/security/` (or `/csp-report/`) and `/nel/`: what browsers report by themselves.

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde_json::Value;
use url::form_urlencoded;

use super::accept::{IncomingEvent, NOT_KEPT, Reception, accept, refuse_limited};
use super::authorize::authorize_head;
use super::counters::TOTALS;
use super::edge::Edge;
use super::key_cache::Known;
use super::reply::{Accepted, Refusal};
use super::{body, decompress};
use crate::app::App;
use crate::http::ClientInfo;
use crate::ids::{EventId, ProjectId};
use crate::protocol::security_report::{MAX_REPORTS, Origin};
use crate::protocol::{Category, Item, Outcome, SecurityReports, parse_security_reports};

/// What reports call themselves: those of old and those of the Reporting API.
const REPORT_TYPES: &[&str] = &[
    "application/csp-report",
    "application/expect-ct-report",
    "application/expect-ct-report+json",
    "application/expect-staple-report",
    "application/expect-staple-report+json",
    "application/json",
    "application/reports+json",
];

/// What reports on the network call themselves.
const NETWORK_TYPES: &[&str] = &["application/json", "application/reports+json"];

/// Largest body: browsers send some KiB.
const MAX_BYTES: usize = 1024 * 1024;

/// Reports on the network of one request that count.
const MAX_NETWORK_REPORTS: usize = 10_000;

const INVALID: &str = "invalid security report";

/// The reason that counts reports beyond the limit.
const SURPLUS: &str = "surplus";

/// The reason that counts what is a report and cannot be read.
const MALFORMED: &str = "invalid";

/// A request whose sender may report.
struct Reported {
    head: Parts,
    known: Known,
    reception: Reception,
    body: decompress::Plain,
    /// Held as long as the body is in use.
    room: Option<body::Room>,
}

/// Makes an event of each violation of a policy that is reported, and counts the other reports.
pub(super) async fn receive(app: &App, edge: &Edge, project: ProjectId, request: Request) -> Result<Accepted, Refusal> {
    let Reported { head, known, mut reception, body, room: _room } =
        take_in(app, edge, project, request, REPORT_TYPES, Category::Security).await?;
    let reports = parse_security_reports(&body.bytes).map_err(|error| Refusal::bad_request(INVALID, error))?;
    let quantity = u64::try_from(reports.violations.len()).unwrap_or(u64::MAX).max(1);
    if reception.admit(edge, &known, Category::Security, quantity).is_err() {
        return Err(refuse_limited(edge, reception).await);
    }
    let query = head.uri.query().unwrap_or_default();
    let (release, environment) = (query_value(query, "sentry_release"), query_value(query, "sentry_environment"));
    make_events(&mut reception, reports, release.as_deref(), environment.as_deref());
    accept(edge, reception, None).await?;
    Ok(Accepted::Reports)
}

/// Counts reports on the network: nothing keeps them.
pub(super) async fn receive_network_errors(
    app: &App,
    edge: &Edge,
    project: ProjectId,
    request: Request,
) -> Result<Accepted, Refusal> {
    let Reported { known, mut reception, body, room: _room, .. } =
        take_in(app, edge, project, request, NETWORK_TYPES, Category::Default).await?;
    let reports: Value = serde_json::from_slice(&body.bytes)
        .map_err(|error| Refusal::bad_request("invalid network error report", error))?;
    let quantity = reports.as_array().map_or(1, |list| list.len().min(MAX_NETWORK_REPORTS));
    let quantity = u64::try_from(quantity).unwrap_or(u64::MAX);
    if reception.admit(edge, &known, Category::Default, quantity).is_err() {
        return Err(refuse_limited(edge, reception).await);
    }
    reception.drop(Category::Default, NOT_KEPT, quantity);
    accept(edge, reception, None).await?;
    TOTALS.other_item();
    Ok(Accepted::Reports)
}

/// Makes an event of what an item of an envelope reports.
pub(super) fn take_item(reception: &mut Reception, item: &Item) {
    if reception.made.len() >= MAX_REPORTS {
        reception.drop(Category::Security, SURPLUS, 1);
        return;
    }
    match parse_security_reports(&item.payload) {
        Ok(reports) => {
            let (release, environment) = (&item.header.sentry_release, &item.header.sentry_environment);
            make_events(reception, reports, release.as_deref(), environment.as_deref());
        }
        Err(error) => {
            tracing::debug!(%error, project.id = reception.project_id.0, "a report cannot be read");
            reject(reception, 1);
        }
    }
}

/// Checks who is reporting and what, and takes the report in.
async fn take_in(
    app: &App,
    edge: &Edge,
    project: ProjectId,
    request: Request,
    types: &[&str],
    category: Category,
) -> Result<Reported, Refusal> {
    let (head, body) = request.into_parts();
    let admitted = match authorize_head(app, edge, &head, Some(project)).await {
        Ok(known) => check_type(&head.headers, types).map(|()| known),
        Err(refusal) => Err(refusal),
    };
    let known = match admitted {
        Ok(known) => known,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal).await),
    };
    let mut reception = Reception::now(known.project_id, &head.headers, head.extensions.get::<ClientInfo>());
    reception.limits = edge.limits.exhausted(&known, Some(category), reception.received_at);
    if let Some(reason) = reception.limits.first().map(|limited| limited.reason) {
        reception.count(category, Outcome::RateLimited, reason, 1);
        let refusal = refuse_limited(edge, reception).await;
        return Err(body::refuse(&head.headers, body, refusal).await);
    }
    let (body, room) = body::read(&head.headers, body, MAX_BYTES.min(app.config.max_upload_bytes)).await?;
    let body = decompress::decompress(&head.headers, body).await?;
    if body.bytes.len() > MAX_BYTES {
        return Err(Refusal::too_large("the report is too large", MAX_BYTES));
    }
    if body.bytes.trim_ascii().is_empty() {
        return Err(Refusal::bad_request(INVALID, "empty request body"));
    }
    Ok(Reported { head, known, reception, body, room })
}

fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if types.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        Ok(())
    } else {
        Err(Refusal::unsupported_media_type(content_type))
    }
}

fn query_value(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
}

fn make_events(reception: &mut Reception, reports: SecurityReports, release: Option<&str>, environment: Option<&str>) {
    let SecurityReports { violations, others, invalid, mut surplus } = reports;
    for violation in violations {
        // An event is many times the size of the report that it is made of.
        if reception.made.len() >= MAX_REPORTS {
            surplus += 1;
            continue;
        }
        let origin = Origin { release, environment, user_agent: reception.user_agent.as_deref() };
        let payload = violation.into_event(origin, reception.received_at).into();
        reception.made.push(IncomingEvent { event_id: EventId::random(), sent_at: None, payload });
    }
    if others + surplus > 0 {
        TOTALS.other_item();
    }
    reception.drop(Category::Security, NOT_KEPT, others);
    reception.drop(Category::Security, SURPLUS, surplus);
    reject(reception, invalid);
}

/// Counts reports that are accepted, and say nothing that could be stored.
fn reject(reception: &mut Reception, quantity: u64) {
    reception.count(Category::Security, Outcome::Accepted, "", quantity);
    reception.count(Category::Security, Outcome::Rejected, MALFORMED, quantity);
}
