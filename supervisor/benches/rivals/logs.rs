//! A flood of numbered lines through a supervisor into its files, and what has become of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::child::LINE;
use crate::measure::count;
use crate::processes::cost;
use crate::rival::{Rival, Service};

/// A slow disk, and a gigabyte.
const PATIENCE: Duration = Duration::from_mins(10);

/// The files are complete when they have not grown for so long.
const SETTLED: Duration = Duration::from_secs(1);

/// What came of a flood.
pub(crate) struct Flood {
    pub(crate) megabytes_per_second: f64,
    /// Seconds of all processes of the supervisor.
    pub(crate) cpu_per_gigabyte: f64,
    /// Most memory of all its processes, in bytes (PSS).
    pub(crate) peak: u64,
    /// Lines of which nothing or a part is missing, in all files together.
    pub(crate) lost: u64,
    /// Lines of which one part is in one file and one in the next.
    pub(crate) torn: u64,
}

/// Lets a service say so many lines, in writes of one line or in blocks.
pub(crate) fn flood(ours: &Path, rival: Rival, role: &str, lines: u64) -> Result<Flood> {
    let service = Service { logged: true, ..Service::new("flood", &[role, &lines.to_string()]) };
    let running = rival.start(ours, &[service])?;
    let begun = running.until("start", 1, PATIENCE)?.pop().context("a start")?;
    let mut peak = 0;
    let since = Instant::now();
    let done = loop {
        peak = peak.max(cost(running.pid()).pss);
        if let Some(done) = running.diary().into_iter().find(|entry| entry.event == "done") {
            break done;
        }
        anyhow::ensure!(since.elapsed() < PATIENCE, "{}: the flood does not end", rival.name());
        sleep(Duration::from_millis(100));
    };
    let (mut size, mut grown) = (0, Instant::now());
    while grown.elapsed() < SETTLED {
        let now: u64 = running.log_files("flood").iter().filter_map(|path| Some(fs::metadata(path).ok()?.len())).sum();
        if now != size {
            (size, grown) = (now, Instant::now());
        }
        sleep(Duration::from_millis(20));
    }
    let cpu = cost(running.pid()).cpu;
    let (lost, torn) = examine(&running.log_files("flood"), lines)?;
    let bytes = count(lines) * count(LINE as u64);
    Ok(Flood {
        megabytes_per_second: bytes / 1e6 / done.at.saturating_sub(begun.at).as_secs_f64(),
        cpu_per_gigabyte: cpu.as_secs_f64() / (bytes / 1e9),
        peak,
        lost,
        torn,
    })
}

/// Lines that are nowhere whole, and borders between two files that cut one.
fn examine(files: &[PathBuf], lines: u64) -> Result<(u64, u64)> {
    let mut seen = vec![false; usize::try_from(lines)?];
    // The ends of each file that are no whole line, with the number near them, to put them together again.
    let (mut heads, mut tails) = (Vec::new(), Vec::new());
    for path in files {
        let mut reader = BufReader::new(fs::File::open(path)?);
        let (mut line, mut last) = (Vec::new(), None);
        while reader.read_until(b'\n', &mut line)? > 0 {
            match number_of(&line) {
                Some(number) => {
                    last = Some(number);
                    if let Some(mark) = usize::try_from(number).ok().and_then(|number| seen.get_mut(number)) {
                        *mark = true;
                    }
                }
                None if last.is_none() => heads.push(line.clone()),
                None => tails.push((last, line.clone())),
            }
            line.clear();
        }
    }
    let missing = seen.iter().filter(|seen| !**seen).count() as u64;
    // A line that was cut is missing as a whole, but its two halves are there.
    let healed = tails.iter().filter(|(last, tail)| {
        let fits = |head: &Vec<u8>| number_of(&[tail.as_slice(), head].concat()) == last.map(|number| number + 1);
        heads.iter().any(fits)
    });
    let torn = healed.count() as u64;
    Ok((missing - torn.min(missing), torn))
}

/// The number of a whole line, which may have something before it.
fn number_of(line: &[u8]) -> Option<u64> {
    let own = line.get(line.len().checked_sub(LINE)?..)?;
    let (number, dots) = own.split_at_checked(12)?;
    let whole = dots.first() == Some(&b' ') && dots.last() == Some(&b'\n');
    let filled = dots.get(1..dots.len() - 1)?.iter().all(|byte| *byte == b'.');
    std::str::from_utf8(number).ok().filter(|_| whole && filled)?.parse().ok()
}
