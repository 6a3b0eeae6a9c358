//! `GET` or `POST /api/{project}/cron/{slug}/` and `/cron/{slug}/{key}/`: check-ins of jobs that no SDK runs in, as a query
//! or as JSON. Each becomes what the same check-in in an envelope becomes.
//!
//! A job that is told to wait is a job that fails, so nothing here is answered 429: what a limit holds back is counted, and
//! answered as if it was kept.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::accept::{IncomingItem, Reception, accept_all};
use super::authorize::authorize_by_path;
use super::counters::TOTALS;
use super::edge::Edge;
use super::reply::{Accepted, Refusal};
use super::{body, decompress};
use crate::app::App;
use crate::http::ClientInfo;
use crate::ids::ProjectId;
use crate::protocol::{Category, Outcome};

/// Largest check-in.
const MAX_BYTES: usize = 100 * 1024;

const INVALID: &str = "invalid check-in";

/// What a query may say; a monitor's configuration needs JSON.
const OF_QUERY: &[&str] = &["status", "check_in_id", "environment", "duration"];

/// What the path says.
pub(super) struct Job {
    pub(super) project: ProjectId,
    pub(super) slug: String,
    pub(super) key: Option<String>,
}

/// Takes one check-in in.
pub(super) async fn receive(app: &App, edge: &Edge, job: Job, request: Request) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let known = match authorize_by_path(app, edge, &head, job.key.as_deref(), job.project).await {
        Ok(known) => known,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal.never_429()).await),
    };
    let (body, _room) = body::read(&head.headers, body, MAX_BYTES.min(app.config.max_upload_bytes)).await?;
    let body = decompress::decompress(&head.headers, body).await?;
    if body.bytes.len() > MAX_BYTES {
        return Err(Refusal::too_large("the check-in is too large", MAX_BYTES));
    }
    let payload = if is_json(&head.headers, &body.bytes) {
        of_json(job.slug, &body.bytes)?
    } else {
        of_query(job.slug, head.uri.query().unwrap_or_default())?
    };
    let mut reception = Reception::now(known.project_id, &head.headers, head.extensions.get::<ClientInfo>());
    let mut items = Vec::new();
    if reception.admit(edge, &known, Category::Monitor, 1).is_ok() {
        TOTALS.other_item();
        reception.count(Category::Monitor, Outcome::Accepted, "", 1);
        items.push(IncomingItem::new("check_in", None, payload));
    }
    accept_all(edge, reception, None, items).await.map_err(Refusal::never_429)?;
    Ok(Accepted::CheckIn)
}

/// Some tools call everything a form: then the first letter tells.
fn is_json(headers: &HeaderMap, body: &[u8]) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || body.trim_ascii_start().starts_with(b"{")
}

/// The path names the monitor, whatever the body says.
fn of_json(slug: String, body: &[u8]) -> Result<Bytes, Refusal> {
    let object = serde_json::from_slice::<Map<String, Value>>(body);
    let mut check_in = object.map_err(|error| Refusal::bad_request(INVALID, error))?;
    check_in.insert("monitor_slug".to_owned(), slug.into());
    Ok(Value::Object(check_in).to_string().into())
}

fn of_query(slug: String, query: &str) -> Result<Bytes, Refusal> {
    let mut check_in = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
        if OF_QUERY.contains(&name.as_ref()) {
            check_in.entry(name).or_insert_with(|| value.as_ref().into());
        }
    }
    if !check_in.contains_key("status") {
        return Err(Refusal::bad_request(INVALID, "the query has no status"));
    }
    check_in.insert("monitor_slug".to_owned(), slug.into());
    Ok(Value::Object(check_in).to_string().into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(payload: Result<Bytes, Refusal>) -> Result<Value, u16> {
        payload.map(|bytes| serde_json::from_slice(&bytes).unwrap()).map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn a_query_says_four_things_and_the_path_names_the_monitor() {
        let slug = || "nightly".to_owned();
        let query =
            "status=ok&duration=1.5&environment=a%20b&environment=c&monitor_slug=x&monitor_config=%7B%7D&check_in_id=";
        let wanted = json!({"monitor_slug": "nightly", "status": "ok", "duration": "1.5", "environment": "a b"});
        assert_eq!(read(of_query(slug(), query)), Ok(wanted));
        assert_eq!(read(of_query(slug(), "environment=prod")), Err(400));
        let json = br#"{"monitor_slug":"x","status":"error","monitor_config":{}}"#;
        let wanted = json!({"monitor_slug": "nightly", "status": "error", "monitor_config": {}});
        assert_eq!(read(of_json(slug(), json)), Ok(wanted));
        for body in ["", "[]", "{"] {
            assert_eq!(read(of_json(slug(), body.as_bytes())), Err(400), "{body}");
        }
    }
}
