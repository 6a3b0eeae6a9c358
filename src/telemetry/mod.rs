//! Logs and metrics. The log: one line for each event, as text or as JSON, for the supervisor to collect: warnings and
//! errors on stderr, the rest on stdout, so that each has a file of its own. The metrics: the text that Prometheus reads.

pub mod exposition;
mod line;
pub mod notify;
pub mod process;
pub mod watchdog;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends what is logged from here on to stdout and stderr. `service` names the process in each line; ours is
/// logged from level info (with `debug`: debug), libraries from warn. A second call changes nothing.
pub fn init(service: &'static str, json: bool, debug: bool) {
    let ours = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let filter = Targets::new().with_default(LevelFilter::WARN).with_target("glitchbox", ours);
    let writer = std::io::stderr.with_max_level(Level::WARN).or_else(std::io::stdout);
    let layer = tracing_subscriber::fmt::layer().event_format(line::LineFormat { service, json }).with_writer(writer);
    if tracing_subscriber::registry().with(layer).with(filter).try_init().is_err() {
        tracing::debug!("logging was set up before");
    }
}
