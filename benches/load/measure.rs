//! One function for each figure; each prints what was measured and how.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlx::{ConnectOptions, PgConnection};

use crate::appliance::{Appliance, Process};
use crate::corpus::Corpus;
use crate::generator::{Load, as_f64};

const MEGABYTE: f64 = 1_000_000.0;

/// First boot and warm start, median of five each.
pub(crate) fn boot(binaries: &Path) -> Result<()> {
    let (mut first, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let mut appliance = Appliance::new(binaries)?;
        first.push(appliance.start()?);
        appliance.stop()?;
        warm.push(appliance.start()?);
        appliance.stop()?;
    }
    for (name, mut times) in [("first boot, empty data directory", first), ("warm start", warm)] {
        times.sort_unstable();
        let median = times.get(times.len() / 2).context("five runs")?;
        let all: Vec<String> = times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect();
        println!("{name} until /_health/ 200: {:.2} s (median of {})", median.as_secs_f64(), all.join(", "));
    }
    Ok(())
}

/// Memory of every process a minute after the first boot.
pub(crate) fn memory(binaries: &Path) -> Result<()> {
    let mut appliance = Appliance::new(binaries)?;
    appliance.start()?;
    std::thread::sleep(Duration::from_mins(1));
    println!("idle memory (PSS) 60 s after the first boot:");
    print_memory(&appliance.processes()?);
    appliance.stop()
}

fn print_memory(processes: &[Process]) {
    let mut by_name: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for process in processes {
        let entry = by_name.entry(&process.name).or_default();
        *entry = (entry.0 + 1, entry.1 + process.pss);
    }
    for (name, (count, bytes)) in &by_name {
        println!("  {:>7.1} MB  {name} ({count})", megabytes(*bytes));
    }
    println!("  {:>7.1} MB  all", megabytes(processes.iter().map(|process| process.pss).sum()));
}

/// Drained throughput, CPU, acknowledgement and bytes for one body.
pub(crate) fn ingest(binaries: &Path, corpus: &Corpus, events: usize) -> Result<()> {
    let issues = corpus.issue_count();
    println!(
        "ingest of {} ({} bytes, {issues} issues, uncompressed envelopes of one event):",
        corpus.name, corpus.bytes
    );
    let mut appliance = Appliance::new(binaries)?;
    appliance.start()?;
    let dsn = appliance.dsn()?;
    let mut database = Database::connect(&appliance)?;
    let load = |events, rate, connections| Load { corpus, dsn: &dsn, events, rate, connections };

    let warm_up = load(500, None, 8).run()?;
    database.wait_for(warm_up.accepted)?;

    let cpu_before = cpu(&appliance)?;
    let run = load(events, None, 32).run()?;
    report_refusals(&run.refused);
    let mut stored = warm_up.accepted + run.accepted;
    database.wait_for(stored)?;
    let drained = run.started.elapsed().as_secs_f64();
    let cpu_used = cpu(&appliance)? - cpu_before;
    println!(
        "  drained: {:.0} events/s ({} accepted in {:.1} s over 32 connections, all stored after {drained:.1} s)",
        as_f64(run.accepted) / drained,
        run.accepted,
        run.took.as_secs_f64(),
    );
    println!("  CPU: {:.3} s per 1,000 events, all processes", cpu_used * 1000.0 / as_f64(run.accepted));

    let paced = load(20_000, Some(1_000), 64).run()?;
    report_refusals(&paced.refused);
    let millis = |per_mille| paced.percentile(per_mille).as_secs_f64() * 1000.0;
    println!(
        "  acknowledgement at 1,000/s for 20 s: p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms",
        millis(500),
        millis(990),
        millis(1000),
    );
    stored += paced.accepted;
    database.wait_for(stored)?;

    let (rows, bytes) = database.size()?;
    ensure!(rows == stored, "{stored} events were accepted and {rows} are stored");
    println!("  stored: {:.0} bytes per event, all tables and indexes ({rows} events)", as_f64(bytes) / as_f64(rows));
    println!("  memory (PSS) after it:");
    print_memory(&appliance.processes()?);
    appliance.stop()
}

fn report_refusals(refused: &[String]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in refused {
        *counts.entry(reason).or_default() += 1;
    }
    for (reason, count) in counts {
        println!("  NOT ACCEPTED: {count} x {reason}");
    }
}

fn cpu(appliance: &Appliance) -> Result<f64> {
    Ok(appliance.processes()?.iter().map(|process| process.cpu).sum())
}

#[allow(clippy::cast_precision_loss, reason = "a machine's memory is far below 2^53 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MEGABYTE
}

/// Looks at what has been stored.
struct Database {
    runtime: tokio::runtime::Runtime,
    connection: PgConnection,
}

impl Database {
    fn connect(appliance: &Appliance) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(appliance.database()?.connect())?;
        Ok(Self { runtime, connection })
    }

    /// Waits until this many events are counted on their issues; fails when nothing moves for 30 s.
    fn wait_for(&mut self, events: usize) -> Result<()> {
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
    fn size(&mut self) -> Result<(usize, usize)> {
        let query = sqlx::query_as(
            "select (select count(*) from event), (select sum(pg_total_relation_size(c.oid))::bigint from pg_class c \
             join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname = 'public')",
        );
        let (rows, bytes): (i64, i64) = self.runtime.block_on(query.fetch_one(&mut self.connection))?;
        Ok((usize::try_from(rows)?, usize::try_from(bytes)?))
    }
}
