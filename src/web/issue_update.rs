//! Forms that change the status of issues: of those ticked in the list, or of the one on its page.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;

use super::failure::Failure;
use super::form::{Fields, Submission};
use super::scope;
use crate::app::App;
use crate::auth::login::safe_next;
use crate::ids::IssueId;
use crate::store::issue_search;
use crate::store::issue_status::{self, IssueStatus};

/// Most issues changed at once: more than a page shows.
const MAX: usize = 100;

/// `POST /issues/`: field `issue` for each one ticked.
pub(super) async fn many(State(app): State<Arc<App>>, submission: Submission) -> Result<Redirect, Failure> {
    let status = status(&submission.fields)?;
    let ids: Vec<IssueId> = submission.fields.all("issue").take(MAX).filter_map(|text| text.parse().ok()).collect();
    let mut allowed = HashSet::new();
    for id in &ids {
        let Some(issue) = issue_search::find(&app.db, *id).await? else { continue };
        if !allowed.contains(&issue.organization_id) {
            scope::require(&app, &submission.viewer.user, issue.organization_id).await?;
            allowed.insert(issue.organization_id);
        }
    }
    let changed = issue_status::update(&app.db, &ids, status).await?;
    let back = safe_next(Some(submission.fields.get("back")));
    let back = if back.starts_with("/issues/") { back } else { "/issues/" };
    let separator = if back.contains('?') { '&' } else { '?' };
    Ok(Redirect::to(&format!("{back}{separator}changed={changed}")))
}

/// `POST /issues/{issue}/`
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<IssueId>,
    submission: Submission,
) -> Result<Redirect, Failure> {
    let status = status(&submission.fields)?;
    let issue = issue_search::find(&app.db, id).await?.ok_or(Failure::NotFound)?;
    scope::require(&app, &submission.viewer.user, issue.organization_id).await?;
    issue_status::update(&app.db, &[id], status).await?;
    Ok(Redirect::to(&format!("/issues/{id}/")))
}

fn status(fields: &Fields) -> Result<IssueStatus, Failure> {
    IssueStatus::from_name(fields.get("status")).ok_or(Failure::BadRequest)
}
