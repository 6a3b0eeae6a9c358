//! Runs jobs at fixed intervals.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::shutdown::Shutdown;

/// A job that failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(10);

type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A job and its interval.
pub struct Beat {
    /// For the log.
    pub name: &'static str,
    /// From the end of one run to the start of the next.
    pub every: Duration,
    /// The job.
    pub run: fn(Arc<App>) -> Running,
}

impl std::fmt::Debug for Beat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beat").field("name", &self.name).field("every", &self.every).finish_non_exhaustive()
    }
}

/// Runs every job of `beats` now and then at its interval, until `shutdown`.
pub fn start(app: &Arc<App>, beats: &'static [Beat], shutdown: &Shutdown) {
    for beat in beats {
        let (app, shutdown) = (Arc::clone(app), shutdown.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.draining() => {}
                () = repeat(app, beat) => {}
            }
        });
    }
}

async fn repeat(app: Arc<App>, beat: &Beat) {
    loop {
        // On a task of its own, so that a panic ends the run and not the beat.
        let pause = match tokio::spawn((beat.run)(Arc::clone(&app))).await {
            Ok(Ok(())) => beat.every,
            Ok(Err(error)) => {
                tracing::warn!(job = beat.name, error = format!("{error:#}"), "a job failed and will be tried again");
                RETRY
            }
            Err(error) => {
                tracing::error!(job = beat.name, %error, "a job broke off and will be tried again");
                RETRY
            }
        };
        sleep(pause).await;
    }
}
