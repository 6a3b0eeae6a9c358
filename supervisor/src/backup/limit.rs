//! An end for what may hang: a lock that somebody holds, a disk that does not answer.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::reap;

/// Work whose programs have been killed has this long to notice.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Does the work, of which all programs that this process has started are part. One that takes longer is broken off.
///
/// # Errors
/// What the work says, or that it took too long.
pub fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (done, outcome) = channel();
    std::thread::spawn(move || {
        let _ = done.send(work());
    });
    match outcome.recv_timeout(limit) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Disconnected) => Err("It broke off for a reason of its own: see the log.".to_owned()),
        Err(RecvTimeoutError::Timeout) => {
            // Without its programs it ends, unless the folder itself hangs; then nobody waits for it.
            reap::kill_all(&reap::descendants());
            let _ = outcome.recv_timeout(ENDS_WITHIN);
            Err(format!("It was not over within {}: it was broken off.", shown(limit)))
        }
    }
}

fn shown(limit: Duration) -> String {
    match limit.as_secs() {
        seconds if seconds >= 120 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_broken_off_and_what_panics_is_told() {
        assert_eq!(within(Duration::from_mins(1), || Ok(3)), Ok(3));
        assert_eq!(within::<()>(Duration::from_mins(1), || Err("No.".to_owned())), Err("No.".to_owned()));
        assert!(within::<()>(Duration::from_mins(1), || panic!("on purpose")).unwrap_err().contains("see the log"));
        assert_eq!(
            (shown(Duration::from_secs(119)), shown(Duration::from_hours(2))),
            ("119 s".into(), "120 min".into())
        );
    }
}
