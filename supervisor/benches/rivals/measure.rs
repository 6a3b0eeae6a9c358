//! One function for each row of the table. Each returns what stands in the cell.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::child::{UNTIL_READY, now};
use crate::logs;
use crate::processes::{cost, runs};
use crate::rival::{GRACE_S, Rival, Running, Service};

/// A start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is measured, and how long.
pub(crate) struct Bench {
    /// Our program.
    pub(crate) ours: PathBuf,
    /// Less of everything.
    pub(crate) quick: bool,
}

impl Bench {
    fn sleepers(&self, rival: Rival) -> Result<Running> {
        let services: Vec<Service> = (1..=5).map(|number| Service::new(&format!("s{number}"), &["sleep"])).collect();
        let running = rival.start(&self.ours, &services)?;
        running.until("start", 5, PATIENCE)?;
        Ok(running)
    }

    /// Memory, threads, switches and processor time with five services that sleep.
    pub(crate) fn idle(&self, rival: Rival) -> Result<Vec<String>> {
        let running = self.sleepers(rival)?;
        sleep(Duration::from_secs(if self.quick { 8 } else { 15 }));
        let window = Duration::from_secs(if self.quick { 10 } else { 60 });
        let before = cost(running.pid());
        sleep(window);
        let after = cost(running.pid());
        Ok(vec![
            format!("{} / {}", after.processes, after.threads),
            format!("{:.2} ({:.2})", megabytes(after.pss), megabytes(after.private)),
            format!("{:.2}", count(after.switches.saturating_sub(before.switches)) / window.as_secs_f64()),
            format!("{:.0}", millis(after.cpu.saturating_sub(before.cpu)) * 60.0 / window.as_secs_f64()),
        ])
    }

    /// SIGKILL to the exec of what comes in its place.
    pub(crate) fn replacement(&self, rival: Rival) -> Result<Vec<String>> {
        let running = rival.start(&self.ours, &[Service::new("victim", &["sleep"])])?;
        let mut times = Vec::new();
        for number in 1..=if self.quick { 10 } else { 50 } {
            let victim = running.until("start", number, PATIENCE)?.pop().context("a service")?;
            // Healthy by then to all of them: some hold back whoever ran for less than a second.
            sleep(Duration::from_millis(1_100));
            let at = now();
            kill(Pid::from_raw(victim.pid), Signal::SIGKILL)?;
            let next = running.until("start", number + 1, PATIENCE)?.pop().context("the next")?;
            times.push(next.at.saturating_sub(at));
        }
        times.sort_unstable();
        let last = times.len() * 99 / 100;
        let [median, worst] = [times.len() / 2, last].map(|place| times.get(place).copied().unwrap_or_default());
        Ok(vec![format!("{:.1} / {:.1}", millis(median), millis(worst))])
    }

    /// Five services, each ready 50 ms after its start and started when the one before is.
    pub(crate) fn chain(&self, rival: Rival) -> Result<Vec<String>> {
        let mut services: Vec<Service> =
            (1..=5).map(|number| Service::new(&format!("s{number}"), &["ready"])).collect();
        for number in 1..5 {
            let before = services.get(number - 1).map(|service| service.name.clone());
            if let Some(service) = services.get_mut(number) {
                service.after = before;
            }
        }
        let (mut times, mut in_order) = (Vec::new(), 0);
        let rounds = if self.quick { 3 } else { 10 };
        for _ in 0..rounds {
            let running = rival.start(&self.ours, &services)?;
            let ready = running.until("ready", 5, PATIENCE)?;
            let mut starts = running.until("start", 5, PATIENCE)?;
            starts.sort_by_key(|entry| entry.at);
            let first = starts.first().context("a start")?.at;
            let last = ready.iter().map(|entry| entry.at).max().context("an end")?;
            times.push(last.saturating_sub(first));
            let gaps = starts.windows(2).all(|pair| {
                let [before, after] = pair else { return true };
                after.at >= before.at + UNTIL_READY && after.name > before.name
            });
            in_order += usize::from(gaps);
        }
        let order = if in_order == rounds {
            String::new()
        } else if rival.has_readiness() {
            format!(", in order {in_order} of {rounds} times")
        } else {
            ", order not kept".to_owned()
        };
        Ok(vec![format!("{:.0}{order}", millis(median(times)?))])
    }

