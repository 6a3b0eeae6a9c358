//! What every role needs, built once.

use anyhow::Context;

use crate::alert::Signal;
use crate::config::Config;
use crate::queue::Producer;
use crate::store::{payload_dictionary, pool};

/// Configuration, pools and clients. Shared behind an `Arc`, which is also axum's state.
#[derive(Debug)]
pub struct App {
    /// The settings, checked.
    pub config: Config,
    /// PostgreSQL, by whatever way the configuration names.
    pub db: sqlx::PgPool,
    /// Appends to the work queues.
    pub queue: Producer,
    /// What the worker compresses payloads with.
    pub encoders: payload_dictionary::Encoders,
    /// Wakes the worker's sender of alerts.
    pub alerts: Signal,
}

impl App {
    /// Sets everything up without waiting for any server to answer. Call inside the runtime.
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let db = pool::connect(&config)?;
        let queue = Producer::connect(&config).context("set up the queue")?;
        Ok(Self { config, db, queue, encoders: payload_dictionary::Encoders::default(), alerts: Signal::default() })
    }
}
