//! What users write about an event, outside of envelopes:
//! `POST /api/0/projects/{organization}/{project}/user-feedback/`, and the dialog that `Sentry.showReportDialog` opens,
//! `GET` and `POST /api/embed/error-page/`. Both become what the item `user_report` of an envelope becomes.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::accept::{IncomingItem, Reception, accept_all, refuse_limited};
use super::authorize::{authorize, authorize_head};
use super::counters::TOTALS;
use super::edge::Edge;
use super::key_cache::Known;
use super::reply::{Accepted, Refusal};
use super::{body, decompress};
use crate::app::App;
use crate::auth::{api_token, permission};
use crate::http::{ApiError, ClientInfo};
use crate::ids::{EventId, OrganizationId, ProjectId};
use crate::protocol::{Category, Dsn, Outcome};
use crate::store::organization;
use crate::store::project;

/// Largest body: of what users write, 4,096 characters are kept.
const MAX_BYTES: usize = 100 * 1024;

const INVALID: &str = "invalid user report";

/// What a report says.
const FIELDS: &[&str] = &["name", "email", "comments"];

/// The scope that a token needs.
const SCOPE: &str = "project:write";

/// The dialog: nothing of a request goes into it, since it reads its own address.
pub(super) const DIALOG: &str = include_str!("report_dialog.js");

/// Takes a report in that was sent to the API; `organization` and `project` are the path's.
pub(super) async fn receive(
    app: &App,
    edge: &Edge,
    (organization, project): (&str, &str),
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let by_token = is_bearer(&head.headers);
    let admitted = if by_token {
        admit_token(app, &head.headers, organization, project).await
    } else {
        match authorize_head(app, edge, &head, None).await {
            Ok(known) => check_project(app, known, organization, project).await,
            Err(refusal) => Err(refusal),
        }
    };
    let known = match admitted {
        Ok(known) => known,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal).await),
    };
    let body = read_body(app, &head.headers, body).await?;
    let mut report: Map<String, Value> =
        serde_json::from_slice(&body).map_err(|error| Refusal::bad_request(INVALID, error))?;
    let event_id = report.remove("event_id").and_then(|id| EventId::parse(id.as_str()?));
    let event_id = event_id.filter(|id| !id.0.is_nil()).ok_or_else(no_event)?;
    report.retain(|name, value| FIELDS.contains(&name.as_str()) && value.is_string());
    check(&report)?;
    let reception = Reception::now(known.project_id, &head.headers, head.extensions.get::<ClientInfo>());
    let answer = by_token.then(|| shown(event_id, &report, &reception));
    keep(edge, &known, reception, event_id, report).await?;
    Ok(answer.map_or(Accepted::Reports, Accepted::Object))
}

/// The dialog's script, for a page that knows a key of ours and an event.
pub(super) async fn receive_dialog(app: &App, edge: &Edge, request: Request) -> Result<Accepted, Refusal> {
    let (head, _) = request.into_parts();
    admit_dialog(app, edge, head.uri.query().unwrap_or_default()).await?;
    Ok(Accepted::Script(DIALOG))
}

/// Takes in what somebody has written into the dialog.
pub(super) async fn receive_form(app: &App, edge: &Edge, request: Request) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let (known, event_id) = match admit_dialog(app, edge, head.uri.query().unwrap_or_default()).await {
        Ok(admitted) => admitted,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal).await),
    };
    let body = read_body(app, &head.headers, body).await?;
    let mut report = Map::new();
    for (name, value) in form_urlencoded::parse(&body) {
        if FIELDS.contains(&name.as_ref()) {
            report.insert(name.into_owned(), value.as_ref().into());
        }
    }
    check(&report)?;
    let reception = Reception::now(known.project_id, &head.headers, head.extensions.get::<ClientInfo>());
    keep(edge, &known, reception, event_id, report).await?;
    Ok(Accepted::Reports)
}

async fn admit_dialog(app: &App, edge: &Edge, query: &str) -> Result<(Known, EventId), Refusal> {
    let (mut dsn, mut event_id) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "dsn" => dsn = Dsn::parse(&value),
            "eventId" => event_id = EventId::parse(&value).filter(|id| !id.0.is_nil()),
            _ => {}
        }
    }
    let no_dsn = || Refusal::bad_request(INVALID, "the query has no dsn of the form http(s)://KEY@HOST/PROJECT");
    let (dsn, event_id) = (dsn.ok_or_else(no_dsn)?, event_id.ok_or_else(no_event)?);
    let known = authorize(app, edge, &dsn.public_key, Some(dsn.project_id)).await?;
    Ok((known, event_id))
}

fn no_event() -> Refusal {
    Refusal::bad_request(INVALID, "the event id is not 32 hexadecimal digits")
}

/// Something must be written, and an address that nobody can answer to is worth a second look.
fn check(report: &Map<String, Value>) -> Result<(), Refusal> {
    let text = |name: &str| report.get(name).and_then(Value::as_str).unwrap_or_default().trim();
    if text("comments").is_empty() {
        return Err(Refusal::bad_request(INVALID, "comments is empty"));
    }
    let email = text("email");
    let is_address =
        email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if !email.is_empty() && (!is_address || email.contains(char::is_whitespace)) {
        return Err(Refusal::bad_request(INVALID, "email is no address"));
    }
    Ok(())
}

