//! Makes the dictionaries that payloads are compressed with: what is the same in all events of a project is then
//! stored once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::job::Job;
use crate::app::App;
use crate::ids::ProjectId;
use crate::queue::Queue;
use crate::store::{job_run, payload, payload_dictionary};

/// [`run`], asked for by a worker that sees much of a new project.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TrainDictionaries {}

impl Job for TrainDictionaries {
    const NAME: &'static str = "train_dictionaries";
    const QUEUE: Queue = Queue::Maintenance;
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn dedup_key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, app: Arc<App>) -> anyhow::Result<()> {
        run(app).await
    }
}

/// Makes what is due, unless another worker is at it, and takes up what is new.
pub(super) async fn run(app: Arc<App>) -> anyhow::Result<()> {
    if !due(&app).await?.is_empty()
        && let Some(turn) = job_run::take_turn(&app.db, "train_dictionaries").await.context("take the turn")?
    {
        // What is due now, with nobody else at it.
        for project in due(&app).await? {
            train(&app, project).await?;
        }
        turn.pass().await.context("end the turn")?;
    }
    app.encoders.refresh(&app.db).await.context("read the dictionaries")
}

async fn due(app: &App) -> anyhow::Result<Vec<ProjectId>> {
    let mut projects = payload_dictionary::due(&app.db).await.context("look for projects without a dictionary")?;
    projects.retain(|project| !app.encoders.is_postponed(*project));
    Ok(projects)
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
