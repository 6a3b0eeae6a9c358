//! glitchbox: a Sentry-compatible error tracker.
//!
//! The modules are the stages of the data flow, in its order:
//!
//! ```text
//! SDK ── HTTP ──> ingest ──> queue (Redis stream) ──> jobs ──> process ──> store (PostgreSQL)
//!                 [2]  │     [3]                               [4]         [5]      │
//!                  │   └ spool: on disk before the 200, until all is stored         v
//!                  └ protocol [1]: bytes -> types                 api [7a] and web [7b]
//! ```
//!
//! Which module may import which is written down, and kept true, in `tests/it/architecture.rs`.

pub mod protocol;

pub mod ingest;

pub mod queue;

pub mod process;

pub mod store;

pub mod alert;

pub mod jobs;

pub mod retention;

pub mod auth;
pub mod http;

pub mod api;
pub mod web;

pub mod app;
pub mod cli;
pub mod config;
pub mod ids;
pub mod shutdown;
pub mod telemetry;
