//! The looks at every part of the appliance, all at once.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::model::{Check, CheckStatus, Database, Depth};
use super::{queue, sql, web};
use crate::state::ServiceStatus;
use crate::task::{Place, PostgresPlace, RedisPlace};

/// What does not answer within this time is not well.
const LIMIT: Duration = Duration::from_secs(5);

/// psql gets a little less, so that its own words are heard.
const SQL_LIMIT: Duration = Duration::from_millis(4_500);

const MB: u64 = 1024 * 1024;

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Findings {
    /// One for each part, always in the same order.
    pub(super) checks: Vec<Check>,
    pub(super) database: Option<Database>,
    pub(super) depth: Option<Depth>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub(super) fn is_well(&self) -> bool {
        self.checks.iter().all(|check| check.status != CheckStatus::Failed)
    }
}

/// Looks at everything in parallel, for at most five seconds. `services` is what the supervisor says of them.
pub(super) async fn look(place: &Place, services: &[ServiceStatus]) -> Findings {
    let ((postgres, database), (redis, depth), web) = tokio::join!(postgres(place), redis(place), web(place, services));
    Findings { checks: vec![postgres, redis, web, worker(services)], database, depth }
}

async fn postgres(place: &Place) -> (Check, Option<Database>) {
    match &place.postgres {
        PostgresPlace::Bundled { bin, superuser_password, .. } => {
            let (bin, password) = (bin.clone(), superuser_password.clone());
            let asked = async {
                let answer = tokio::task::spawn_blocking(move || sql::facts(&bin, &password, SQL_LIMIT)).await;
                let database = answer.map_err(|error| error.to_string())??;
                let words = format!(
                    "{}, {} MB, {} of {} connections",
                    database.version,
                    database.size / MB,
                    database.conns,
                    database.max_conns
                );
                Ok((words, Some(database)))
            };
            timed("postgres", asked).await
        }
        PostgresPlace::External { .. } => timed("postgres", with_nothing(web::component(place.port, "database"))).await,
        PostgresPlace::Absent => (absent("postgres"), None),
    }
}

async fn redis(place: &Place) -> (Check, Option<Depth>) {
    match &place.redis {
        RedisPlace::Bundled { password } => {
            let asked = async {
                let facts = queue::facts(password).await?;
                let (memory, entries) = (facts.used_memory / MB, facts.depth.entries);
                Ok((format!("{}, {memory} MB, {entries} entries queued", facts.version), Some(facts.depth)))
            };
            timed("redis", asked).await
        }
        RedisPlace::External { .. } => timed("redis", with_nothing(web::component(place.port, "redis"))).await,
        RedisPlace::Absent => (absent("redis"), None),
    }
}

async fn web(place: &Place, services: &[ServiceStatus]) -> Check {
    match find(services, "web") {
        None => return absent("web"),
        Some(service) if is_stopped(service) => return stopped(service),
        Some(_) => {}
    }
    timed::<()>("web", with_nothing(web::health(place.port))).await.0
}

fn worker(services: &[ServiceStatus]) -> Check {
    let Some(service) = find(services, "worker") else { return absent("worker") };
    if is_stopped(service) {
        return stopped(service);
    }
    let status = if service.is_well() { CheckStatus::Ok } else { CheckStatus::Failed };
    let detail = if service.is_well() {
        format!("{}, generation {}", service.state, service.generation)
    } else {
        format!("{}: {}", service.state, service.health)
    };
    Check { name: "worker".to_owned(), status, ms: 0, detail }
}

/// Whether an operator has taken it down.
pub(super) fn is_stopped(service: &ServiceStatus) -> bool {
    matches!(service.state.as_str(), "stopped" | "stopping")
}

/// The row of one service.
pub(super) fn find<'a>(services: &'a [ServiceStatus], name: &str) -> Option<&'a ServiceStatus> {
    services.iter().find(|service| service.name == name)
}

async fn with_nothing<T>(answer: impl Future<Output = Result<String, String>>) -> Result<(String, Option<T>), String> {
    Ok((answer.await?, None))
}

async fn timed<T>(name: &str, answer: impl Future<Output = Result<(String, Option<T>), String>>) -> (Check, Option<T>) {
    let began = Instant::now();
    let silent = |_| Err(format!("no answer within {} s", LIMIT.as_secs()));
    let answer = timeout(LIMIT, answer).await.unwrap_or_else(silent);
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, detail, fact) = match answer {
        Ok((detail, fact)) => (CheckStatus::Ok, detail, fact),
        Err(detail) => (CheckStatus::Failed, detail, None),
    };
    (Check { name: name.to_owned(), status, ms, detail }, fact)
}

fn absent(name: &str) -> Check {
    Check { name: name.to_owned(), status: CheckStatus::Absent, ms: 0, detail: String::new() }
}

fn stopped(service: &ServiceStatus) -> Check {
    Check { detail: service.state.clone(), ..absent(&service.name) }
}
