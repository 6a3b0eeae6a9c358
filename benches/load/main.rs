//! The figures of the README, measured on the release programs; run it through `scripts/bench`.

mod appliance;
mod corpus;
mod generator;
mod measure;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// What is measured.
#[derive(Parser)]
struct Arguments {
    /// boot, memory or ingest; all of them without one
    figure: Option<String>,
    /// The folder of the release programs
    #[arg(long)]
    binaries: PathBuf,
    /// Events of the 3 KB body sent to measure ingest; a quarter of it of the 25 KB one
    #[arg(long, default_value_t = 40_000)]
    events: usize,
    /// Issues the events belong to
    #[arg(long, default_value_t = 50)]
    issues: usize,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    println!("machine: {}", machine());
    let wanted = |figure: &str| arguments.figure.as_deref().is_none_or(|name| name == figure);
    if wanted("boot") {
        measure::boot(&arguments.binaries)?;
    }
    if wanted("memory") {
        measure::memory(&arguments.binaries)?;
    }
    if wanted("ingest") {
        let small = corpus::Corpus::new("event-3k", include_str!("../corpus/event-3k.json"), arguments.issues)?;
        measure::ingest(&arguments.binaries, &small, arguments.events)?;
        let large = corpus::Corpus::new("event-25k", include_str!("../corpus/event-25k.json"), arguments.issues)?;
        measure::ingest(&arguments.binaries, &large, arguments.events / 4)?;
    }
    Ok(())
}

/// Processor, cores, memory, kernel.
fn machine() -> String {
    let value = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}, {cores} cores, {} of memory, Linux {}",
        value("/proc/cpuinfo", "model name"),
        value("/proc/meminfo", "MemTotal"),
        kernel.trim()
    )
}
