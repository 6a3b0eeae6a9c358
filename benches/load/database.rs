//! Looks at what has been stored.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use crate::ack_log::Told;
use crate::books::{Books, QUERY, STORED};

/// How long it may take until what was accepted is settled.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);

pub(crate) struct Database {
    runtime: tokio::runtime::Runtime,
    connection: PgConnection,
}

impl Database {
    pub(crate) fn connect(options: &PgConnectOptions) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(options.connect())?;
        Ok(Self { runtime, connection })
    }

    /// Waits until this many events are counted on their issues; fails when nothing moves for 30 s.
    pub(crate) fn wait_for(&mut self, events: usize) -> Result<()> {
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            let query = sqlx::query_scalar("select coalesce(sum(event_count), 0)::bigint from issue");
            let count: i64 = self.runtime.block_on(query.fetch_one(&mut self.connection))?;
            let count = usize::try_from(count)?;
            if count >= events {
                return Ok(());
            }
            if count != last {
                (last, moved) = (count, Instant::now());
            }
            ensure!(moved.elapsed() < Duration::from_secs(30), "{count} of {events} events stored, and no more come");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Events, and the bytes of all tables with their indexes.
    pub(crate) fn size(&mut self) -> Result<(usize, usize)> {
        let query = sqlx::query_as(
            "select (select count(*) from event), (select sum(pg_total_relation_size(c.oid))::bigint from pg_class c \
             join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname = 'public')",
        );
        let (rows, bytes): (i64, i64) = self.runtime.block_on(query.fetch_one(&mut self.connection))?;
        Ok((usize::try_from(rows)?, usize::try_from(bytes)?))
    }

    /// Compares what senders were told with what is stored, and the counters with the rows; prints both. What is still
    /// under way gets a minute to arrive.
    pub(crate) fn verify(&mut self, told: &Told) -> Result<()> {
        let begun = Instant::now();
        loop {
            let stored: Vec<String> =
                self.runtime.block_on(sqlx::query_scalar(STORED).fetch_all(&mut self.connection))?;
            let books: String = self.runtime.block_on(sqlx::query_scalar(QUERY).fetch_one(&mut self.connection))?;
            let books: Books = serde_json::from_str(&books)?;
            let account = told.account();
            let complaints = books.complaints(&stored, account);
            if complaints.is_empty() {
                println!(
                    "  verified: {} of {} requests answered 200, {} events acknowledged and stored exactly once; accepted {} = \
                     stored {} + filtered {} ({} of them duplicates) + rejected {}",
                    account.receptions,
                    account.requests,
                    account.acknowledged.len(),
                    books.accepted,
                    books.stored,
                    books.filtered,
                    books.duplicates,
                    books.rejected,
                );
                return Ok(());
            }
            ensure!(begun.elapsed() < SETTLED_WITHIN, "NOT VERIFIED: {}", complaints.join("; "));
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}
