//! A timer on the wall clock that also goes off when that clock is set.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The timer. It costs no wake-up before it goes off.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: AsyncFd<Timer>,
}

#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; this timer keeps one descriptor for as long as it lives"
        )]
        let timer = AsyncFd::with_interest(Timer(timer), Interest::READABLE)?;
        Ok(Self { timer })
    }

    /// Waits until the clock shows `at` or has been set; with `None`, until it has been set.
    pub(super) async fn wait(&self, at: Option<DateTime<Utc>>) -> io::Result<()> {
        // Rounded up: never a moment too early. A year ahead stands for never.
        let at = at.unwrap_or_else(|| Utc::now() + chrono::TimeDelta::days(366));
        let second = at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0);
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        match self.timer.get_ref().0.set(Expiration::OneShot(TimeSpec::new(second, 0)), flags) {
            // The clock has been set since the last wait.
            Err(Errno::ECANCELED) => return Ok(()),
            set => set?,
        }
        loop {
            let mut ready = self.timer.readable().await?;
            // `wait` also returns without an error when the clock has been set.
            match self.timer.get_ref().0.wait() {
                Ok(()) => return Ok(()),
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_goes_off_within_a_tenth_of_a_second_and_never_early() {
        let alarm = Alarm::new().unwrap();
        let mut least = chrono::TimeDelta::MAX;
        // A busy machine may be late at times; a timer that is, always.
        for _ in 0..3 {
            let second = Utc::now().timestamp() + 1;
            let at = DateTime::from_timestamp(second, 0).unwrap();
            alarm.wait(Some(at)).await.unwrap();
            let late = Utc::now() - at;
            assert!(late >= chrono::TimeDelta::zero(), "{late}");
            least = least.min(late);
        }
        assert!(least < chrono::TimeDelta::milliseconds(100), "{least}");
    }
}
