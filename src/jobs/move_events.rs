//! Moves what is left of the events of issues that were merged or split.

use std::sync::Arc;

use anyhow::Context;

use crate::app::App;
use crate::store::issue_merge;

/// Until all are where they belong.
pub(super) async fn run(app: Arc<App>) -> anyhow::Result<()> {
    while issue_merge::carry_some(&app.db).await.context("move the events of an issue")? {}
    Ok(())
}
