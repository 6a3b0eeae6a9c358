//! The acknowledgement log: one line for each request, with what it was answered.
//!
//! `EVENT_ID<TAB>DUE<TAB>ANSWERED<TAB>STATUS`, times in seconds since 1970; in place of a status, why there is none.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::books::Account;

/// A log that is being written. Each line is written at once: it is there whatever happens to us.
pub(crate) struct AckLog {
    file: File,
    /// The same moment on both clocks.
    moment: (Instant, f64),
}

impl AckLog {
    /// A new log, or more lines for one that is there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("open the acknowledgement log {}", path.display()))?;
        Ok(Self { file, moment: (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64()) })
    }

    /// One line.
    pub(crate) fn note(&self, id: &str, result: &Result<u16, String>, due: Instant, answered: Instant) -> Result<()> {
        let what = match result {
            Ok(status) => status.to_string(),
            Err(error) => error.replace(['\t', '\n'], " "),
        };
        let line = format!("{id}\t{:.6}\t{:.6}\t{what}\n", self.since_1970(due), self.since_1970(answered));
        Ok((&self.file).write_all(line.as_bytes())?)
    }

    fn since_1970(&self, time: Instant) -> f64 {
        let (moment, seconds) = self.moment;
        let later = time.saturating_duration_since(moment).as_secs_f64();
        seconds + later - moment.saturating_duration_since(time).as_secs_f64()
    }
}

/// What some logs say.
#[derive(Debug, Default)]
pub(crate) struct Told {
    sent: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
    receptions: usize,
    requests: usize,
}

impl Told {
    /// Reads one more log.
    pub(crate) fn read(&mut self, path: &Path) -> Result<()> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        for line in text.lines() {
            let mut fields = line.split('\t');
            let (Some(id), Some(what)) = (fields.next(), fields.nth(2)) else { continue };
            self.requests += 1;
            self.sent.insert(id.to_owned());
            if what == "200" {
                self.receptions += 1;
                self.acknowledged.insert(id.to_owned());
            }
        }
        Ok(())
    }

    /// For the comparison.
    pub(crate) fn account(&self) -> Account<'_> {
        let Self { sent, acknowledged, receptions, requests } = self;
        Account { sent, acknowledged, receptions: *receptions, requests: *requests }
    }
}