async fn read_body(app: &App, headers: &HeaderMap, body: axum::body::Body) -> Result<Bytes, Refusal> {
    let (body, _room) = body::read(headers, body, MAX_BYTES.min(app.config.max_upload_bytes)).await?;
    let plain = decompress::decompress(headers, body).await?;
    if plain.bytes.len() > MAX_BYTES {
        return Err(Refusal::too_large("the user report is too large", MAX_BYTES));
    }
    Ok(plain.bytes)
}

async fn keep(
    edge: &Edge,
    known: &Known,
    mut reception: Reception,
    event_id: EventId,
    mut report: Map<String, Value>,
) -> Result<(), Refusal> {
    if reception.admit(edge, known, Category::Feedback, 1).is_err() {
        return Err(refuse_limited(edge, reception).await);
    }
    TOTALS.other_item();
    reception.count(Category::Feedback, Outcome::Accepted, "", 1);
    report.insert("event_id".to_owned(), event_id.to_string().into());
    let payload = Value::Object(report).to_string().into();
    let item = IncomingItem::new("user_report", Some(event_id), payload);
    accept_all(edge, reception, None, vec![item]).await
}

/// The report as the API shows it. One event has one report, so they share their id.
fn shown(event_id: EventId, report: &Map<String, Value>, reception: &Reception) -> String {
    let text = |name: &str| report.get(name).cloned().unwrap_or_default();
    json!({
        "id": event_id, "eventID": event_id, "event": { "id": event_id, "eventID": event_id },
        "name": text("name"), "email": text("email"), "comments": text("comments"),
        "dateCreated": reception.received_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "issue": null, "user": null,
    })
    .to_string()
}

fn is_bearer(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|text| text.split_once(' ')).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
}

/// Somebody of the project's organization; no limit of a key holds them back.
async fn admit_token(app: &App, headers: &HeaderMap, organization: &str, project: &str) -> Result<Known, Refusal> {
    let actor = api_token::authenticate(&app.db, headers).await.map_err(|error| refusal_of(&error))?;
    permission::require_scope(&actor, SCOPE).map_err(|error| refusal_of(&error))?;
    let (organization, project) = find(app, organization, project).await?.ok_or_else(no_project)?;
    let role = permission::organization_role(&app.db, &actor, organization).await.map_err(|_| away())?;
    role.map(|_| Known::of_project(organization, project)).ok_or_else(no_project)
}

/// The path has to name the key's own project.
async fn check_project(app: &App, known: Known, organization: &str, project: &str) -> Result<Known, Refusal> {
    let found = find(app, organization, project).await?;
    if found.is_some_and(|(_, project)| project == known.project_id) { Ok(known) } else { Err(Refusal::forbidden()) }
}

async fn find(app: &App, organization: &str, project: &str) -> Result<Option<(OrganizationId, ProjectId)>, Refusal> {
    let organization = organization::find_by_slug_or_id(&app.db, organization).await.map_err(|_| away())?;
    let Some(organization) = organization else { return Ok(None) };
    let project = project::find_by_slug_or_id(&app.db, organization.id, project).await.map_err(|_| away())?;
    Ok(project.map(|project| (organization.id, project.id)))
}

fn no_project() -> Refusal {
    Refusal::not_found("no such project")
}

fn away() -> Refusal {
    Refusal::unavailable("the project cannot be looked up at the moment")
}

fn refusal_of(error: &ApiError) -> Refusal {
    match error.status() {
        StatusCode::UNAUTHORIZED => Refusal::unauthorized("invalid token"),
        StatusCode::FORBIDDEN => Refusal::forbidden_by("the token lacks the scope project:write"),
        _ => away(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_something_and_may_name_an_address() {
        for (report, status) in [
            (json!({"comments": "c"}), None),
            (json!({"comments": "c", "email": "", "name": ""}), None),
            (json!({"comments": "c", "email": "a@b"}), None),
            (json!({"comments": " \n"}), Some(400)),
            (json!({"email": "a@b"}), Some(400)),
            (json!({"comments": "c", "email": "a"}), Some(400)),
            (json!({"comments": "c", "email": "a b@c"}), Some(400)),
            (json!({"comments": "c", "email": "@c"}), Some(400)),
            (json!({"comments": "c", "email": "a@b@c"}), Some(400)),
        ] {
            let refused = check(report.as_object().unwrap()).err().map(|refusal| refusal.status().as_u16());
            assert_eq!(refused, status, "{report}");
        }
    }

    #[test]
    fn the_dialog_is_small_and_runs_under_a_strict_policy() {
        assert!(DIALOG.len() < 10_000);
        for unsafe_way in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setAttribute('style'"]
        {
            assert!(!DIALOG.contains(unsafe_way), "{unsafe_way}");
        }
    }
}
