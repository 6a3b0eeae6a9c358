//! Our supervisor beside others, with services that do nothing but what is measured; run it through
//! `scripts/bench supervisor`.

mod child;
mod logs;
#[path = "../../../benches/load/machine.rs"]
mod machine;
mod measure;
mod processes;
mod rival;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use measure::Bench;
use rival::Rival;

/// Supervisors side by side: idle, replacement, a chain, shutdown, escapes, a hung service, logs.
#[derive(Parser)]
#[command(name = "scripts/bench supervisor")]
struct Arguments {
    /// Our program
    #[arg(long, hide = true)]
    supervisor: PathBuf,
    /// Less of everything: about five minutes in place of twenty
    #[arg(long)]
    quick: bool,
    /// Only figures whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A measurement and the rows it fills.
type Figure = (&'static str, &'static [&'static str], fn(&Bench, Rival) -> Result<Vec<String>>);

const FIGURES: [Figure; 7] = [
    (
        "idle",
        &["processes / threads", "idle PSS (private), MB", "idle context switches /s", "idle CPU, ms/min"],
        Bench::idle,
    ),
    ("replacement", &["SIGKILL to the next exec, ms: median / p99"], Bench::replacement),
    ("chain", &["chain of 5, each ready after 50 ms (ideal 250), ms"], Bench::chain),
    (
        "shutdown",
        &["shutdown of 5 obedient services, ms", "shutdown, one stopped (SIGSTOP), 3 s grace, ms"],
        Bench::shutdown,
    ),
    (
        "escapes",
        &["alive 100 ms after a service's death: daemon and child", "alive after the supervisor's end"],
        Bench::escapes,
    ),
    ("hung", &["a service stopped by SIGSTOP is replaced"], Bench::hung),
    (
        "logs",
        &[
            "log, 100 B lines, MB/s",
            "log, CPU-s per GB",
            "log, peak PSS, MB",
            "lines lost / torn, a write each",
            "lines lost / torn, writes of 4096 bytes",
        ],
        Bench::logs,
    ),
];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("child", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return child::run(rest);
    }
    let arguments = Arguments::parse();
    let bench = Bench { ours: arguments.supervisor.canonicalize()?, quick: arguments.quick };
    println!("machine: {}", machine::machine());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load at the start: {}", load.split(' ').take(3).collect::<Vec<_>>().join(", "));
    let (present, absent): (Vec<Rival>, Vec<Rival>) = Rival::ALL.iter().partition(|rival| rival.version().is_some());
    let names = |rivals: &[Rival]| rivals.iter().map(|rival| rival.name()).collect::<Vec<_>>().join(", ");
    let versions: Vec<String> =
        present.iter().map(|rival| format!("{} {}", rival.name(), rival.version().unwrap_or_default())).collect();
    println!("versions: {}", versions.join(", "));
    if !absent.is_empty() {
        println!("absent here: {}", names(&absent));
    }
    println!("\n| | {} |\n|---|{}", names(&present).replace(", ", " | "), "---|".repeat(present.len()));
    for (_, rows, figure) in FIGURES.iter().filter(|(name, ..)| name.contains(&arguments.only)) {
        let columns: Vec<Vec<String>> = present
            .iter()
            .map(|rival| figure(&bench, *rival).unwrap_or_else(|error| vec![format!("failed: {error:#}"); rows.len()]))
            .collect();
        for (number, row) in rows.iter().enumerate() {
            let cells: Vec<&str> = columns.iter().map(|column| column.get(number).map_or("", String::as_str)).collect();
            println!("| {row} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}
