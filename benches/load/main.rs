//! The figures of the README, measured on the release programs, and load for an instance that is there already; run it
//! through `scripts/bench`.

mod ack_log;
mod appliance;
mod books;
mod corpus;
mod database;
mod generator;
mod machine;
mod measure;
mod restarts;
mod soak;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use ack_log::{AckLog, Told};
use corpus::Corpus;
use database::Database;
use generator::Clients;

/// What is measured.
#[derive(Parser)]
#[command(name = "scripts/bench")]
struct Arguments {
    /// boot, memory and ingest without one
    #[command(subcommand)]
    figure: Option<Figure>,
    /// The folder of the release programs
    #[arg(long, hide = true)]
    binaries: PathBuf,
    /// Issues the events belong to
    #[arg(long, default_value_t = 50, global = true)]
    issues: usize,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Figure {
    /// First boot and warm start
    Boot,
    /// Idle memory of every process
    Memory,
    /// Drained throughput, CPU, acknowledgement and bytes, for both bodies
    Ingest {
        /// Events of the 3 KB body; a quarter of it of the 25 KB one
        #[arg(long, default_value_t = EVENTS)]
        events: usize,
    },
    /// Steady load on an instance of its own: memory over time, acknowledgement, and the database compared in the end
    Soak {
        #[arg(long, default_value_t = 30)]
        minutes: usize,
        /// Events a second
        #[arg(long, default_value_t = 500)]
        rate: usize,
        #[arg(long, value_enum, default_value_t = Body::Small)]
        body: Body,
    },
    /// Scheduled restarts in a row under load of clients that do not retry: failed requests, lost events, latency
    Restarts {
        #[arg(long, default_value_t = 20)]
        times: usize,
        /// Events a second
        #[arg(long, default_value_t = 300)]
        rate: usize,
    },
    /// Load on an instance that is there already
    Load {
        /// http://KEY@HOST:PORT/PROJECT
        #[arg(long)]
        dsn: String,
        /// Events due each second (open loop); without it each connection sends as fast as it is answered
        #[arg(long)]
        rate: Option<usize>,
        #[arg(long, default_value_t = 10)]
        seconds: usize,
        #[arg(long, value_enum, default_value_t = Body::Small)]
        body: Body,
        /// Clients that keep their connection
        #[arg(long, default_value_t = 32)]
        kept: usize,
        /// Clients with a new connection for each event
        #[arg(long, default_value_t = 0)]
        fresh: usize,
        /// Clients that keep a connection and use it after pauses of 1 to 8 s, beside the rate
        #[arg(long, default_value_t = 0)]
        idle: usize,
        /// Write a line for each answer to this file
        #[arg(long)]
        ack_log: Option<PathBuf>,
    },
    /// Compare acknowledgement logs with the database of an instance that was sent nothing else
    Verify {
        #[arg(long, required = true)]
        ack_log: Vec<PathBuf>,
        /// The data directory of an instance with the bundled PostgreSQL
        #[arg(long, required_unless_present = "database_url")]
        data_dir: Option<PathBuf>,
        /// Another PostgreSQL
        #[arg(long, conflicts_with = "data_dir")]
        database_url: Option<String>,
    },
}

/// Events to measure ingest with.
const EVENTS: usize = 40_000;

/// One of the bodies.
#[derive(Clone, Copy, ValueEnum)]
enum Body {
    #[value(name = "3k")]
    Small,
    #[value(name = "25k")]
    Large,
}

impl Body {
    fn corpus(self, issues: usize) -> Result<Corpus> {
        match self {
            Self::Small => Corpus::new("event-3k", include_str!("../corpus/event-3k.json"), issues),
            Self::Large => Corpus::new("event-25k", include_str!("../corpus/event-25k.json"), issues),
        }
    }
}

fn main() -> Result<()> {
    let Arguments { figure, binaries, issues, .. } = Arguments::parse();
    println!("machine: {}", machine::machine());
    match figure {
        None => {
            measure::boot(&binaries)?;
            measure::memory(&binaries)?;
            ingest(&binaries, issues, EVENTS)
        }
        Some(Figure::Boot) => measure::boot(&binaries),
        Some(Figure::Memory) => measure::memory(&binaries),
        Some(Figure::Ingest { events }) => ingest(&binaries, issues, events),
        Some(Figure::Soak { minutes, rate, body }) => soak::soak(&binaries, &body.corpus(issues)?, minutes, rate),
        Some(Figure::Restarts { times, rate }) => {
            restarts::restarts(&binaries, &Body::Small.corpus(issues)?, times, rate)
        }
        Some(Figure::Load { dsn, rate, seconds, body, kept, fresh, idle, ack_log }) => {
            let log = ack_log.map(|path| AckLog::open(&path)).transpose()?;
            let clients = Clients { kept, fresh, idle, uploads: 0 };
            measure::load(&body.corpus(issues)?, &dsn, (rate, seconds), clients, log.as_ref())
        }
        Some(Figure::Verify { ack_log, data_dir, database_url }) => {
            let mut told = Told::default();
            ack_log.iter().try_for_each(|path| told.read(path))?;
            let options = match (data_dir, database_url) {
                (Some(folder), _) => appliance::database(&folder)?,
                (None, url) => url.context("an instance to compare with")?.parse()?,
            };
            Database::connect(&options)?.verify(&told)
        }
    }
}

fn ingest(binaries: &Path, issues: usize, events: usize) -> Result<()> {
    measure::ingest(binaries, &Body::Small.corpus(issues)?, events)?;
    measure::ingest(binaries, &Body::Large.corpus(issues)?, events / 4)
}
