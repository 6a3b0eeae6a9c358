//! Half an hour of steady load: whether memory stays flat, and everything adds up in the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::ack_log::{AckLog, Told};
use crate::appliance::Appliance;
use crate::corpus::Corpus;
use crate::database::Database;
use crate::generator::{Clients, Load, as_f64};
use crate::measure::{megabytes, report_refusals};

/// Between two looks at memory.
const SAMPLE: Duration = Duration::from_secs(10);

/// Mostly busy clients, some with new connections, some idle.
const CLIENTS: Clients = Clients { kept: 40, fresh: 8, idle: 40, uploads: 0 };

/// Megabytes that all processes may grow by in the second half.
const GROWTH: f64 = 20.0;

/// Minutes that a soak must last to say so: caches fill first.
const FLAT_AFTER: usize = 20;

/// Megabytes of the processes of one name, with the seconds at which they were seen.
type Series = Vec<(f64, f64)>;

/// Steady load of `rate` events a second.
pub(crate) fn soak(binaries: &Path, corpus: &Corpus, minutes: usize, rate: usize) -> Result<()> {
    println!("soak: {rate}/s of {} ({} bytes) for {minutes} min", corpus.name, corpus.bytes);
    let mut appliance = Appliance::new(binaries)?;
    appliance.start()?;
    let (dsn, folder) = (appliance.dsn()?, tempfile::tempdir()?);
    let path = folder.path().join("acknowledgements");
    let log = AckLog::open(&path)?;
    let load = Load {
        corpus,
        dsn: &dsn,
        events: rate * minutes * 60,
        rate: Some(rate),
        limit: None,
        clients: CLIENTS,
        log: Some(&log),
        is_enough: None,
    };
    let mut memory: BTreeMap<String, Series> = BTreeMap::new();
    let answers = std::thread::scope(|scope| {
        let sending = scope.spawn(|| load.run());
        let (begun, mut due) = (Instant::now(), Instant::now());
        while !sending.is_finished() {
            if Instant::now() >= due {
                due += SAMPLE;
                sample(&appliance, begun.elapsed().as_secs_f64(), &mut memory)?;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        sending.join().ok().context("the load's thread panicked")?
    })?;
    report_refusals(&answers.refused);
    println!("  {} accepted in {:.0} s; {}", answers.accepted, answers.took.as_secs_f64(), answers.summary());

    println!("  memory (PSS), first and last minute, and how it grows over the second half:");
    for (name, series) in &memory {
        let half = series.get(series.len() / 2..).unwrap_or_default();
        println!(
            "  {:>7.1} -> {:>7.1} MB, {:>+7.1} MB an hour  {name}",
            mean(series.get(..series.len().min(6)).unwrap_or_default()),
            mean(tail(series)),
            slope(half) * 3600.0,
        );
    }
    let mut told = Told::default();
    told.read(&path)?;
    let mut database = Database::connect(&appliance.database()?)?;
    database.wait_for(answers.accepted)?;
    database.verify(&told)?;
    let all = memory.get("all").map(Vec::as_slice).unwrap_or_default();
    let (first, second) = all.split_at(all.len() / 2);
    let grown = mean(tail(second)) - mean(tail(first));
    ensure!(minutes < FLAT_AFTER || grown <= GROWTH, "memory is not flat: {grown:.1} MB more in the second half");
    appliance.stop()
}

fn sample(appliance: &Appliance, at: f64, memory: &mut BTreeMap<String, Series>) -> Result<()> {
    let mut now: BTreeMap<String, u64> = BTreeMap::new();
    for process in appliance.processes()? {
        for name in [process.name.as_str(), "all"] {
            *now.entry(name.to_owned()).or_default() += process.pss;
        }
    }
    for (name, bytes) in now {
        memory.entry(name).or_default().push((at, megabytes(bytes)));
    }
    Ok(())
}

/// The last minute.
fn tail(series: &[(f64, f64)]) -> &[(f64, f64)] {
    series.get(series.len().saturating_sub(6)..).unwrap_or_default()
}

fn mean(series: &[(f64, f64)]) -> f64 {
    series.iter().map(|(_, value)| value).sum::<f64>() / as_f64(series.len().max(1))
}

/// Of the straight line through the points, by least squares; 0 for fewer than two.
fn slope(series: &[(f64, f64)]) -> f64 {
    let count = as_f64(series.len());
    let (x, y) = (series.iter().map(|(x, _)| x).sum::<f64>(), series.iter().map(|(_, y)| y).sum::<f64>());
    let (xy, xx) = (series.iter().map(|(x, y)| x * y).sum::<f64>(), series.iter().map(|(x, _)| x * x).sum::<f64>());
    let spread = count * xx - x * x;
    if spread > 0.0 { (count * xy - x * y) / spread } else { 0.0 }
}
