//! A project for each row of a table, so that all rows share one application and none sees another's items.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use glitchbox::ids::ProjectId;
use glitchbox::store::project_key;

use super::rows;
use crate::api::seed::new_project;
use crate::support::TestApp;

/// Where one row sends to.
pub(super) struct Place {
    pub(super) project: ProjectId,
    pub(super) key: String,
}

impl Place {
    /// A new project and its key.
    pub(super) async fn new(app: &TestApp, number: usize) -> Self {
        let project = new_project(app, app.organization.id, &format!("row-{number}")).await;
        let key = project_key::insert(&app.app.db, project, "").await.unwrap();
        Self { project, key: key.public_key }
    }

    pub(super) fn path(&self, endpoint: &str) -> String {
        format!("/api/{}/{endpoint}/?sentry_key={}", self.project, self.key)
    }
}

/// What became of a project's items: `accepted/error 1, stored/error 1`.
async fn fates(app: &TestApp) -> BTreeMap<ProjectId, String> {
    let query = "select project_id, string_agg(fate, ', ' order by fate) as fates from (
             select project_id, outcome || '/' || category || case reason when '' then '' else '/' || reason end || ' '
                 || sum(quantity) as fate
             from outcome_hourly group by project_id, outcome, category, reason) each group by project_id";
    let rows = rows(app, query).await;
    rows.iter()
        .map(|row| (ProjectId(row["project_id"].as_i64().unwrap()), row["fates"].as_str().unwrap().to_owned()))
        .collect()
}

/// Waits until every row's project has the fates that the row states; shows all that differ otherwise.
pub(super) async fn expect_fates(app: &TestApp, expected: &[(&str, ProjectId, &str)]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        app.drain().await;
        let found = fates(app).await;
        let of = |project| found.get(&project).map_or("", String::as_str);
        let different: Vec<String> = expected
            .iter()
            .filter(|(_, project, wanted)| of(*project) != *wanted)
            .map(|(name, project, wanted)| format!("{name}: {:?} in place of {wanted:?}", of(*project)))
            .collect();
        if different.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{}", different.join("\n"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
