//! Alerts: who is told, when, and how often.

mod outbox;
mod settings;
