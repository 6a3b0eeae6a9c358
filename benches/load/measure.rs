//! One function for each figure; each prints what was measured and how.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::ack_log::AckLog;
use crate::appliance::{Appliance, Process};
use crate::corpus::Corpus;
use crate::database::Database;
use crate::generator::{Clients, Load, as_f64};

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
    let mut database = Database::connect(&appliance.database()?)?;
    let load = |events, rate, connections| Load {
        corpus,
        dsn: &dsn,
        events,
        rate,
        limit: None,
        clients: Clients::kept(connections),
        log: None,
        is_enough: None,
    };

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
    println!("  acknowledgement at 1,000/s for 20 s: {}", paced.summary());
    stored += paced.accepted;
    database.wait_for(stored)?;

    let (rows, bytes) = database.size()?;
    ensure!(rows == stored, "{stored} events were accepted and {rows} are stored");
    println!("  stored: {:.0} bytes per event, all tables and indexes ({rows} events)", as_f64(bytes) / as_f64(rows));
    println!("  memory (PSS) after it:");
    print_memory(&appliance.processes()?);
    appliance.stop()
}

/// Load on an instance that is there already.
pub(crate) fn load(
    corpus: &Corpus,
    dsn: &str,
    (rate, seconds): (Option<usize>, usize),
    clients: Clients,
    log: Option<&AckLog>,
) -> Result<()> {
    let how = rate.map_or("as fast as it is answered".to_owned(), |rate| format!("{rate}/s"));
    let Clients { kept, fresh, idle, .. } = clients;
    println!(
        "load of {} ({} bytes), {how} for {seconds} s; {kept} connections kept, {fresh} clients with new ones, {idle} idle:",
        corpus.name, corpus.bytes
    );
    let (events, limit) = match rate {
        Some(rate) => (rate * seconds, None),
        None => (usize::MAX, Some(Duration::from_secs(u64::try_from(seconds)?))),
    };
    let answers = Load { corpus, dsn, events, rate, limit, clients, log, is_enough: None }.run()?;
    report_refusals(&answers.refused);
    let took = answers.took.as_secs_f64();
    println!("  {} accepted in {took:.1} s ({:.0}/s)", answers.accepted, as_f64(answers.accepted) / took);
    println!("  acknowledgement, from when due: {}", answers.summary());
    Ok(())
}

/// Everything that was not answered with 200.
pub(crate) fn report_refusals(refused: &[String]) {
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
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MEGABYTE
}
