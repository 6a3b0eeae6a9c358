//! Stopping in order: two signals, two tokens.
//!
//! SIGTERM or SIGINT means *stop*: finish what is in hand within two seconds. SIGUSR2 means *drain*: a new
//! generation has taken over, so finish at leisure and take nothing new. A stop is also a drain.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long what is in hand may take at a stop: the supervisor gives a process 2 s, docker the whole container 10 s, and
/// some of it is for handing back what is left.
pub const STOP_LIMIT: Duration = Duration::from_millis(1500);

/// How long what is in hand may take at a drain: the supervisor gives it 35 s.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// Tells every part of the process when to end. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    stop: CancellationToken,
    drain: CancellationToken,
}

impl Shutdown {
    /// One that nothing has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that follows the process's signals. Call inside the runtime; fails when a signal's handler
    /// cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut drain = signal(SignalKind::user_defined2())?;
        let asked = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => asked.stop(),
                    _ = interrupt.recv() => asked.stop(),
                    _ = drain.recv() => asked.drain(),
                }
            }
        });
        Ok(shutdown)
    }

    /// Asks for a stop.
    pub fn stop(&self) {
        self.stop.cancel();
        self.drain.cancel();
    }

    /// Asks for a drain.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Completes when a stop was asked for.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Completes when a drain or a stop was asked for.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// A stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// A drain or a stop was asked for.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_also_a_drain_but_not_the_other_way_round() {
        let shutdown = Shutdown::new();
        shutdown.drain();
        assert!(shutdown.is_draining() && !shutdown.is_stopping());
        shutdown.stop();
        assert!(shutdown.is_stopping());
    }
}
