//! What each project wants of what is sent to it, as the worker has it in hand.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep, timeout};

use crate::ids::ProjectId;
use crate::process::ProjectRules;
use crate::shutdown::Shutdown;
use crate::store::project_rules;

/// The rules of projects that have some of their own, by project. Cheap to clone.
pub(super) type RuleSet = Arc<HashMap<ProjectId, Arc<ProjectRules>>>;

/// What has been read so lately is not looked at again: a change takes effect with the first batch after that.
const FRESH: Duration = Duration::from_secs(1);

/// PostgreSQL has so long to say what is new; events do not wait longer for it, since none can be stored anyhow.
const LOOK_LIMIT: Duration = Duration::from_millis(500);

/// Pause between looks while PostgreSQL is away and nothing is known yet.
const PAUSE: Duration = Duration::from_millis(250);

/// Reads what has changed, one query a second at most; nothing of it runs while there is nothing to store.
#[derive(Debug, Default)]
pub(super) struct Rules {
    versions: HashMap<ProjectId, i64>,
    set: RuleSet,
    looked_at: Option<Instant>,
    failures: u32,
}

impl Rules {
    /// Insists until the rules are known: what a project wants to be taken out must not be stored because nobody knew.
    /// False when the process ends first.
    pub(super) async fn load(&mut self, db: &PgPool, shutdown: &Shutdown) -> bool {
        while !self.look(db).await {
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = shutdown.draining() => return false,
            }
        }
        true
    }

    /// The rules as they are now, or were within the last second. While PostgreSQL does not answer: as they were.
    pub(super) async fn current(&mut self, db: &PgPool) -> RuleSet {
        if self.looked_at.is_none_or(|at| at.elapsed() >= FRESH) {
            self.look(db).await;
        }
        Arc::clone(&self.set)
    }

    async fn look(&mut self, db: &PgPool) -> bool {
        let outcome = timeout(LOOK_LIMIT, self.refresh(db)).await;
        self.looked_at = Some(Instant::now());
        let error = match outcome {
            Ok(Ok(())) => {
                self.failures = 0;
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        self.failures += 1;
        if self.failures.is_power_of_two() {
            tracing::warn!(error, failures = self.failures, "the projects' rules could not be read; trying again");
        }
        false
    }

    async fn refresh(&mut self, db: &PgPool) -> crate::store::Result<()> {
        let versions = project_rules::versions(db).await?;
        let is_same = |(project, version): &(ProjectId, i64)| self.versions.get(project) == Some(version);
        let changed: Vec<ProjectId> =
            versions.iter().filter(|one| !is_same(one)).map(|(project, _)| *project).collect();
        if changed.is_empty() && versions.len() == self.versions.len() {
            return Ok(());
        }
        let mut set = HashMap::clone(&self.set);
        let mut known: HashMap<ProjectId, i64> = versions.into_iter().filter(is_same).collect();
        for row in project_rules::list_of(db, &changed).await? {
            let rules = ProjectRules::of(&row.rules.filters, &row.rules.privacy);
            set.insert(row.project_id, Arc::new(rules));
            known.insert(row.project_id, row.version);
        }
        set.retain(|project, _| known.contains_key(project));
        (self.versions, self.set) = (known, Arc::new(set));
        Ok(())
    }
}
