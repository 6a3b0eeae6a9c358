//! Table `job_run`: the jobs that one worker does for all, and whose turn it is.
//!
//! Whoever runs a job holds its advisory lock, in a transaction on a connection of its own that lives only as long as
//! the run: a worker that dies frees the job at once, and the connection pool, however small, stays the job's.

use chrono::{DateTime, Utc};
use sqlx::{ConnectOptions, Connection, PgConnection, PgExecutor, PgPool};

use super::Result;

/// First half of the advisory locks of jobs (`"gbxj"`); the second half is made of the name.
const LOCKS: i32 = 0x67_62_78_6a;

/// What is known of a job's runs, by the database's clock.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobRun {
    /// The time now.
    pub now: DateTime<Utc>,
    /// When the last run that succeeded began.
    pub succeeded_at: Option<DateTime<Utc>>,
    /// Runs that have failed since.
    pub failures: i32,
    /// After a failure: the job rests until then.
    pub retry_at: Option<DateTime<Utc>>,
    /// What the last of these runs ended with.
    pub error: Option<String>,
}

/// What is known of the runs of job `name`.
pub async fn find(db: impl PgExecutor<'_>, name: &str) -> Result<JobRun> {
    let found = sqlx::query_as(
        "select clock_timestamp() as now, r.succeeded_at, coalesce(r.failures, 0) as failures, r.retry_at, r.error
         from (select) one left join job_run r on r.name = $1",
    )
    .bind(name)
    .fetch_one(db)
    .await?;
    Ok(found)
}

/// Notes that what is called `name` happens now.
pub async fn note(db: impl PgExecutor<'_>, name: &str) -> Result<()> {
    sqlx::query(
        "insert into job_run (name, succeeded_at) values ($1, clock_timestamp())
         on conflict (name) do update set succeeded_at = excluded.succeeded_at",
    )
    .bind(name)
    .execute(db)
    .await?;
    Ok(())
}

/// The right to run a job, while it lives.
#[derive(Debug)]
pub struct Turn {
    name: &'static str,
    connection: PgConnection,
    /// What is known of the job's runs; nobody else changes it during this turn.
    pub run: JobRun,
}

/// Takes the job's turn; none while somebody else has it.
pub async fn take_turn(pool: &PgPool, name: &'static str) -> Result<Option<Turn>> {
    let mut connection = pool.connect_options().connect().await?;
    sqlx::query("begin").execute(&mut connection).await?;
    let is_ours: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock($1, hashtext($2))")
        .bind(LOCKS)
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
    if !is_ours {
        connection.close().await?;
        return Ok(None);
    }
    let run = find(&mut connection, name).await?;
    Ok(Some(Turn { name, connection, run }))
}

impl Turn {
    /// Ends the turn without having run.
    pub async fn pass(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }

    /// Notes that the run, which began at `self.run.now`, has done its work.
    pub async fn succeeded(mut self) -> Result<()> {
        sqlx::query(
            "insert into job_run (name, succeeded_at) values ($1, $2)
             on conflict (name) do update set
                 succeeded_at = excluded.succeeded_at, failures = 0, retry_at = null, error = null",
        )
        .bind(self.name)
        .bind(self.run.now)
        .execute(&mut self.connection)
        .await?;
        self.end().await
    }

    /// Notes that the run has failed, and until when the job rests. The error's text is cut at 2,000 characters.
    pub async fn failed(mut self, retry_at: DateTime<Utc>, error: &str) -> Result<()> {
        sqlx::query(
            "insert into job_run (name, failures, retry_at, error) values ($1, 1, $2, left($3, 2000))
             on conflict (name) do update set
                 failures = job_run.failures + 1, retry_at = excluded.retry_at, error = excluded.error",
        )
        .bind(self.name)
        .bind(retry_at)
        .bind(error.replace('\0', ""))
        .execute(&mut self.connection)
        .await?;
        self.end().await
    }

    async fn end(mut self) -> Result<()> {
        sqlx::query("commit").execute(&mut self.connection).await?;
        Ok(self.connection.close().await?)
    }
}
