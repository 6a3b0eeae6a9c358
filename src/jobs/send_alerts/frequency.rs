//! Looks for issues that have had as many events as an alert wants, beside the sending: however long it takes, or if
//! it fails, what is known to be told is told.

use std::time::Duration;

use chrono::Utc;
use tokio::time::sleep;

use crate::app::App;
use crate::shutdown::Shutdown;
use crate::store::notice::{NOTE_LIMIT, note_frequent};

/// Pause between two looks while events come.
const PAUSE: Duration = Duration::from_secs(10);

/// Looks at the projects that have events, until `shutdown`; the first time at all: nothing is known yet of what
/// happened before this process.
pub(super) async fn run(app: &App, shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.draining() => {}
        () = look_again_and_again(app) => {}
    }
}

async fn look_again_and_again(app: &App) {
    let mut is_first = true;
    let mut failures = 0_u32;
    loop {
        let busy = if is_first { Vec::new() } else { app.alerts.busy().await };
        match note_frequent(&app.db, (!is_first).then_some(busy.as_slice()), Utc::now()).await {
            Ok(noted) => {
                failures = 0;
                // There may be more of them.
                if noted >= NOTE_LIMIT {
                    app.alerts.add_busy(busy.into_iter());
                } else {
                    is_first = false;
                }
                if noted > 0 {
                    app.alerts.noted();
                }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures.is_power_of_two() {
                    tracing::warn!(%error, failures, "events cannot be counted for alerts; trying again");
                }
                app.alerts.add_busy(busy.into_iter());
            }
        }
        sleep(PAUSE).await;
    }
}
