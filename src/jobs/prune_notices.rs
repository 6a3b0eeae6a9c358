//! Forgets what was told long ago.

use std::sync::Arc;

use anyhow::Context;
use chrono::{Days, Utc};

use crate::app::App;
use crate::store::notice::delivery;

/// What became of a message can be looked up this long.
const KEEP: Days = Days::new(30);

/// Rows of each table in one statement.
const CHUNK: i64 = 5000;

/// Forgets what is old enough.
pub(super) async fn run(app: Arc<App>) -> anyhow::Result<()> {
    let Some(before) = Utc::now().checked_sub_days(KEEP) else { return Ok(()) };
    while delivery::prune(&app.db, before, CHUNK).await.context("forget old deliveries")? {}
    Ok(())
}
