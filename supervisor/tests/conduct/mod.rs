//! How the real program behaves with tiny services of shell script, by chapter.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

mod appliance;
mod backup_limit;
mod checks;
mod commands;
mod confinement;
mod escapes;
mod exits;
mod failures;
mod first_process;
mod hardship;
mod health;
mod logs;
mod operator;
mod order;
mod overlap;
mod receiver;
mod recycle;
mod reload;
mod reports;
mod schedule;
mod tasks;
