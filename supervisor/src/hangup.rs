//! SIGHUP: "your terminal is gone" to a program that was started from one, "read your settings again" to any other.

use nix::unistd::{Pid, getpid, getsid};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Read the plan again.
    Reload,
    /// The terminal is gone: end in order.
    End,
}

/// Catches SIGHUP, unless `nohup` has it ignored.
#[derive(Debug)]
pub struct Hangup {
    signal: Option<Signal>,
    had_terminal: bool,
    leads: bool,
}

impl Hangup {
    /// Catches it from now on.
    ///
    /// # Errors
    /// When the system refuses the handler.
    pub fn catch() -> std::io::Result<Self> {
        let signal = if is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        let leads = getsid(Some(Pid::from_raw(0))).is_ok_and(|session| session == getpid());
        Ok(Self { signal, had_terminal: has_terminal(), leads })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Meaning {
        match &mut self.signal {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        };
        meaning(self.had_terminal, self.leads, has_terminal())
    }
}

/// To whom a shell has given its terminal, a hangup is the end, whoever sends it: a shell that ends does so while the
/// terminal is still there. Who leads the session (`docker run -t`) gets it from the kernel only once it is gone.
fn meaning(had_terminal: bool, leads: bool, is_there: bool) -> Meaning {
    if had_terminal && !(leads && is_there) { Meaning::End } else { Meaning::Reload }
}

/// As the kernel tells: asking for the handler would replace it.
fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Whether we have a controlling terminal.
fn has_terminal() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name: state, parent, group, session, terminal.
    let terminal = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(4)?.parse::<i64>().ok());
    terminal.is_some_and(|number| number != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_is_the_end_only_for_what_was_started_from_a_terminal() {
        for leads in [false, true] {
            assert_eq!(meaning(false, leads, false), Meaning::Reload);
            assert_eq!(meaning(true, leads, false), Meaning::End);
        }
        assert_eq!(meaning(true, true, true), Meaning::Reload, "PID 1 with a terminal");
        assert_eq!(meaning(true, false, true), Meaning::End, "a shell says goodbye");
    }
}
