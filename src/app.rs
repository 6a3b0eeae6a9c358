//! What every role needs, built once.

use crate::config::Config;

/// Configuration, pools and clients. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct App {
    /// The settings, checked.
    pub config: Config,
    /// PostgreSQL, by whatever way the configuration names.
    pub db: sqlx::PgPool,
}
