//! Makes the dictionaries that payloads are compressed with: what is the same in all events of a project is then
//! stored once.

use std::sync::Arc;

use anyhow::Context;

use crate::app::App;
use crate::ids::ProjectId;
use crate::store::{payload, payload_dictionary};

/// Makes what is due, and takes up what is new.
pub(super) async fn run(app: Arc<App>) -> anyhow::Result<()> {
    for project in payload_dictionary::due(&app.db).await.context("look for projects without a dictionary")? {
        if !app.encoders.is_postponed(project) {
            train(&app, project).await?;
        }
    }
    app.encoders.refresh(&app.db).await.context("read the dictionaries")
}

async fn train(app: &App, project: ProjectId) -> anyhow::Result<()> {
    let documents = payload_dictionary::documents(&app.db, project).await.context("read events to learn from")?;
    let count = documents.len();
    match tokio::task::spawn_blocking(move || payload::train(&documents)).await.context("train a dictionary")? {
        Ok((id, content)) => {
            payload_dictionary::insert(&app.db, project, id, &content).await.context("store a dictionary")?;
            tracing::info!(project.id = %project, documents = count, bytes = content.len(), "a payload dictionary was made");
        }
        // Events that are all alike, or nearly empty: they are small without one.
        Err(error) => {
            app.encoders.postpone(project);
            tracing::info!(project.id = %project, documents = count, %error, "no payload dictionary can be made yet");
        }
    }
    Ok(())
}