    /// TERM until all is gone; then the same with one of the services stopped by SIGSTOP.
    pub(crate) fn shutdown(&self, rival: Rival) -> Result<Vec<String>> {
        let mut times = Vec::new();
        for _ in 0..if self.quick { 3 } else { 10 } {
            let mut running = self.sleepers(rival)?;
            sleep(Duration::from_millis(300));
            times.extend(running.stop(PATIENCE));
        }
        let mut running = self.sleepers(rival)?;
        let stopped = running.until("start", 5, PATIENCE)?.pop().context("a service")?;
        kill(Pid::from_raw(stopped.pid), Signal::SIGSTOP)?;
        sleep(Duration::from_millis(100));
        let with_stopped = running.stop(Duration::from_secs(GRACE_S + 9));
        let stopped = with_stopped.map_or("not all gone".to_owned(), |time| format!("{:.0}", millis(time)));
        Ok(vec![format!("{:.0}", millis(median(times)?)), stopped])
    }

    /// What a service that ends leaves behind, 100 ms later; and what is left when the supervisor ends.
    pub(crate) fn escapes(&self, rival: Rival) -> Result<Vec<String>> {
        let left = |running: &Running| {
            let escaped = running.diary().into_iter().filter(|entry| entry.event == "start" && entry.name != "leaker");
            escaped.filter(|entry| runs(entry.pid)).count()
        };
        let running = rival.start(&self.ours, &[Service::new("leaker", &["leak-and-die"])])?;
        let leaker = running.until("leaked", 1, PATIENCE)?.pop().context("the service")?;
        let since = Instant::now();
        while runs(leaker.pid) && since.elapsed() < PATIENCE {
            sleep(Duration::from_micros(500));
        }
        sleep(Duration::from_millis(100));
        let after_death = left(&running);
        let mut running = rival.start(&self.ours, &[Service::new("leaker", &["leak"])])?;
        running.until("leaked", 1, PATIENCE)?;
        // Asked to end, with nothing to wait for but the service itself.
        running.stop(Duration::from_millis(2_500));
        sleep(Duration::from_millis(100));
        Ok(vec![format!("{after_death} of 2"), format!("{} of 2", left(&running))])
    }

    /// A service that is stopped, until another runs in its place; each supervisor with what it does of its own accord.
    pub(crate) fn hung(&self, rival: Rival) -> Result<Vec<String>> {
        let running = rival.start(&self.ours, &[Service::new("victim", &["ready"])])?;
        let victim = running.until("ready", 1, PATIENCE)?.pop().context("a service")?;
        sleep(Duration::from_millis(500));
        let at = now();
        kill(Pid::from_raw(victim.pid), Signal::SIGSTOP)?;
        let next = running.until("start", 2, Duration::from_secs(if self.quick { 20 } else { 60 }));
        let shown = match next.ok().and_then(|mut starts| starts.pop()) {
            Some(next) => format!("{:.1} s", next.at.saturating_sub(at).as_secs_f64()),
            None => "no".to_owned(),
        };
        Ok(vec![shown])
    }

    /// Throughput, cost and what is missing, for whole lines and for blocks that end anywhere.
    pub(crate) fn logs(&self, rival: Rival) -> Result<Vec<String>> {
        let lines: u64 = if self.quick { 1_000_000 } else { 10_000_000 };
        let whole = logs::flood(&self.ours, rival, "lines", lines)?;
        let blocks = logs::flood(&self.ours, rival, "blocks", lines / 5)?;
        Ok(vec![
            format!("{:.0}", whole.megabytes_per_second),
            format!("{:.2}", whole.cpu_per_gigabyte),
            format!("{:.2}", megabytes(whole.peak)),
            format!("{} / {}", whole.lost, whole.torn),
            format!("{} / {}", blocks.lost, blocks.torn),
        ])
    }
}

fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("nothing was measured")
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    count(bytes) / 1_000_000.0
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// As a number that can be divided: all of ours are small enough to be exact.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}
