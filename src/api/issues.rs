//! Issues: lists, and one with its details.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;
use chrono::Utc;
use serde_json::{Value, json};

use super::caller::Caller;
use super::issue_json::{add_details, issue_json};
use super::list::Wanted;
use super::params::PathParts;
use super::{access, issue_filter};
use crate::app::App;
use crate::http::ApiError;
use crate::ids::{EventId, OrganizationId, ProjectId};
use crate::store::issue_query::{Condition, Term, short_id};
use crate::store::issue_search::{self, IssueFilter, IssueRow};
use crate::store::page::Page;
use crate::store::{event_lookup, issue_stats, issue_tags};

/// Values of each tag that an issue is shown with: only their number matters here.
const TAG_VALUES: u16 = 1;

/// `GET /organizations/{organization}/issues/`
pub(super) async fn list_of_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    caller.require("event:read")?;
    let organization = access::organization(&app, &caller, &path).await?;
    let projects = issue_filter::projects(&app, organization.id, &wanted.params).await?;
    list(&app, &wanted, organization.id, projects).await
}

/// `GET /projects/{organization}/{project}/issues/`
pub(super) async fn list_of_project(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    caller.require("event:read")?;
    let access = access::project(&app, &caller, &path).await?;
    list(&app, &wanted, access.organization.id, vec![access.project.id]).await
}

/// `GET /issues/{issue}/`, also below an organization.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("event:read")?;
    let issue = access::issue(&app, &caller, &path).await?;
    Ok(Json(detailed(&app, &issue).await?))
}

/// `GET /organizations/{organization}/shortids/{WEB-42}/`: which issue is called so.
pub(super) async fn show_short_id(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("event:read")?;
    let issue = access::issue(&app, &caller, &path).await?;
    Ok(Json(json!({
        "organizationSlug": issue.organization_slug,
        "projectSlug": issue.project_slug,
        "groupId": issue.id.to_string(),
        "shortId": issue.short_name(),
        "group": detailed(&app, &issue).await?,
    })))
}

/// The issue with everything that its own page shows.
pub(super) async fn detailed(app: &App, issue: &IssueRow) -> Result<Value, ApiError> {
    let (now, key) = (Utc::now(), [(issue.project_id, issue.id)]);
    let hours = issue_stats::hourly_24h(&app.db, &key, now).await?;
    let days = issue_stats::daily_14d(&app.db, &key, now).await?;
    let tags = issue_tags::top(&app.db, issue.project_id, issue.id, TAG_VALUES).await?;
    let mut json = issue_json(app, issue, &[("24h", hours.get(&issue.id)), ("14d", days.get(&issue.id))]);
    add_details(&mut json, issue, &tags);
    Ok(json)
}

async fn list(
    app: &App,
    wanted: &Wanted,
    organization: OrganizationId,
    projects: Vec<ProjectId>,
) -> Result<Response, ApiError> {
    let filter = issue_filter::read(&wanted.params, projects, issue_filter::DEFAULT_QUERY)?;
    if let Some((issue, event)) = direct_hit(app, wanted, organization, &filter).await? {
        let mut response = answer(app, wanted, &Page::from_whole(vec![issue], None, 1), 1, event).await?;
        response.headers_mut().insert("x-sentry-direct-hit", HeaderValue::from_static("1"));
        return Ok(response);
    }
    let page = issue_search::list(&app.db, &filter, wanted.cursor, wanted.limit).await?;
    let hits = issue_search::hits(&app.db, &filter).await?;
    answer(app, wanted, &page, hits, None).await
}

/// The one issue that a query means which is nothing but an event's id, or (with `shortIdLookup=1`)
/// an issue's short id.
async fn direct_hit(
    app: &App,
    wanted: &Wanted,
    organization: OrganizationId,
    filter: &IssueFilter,
) -> Result<Option<(IssueRow, Option<EventId>)>, ApiError> {
    if let Some(event) = filter.query.event_id() {
        let Some(issue) = event_lookup::issue_of(&app.db, &filter.projects, event).await? else { return Ok(None) };
        return Ok(issue_search::find(&app.db, issue).await?.map(|issue| (issue, Some(event))));
    }
    let [Term { negated: false, condition: Condition::Text(text) }] = filter.query.terms.as_slice() else {
        return Ok(None);
    };
    let Some((slug, number)) = short_id(text).filter(|_| wanted.params.get("shortIdLookup") == Some("1")) else {
        return Ok(None);
    };
    let issue = issue_search::find_by_short_id(&app.db, organization, &slug, number).await?;
    Ok(issue.filter(|issue| filter.projects.contains(&issue.project_id)).map(|issue| (issue, None)))
}

async fn answer(
    app: &App,
    wanted: &Wanted,
    page: &Page<IssueRow>,
    hits: i64,
    event: Option<EventId>,
) -> Result<Response, ApiError> {
    let keys: Vec<_> = page.items.iter().map(|issue| (issue.project_id, issue.id)).collect();
    let period = wanted.params.get("groupStatsPeriod").or_else(|| wanted.params.get("statsPeriod"));
    let (period, stats) = if period == Some("14d") {
        ("14d", issue_stats::daily_14d(&app.db, &keys, Utc::now()).await?)
    } else {
        ("24h", issue_stats::hourly_24h(&app.db, &keys, Utc::now()).await?)
    };
    let mut response = wanted.answer(page, |issue| {
        let mut json = issue_json(app, issue, &[(period, stats.get(&issue.id))]);
        if let (Some(fields), Some(event)) = (json.as_object_mut(), event) {
            fields.insert("matchingEventId".to_owned(), json!(event));
        }
        json
    });
    let headers = response.headers_mut();
    headers.insert("x-hits", HeaderValue::from(hits));
    headers.insert("x-max-hits", HeaderValue::from(issue_search::MAX_HITS));
    Ok(response)
}
