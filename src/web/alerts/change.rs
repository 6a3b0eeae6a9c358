//! Forms of the list: switch an alert on or off, remove it, send a test message.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Redirect;
use tokio::time::{Instant, sleep};

use super::super::failure::Failure;
use super::super::form::Submission;
use super::super::project_head::ProjectView;
use super::edit::manage;
use crate::app::App;
use crate::ids::{AlertId, AlertRecipientId};
use crate::jobs::{Job, SendTests};
use crate::store::alert::{self, Alert};
use crate::store::alert_draft::AlertDraft;
use crate::store::alert_test;

/// The page waits this long for a test message's result, so that most people see it at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(100);

/// What a path names.
type Named = Path<(String, String, AlertId)>;

/// `POST …/alerts/{alert}/switch/`: field `to` is `on` or `off`.
pub(crate) async fn switch(
    State(app): State<Arc<App>>,
    Path((organization, project, id)): Named,
    submission: Submission,
) -> Result<Redirect, Failure> {
    let (view, stored) = find(&app, &submission, &organization, &project, id).await?;
    let is_enabled = match submission.fields.get("to") {
        "on" => true,
        "off" => false,
        _ => return Err(Failure::BadRequest),
    };
    let draft = AlertDraft { is_enabled, ..AlertDraft::of(&stored) };
    let new = draft.check(&stored.recipients).map_err(|error| Failure::Internal(error.into()))?;
    alert::update(&app.db, view.project.id, id, &new).await?.ok_or(Failure::NotFound)?;
    let done = if is_enabled { "on" } else { "off" };
    Ok(Redirect::to(&format!("{}alerts/?done={done}", view.path())))
}

/// `POST …/alerts/{alert}/delete/`
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path((organization, project, id)): Named,
    submission: Submission,
) -> Result<Redirect, Failure> {
    let view = manage(&app, &submission.viewer, &organization, &project).await?;
    if !alert::delete(&app.db, view.project.id, id).await? {
        return Err(Failure::NotFound);
    }
    tracing::info!(
        project.id = view.project.id.0,
        alert.id = id.0,
        user.id = submission.viewer.user.id.0,
        "alert deleted"
    );
    Ok(Redirect::to(&format!("{}alerts/?done=deleted", view.path())))
}

/// `POST …/alerts/{alert}/test/`: field `recipient`. The worker sends it; the page shows what became of it.
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    Path((organization, project, id)): Named,
    submission: Submission,
) -> Result<Redirect, Failure> {
    let (view, stored) = find(&app, &submission, &organization, &project, id).await?;
    let recipient: AlertRecipientId = submission.fields.get("recipient").parse().map_err(|_| Failure::BadRequest)?;
    if !stored.recipients.iter().any(|one| one.id == recipient) {
        return Err(Failure::NotFound);
    }
    let viewer = &submission.viewer;
    alert_test::request(&app.db, recipient, viewer.user.id, viewer.lang().tag()).await?;
    if let Err(error) = (SendTests {}).enqueue(&app.queue).await {
        // It stays asked for: the worker looks when it is woken next, and the page says that it waits.
        tracing::warn!(%error, "the worker cannot be woken for a test message");
    }
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let tests = alert_test::list(&app.db, view.project.id).await?;
        if tests.iter().any(|test| test.recipient_id == recipient && test.settled_at.is_some()) {
            break;
        }
        sleep(LOOK).await;
    }
    Ok(Redirect::to(&format!("{}alerts/?test={recipient}", view.path())))
}

async fn find(
    app: &App,
    submission: &Submission,
    organization: &str,
    project: &str,
    id: AlertId,
) -> Result<(ProjectView, Alert), Failure> {
    let view = manage(app, &submission.viewer, organization, project).await?;
    let stored = alert::find(&app.db, view.project.id, id).await?.ok_or(Failure::NotFound)?;
    Ok((view, stored))
}
