//! Makes the partitions of the event table ahead of time, so that midnight is an hour like any other.

use std::sync::Arc;

use anyhow::Context;
use chrono::{Days, Utc};

use crate::app::App;
use crate::store::partition;

/// So many days ahead: a worker may be away for a week.
const AHEAD: Days = Days::new(7);

/// Yesterday too: what was received before midnight may be stored after it.
const BACK: Days = Days::new(1);

/// Makes what is missing from yesterday to a week ahead.
pub(super) async fn run(app: Arc<App>) -> anyhow::Result<()> {
    let today = Utc::now().date_naive();
    let first = today.checked_sub_days(BACK).unwrap_or(today);
    let last = today.checked_add_days(AHEAD).unwrap_or(today);
    partition::ensure(&app.db, first..=last).await.context("make the event partitions")
}
