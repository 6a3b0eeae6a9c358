//! Scheduled restarts in a row under load: nobody should notice.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::ack_log::{AckLog, Told};
use crate::appliance::Appliance;
use crate::corpus::Corpus;
use crate::database::Database;
use crate::generator::{Clients, Load};
use crate::measure::report_refusals;

/// Clients that do not retry: busy ones, some with new connections, some that come back after pauses of 1 to 8 s, and
/// some whose bodies take two seconds.
const CLIENTS: Clients = Clients { kept: 40, fresh: 8, idle: 40, uploads: 10 };

/// Load before the first restart, and after the last, so that its old generation has drained.
const BEFORE: Duration = Duration::from_secs(20);
const AFTER: Duration = Duration::from_secs(12);

/// No restart may take longer.
const WITHIN: Duration = Duration::from_secs(10);

/// So many restarts, each as soon as the one before has reported, under `rate` requests a second.
pub(crate) fn restarts(binaries: &Path, corpus: &Corpus, times: usize, rate: usize) -> Result<()> {
    println!("{times} scheduled restarts in a row under {rate}/s of {} ({} bytes):", corpus.name, corpus.bytes);
    let mut appliance = Appliance::new(binaries)?;
    appliance.start()?;
    let (dsn, folder) = (appliance.dsn()?, tempfile::tempdir()?);
    let path = folder.path().join("acknowledgements");
    let log = AckLog::open(&path)?;
    // Ended by the last restart, whenever that is.
    let limit = BEFORE + WITHIN * u32::try_from(times)? + AFTER;
    let events = usize::try_from(limit.as_secs())? * rate;
    let is_enough = std::sync::atomic::AtomicBool::new(false);
    let load = Load {
        corpus,
        dsn: &dsn,
        events,
        rate: Some(rate),
        limit: Some(limit),
        clients: CLIENTS,
        log: Some(&log),
        is_enough: Some(&is_enough),
    };
    let (answers, before, spans) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| load.run());
        let done = restart_often(&appliance, times);
        std::thread::sleep(AFTER);
        is_enough.store(true, std::sync::atomic::Ordering::Relaxed);
        let answers = sending.join().ok().context("the load's thread panicked")??;
        let (before, spans) = done?;
        anyhow::Ok((answers, before, spans))
    })?;
    report_refusals(&answers.refused);
    let longest = spans.iter().map(|(from, to)| to.duration_since(*from)).max().unwrap_or_default();
    let took: Vec<String> =
        spans.iter().map(|(from, to)| format!("{:.1}", to.duration_since(*from).as_secs_f64())).collect();
    println!(
        "  {} accepted, {} failed; each restart took, in s: {}",
        answers.accepted,
        answers.refused.len(),
        took.join(" ")
    );
    let (p99_before, count_before) = answers.percentile_within(9_900, &[before]);
    let (p99_during, count_during) = answers.percentile_within(9_900, &spans);
    println!(
        "  acknowledgement p99: before {p99_before:.2} ms ({count_before} requests), during {p99_during:.2} ms \
         ({count_during}): {:.1} times; over all: {}",
        p99_during / p99_before,
        answers.summary()
    );
    let mut told = Told::default();
    told.read(&path)?;
    let mut database = Database::connect(&appliance.database()?)?;
    database.wait_for(answers.accepted)?;
    database.verify(&told)?;
    ensure!(answers.refused.is_empty(), "{} requests failed", answers.refused.len());
    ensure!(longest <= WITHIN, "a restart took {longest:.1?}");
    let stopping = Instant::now();
    appliance.stop()?;
    println!("  stopped in order in {:.2} s", stopping.elapsed().as_secs_f64());
    Ok(())
}

/// From when to when nothing was restarted, and from when to when each restart went on.
type Spans = ((Instant, Instant), Vec<(Instant, Instant)>);

fn restart_often(appliance: &Appliance, times: usize) -> Result<Spans> {
    let begun = Instant::now();
    std::thread::sleep(BEFORE);
    // The first second finds cold caches.
    let before = (begun + Duration::from_secs(5), Instant::now());
    let mut spans = Vec::new();
    for _ in 0..times {
        let from = Instant::now();
        let report = appliance.restart()?;
        spans.push((from, Instant::now()));
        let actions = report.get("actions").and_then(serde_json::Value::as_array).into_iter().flatten();
        let times = actions.map(|action| {
            let millis = |key: &str| action.get(key).and_then(serde_json::Value::as_u64).unwrap_or_default();
            format!("{} {}+{}", action["service"].as_str().unwrap_or_default(), millis("ready_ms"), millis("drain_ms"))
        });
        println!(
            "  until the new one served + until the old one was gone, in ms: {}",
            times.collect::<Vec<_>>().join(", ")
        );
        let failed = report.pointer("/requests/failed").and_then(serde_json::Value::as_u64);
        ensure!(failed == Some(0), "the report counts failed requests: {report}");
    }
    Ok((before, spans))
}
