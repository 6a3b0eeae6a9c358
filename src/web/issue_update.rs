//! Forms that change the status of issues, of those ticked in the list or of the one on its page; that merge those that
//! are ticked, and that split a part off again.

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
use crate::store::issue_merge::{self, MergeError, SplitError};
use crate::store::issue_search;
use crate::store::issue_status::{self, IssueStatus};

/// Most issues changed at once: more than a page shows.
const MAX: usize = 100;

/// `POST /issues/`: field `issue` for each one ticked.
pub(super) async fn many(State(app): State<Arc<App>>, submission: Submission) -> Result<Redirect, Failure> {
    let merges = submission.fields.get("merge") == "yes";
    let status = if merges { None } else { Some(status(&submission.fields)?) };
    let ids: Vec<IssueId> = submission.fields.all("issue").take(MAX).filter_map(|text| text.parse().ok()).collect();
    let mut allowed = HashSet::new();
    for id in &ids {
        let Some(issue) = issue_search::find(&app.db, *id).await? else { continue };
        if !allowed.contains(&issue.organization_id) {
            scope::require(&app, &submission.viewer.user, issue.organization_id).await?;
            allowed.insert(issue.organization_id);
        }
    }
    let done = match status {
        Some(status) => ("changed", issue_status::update(&app.db, &ids, status).await?),
        None => merge(&app, &ids).await?,
    };
    let back = safe_next(Some(submission.fields.get("back")));
    let back = if back.starts_with("/issues/") { back } else { "/issues/" };
    let separator = if back.contains('?') { '&' } else { '?' };
    Ok(Redirect::to(&format!("{back}{separator}{}={}", done.0, done.1)))
}

/// Which words of the list say what came of it, and a number for them.
async fn merge(app: &App, ids: &[IssueId]) -> Result<(&'static str, u64), Failure> {
    match issue_merge::merge(&app.db, ids).await {
        Ok(merged) => {
            issue_merge::carry(&app.db).await?;
            Ok(("merged", merged.children.len() as u64 + 1))
        }
        Err(MergeError::Store(error)) => Err(error.into()),
        Err(MergeError::TooFew | MergeError::TooMany) => Ok(("unmerged", 1)),
        Err(MergeError::SeveralProjects) => Ok(("unmerged", 2)),
        Err(MergeError::Busy) => Ok(("unmerged", 3)),
    }
}

/// `POST /issues/{issue}/split/`: field `hash` for each part that becomes an issue of its own.
pub(super) async fn split(
    State(app): State<Arc<App>>,
    Path(id): Path<IssueId>,
    submission: Submission,
) -> Result<Redirect, Failure> {
    let issue = issue_search::find(&app.db, id).await?.ok_or(Failure::NotFound)?;
    scope::require(&app, &submission.viewer.user, issue.organization_id).await?;
    let hashes: Vec<Vec<u8>> =
        submission.fields.all("hash").take(MAX).filter_map(|hash| hex::decode(hash).ok()).collect();
    match issue_merge::split(&app.db, issue.project_id, issue.id, &hashes).await {
        Ok(new) => {
            issue_merge::carry(&app.db).await?;
            Ok(Redirect::to(&format!("/issues/{new}/")))
        }
        Err(SplitError::Store(error)) => Err(error.into()),
        Err(SplitError::NoSuchPart | SplitError::NothingLeft) => {
            Ok(Redirect::to(&format!("/issues/{}/#parts", issue.id)))
        }
    }
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
