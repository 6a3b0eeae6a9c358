//! What is still to be sent: `spool/reports/ID.CHANNEL.json`, a letter each. What has become of a letter is written
//! beside its report.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::store::{Store, is_id, names};
use crate::files;

/// Letters kept; the oldest beyond are given up.
const MOST: usize = 200;

/// Longest letter read, in bytes.
const LONGEST: u64 = 1024 * 1024;

const MODE: u32 = 0o600;

/// Where a report goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A robot of a Feishu or Lark group.
    Feishu,
    /// A program of the user's own.
    Webhook,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 2] = [Self::Feishu, Self::Webhook];

    /// Its name in files and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feishu => "feishu",
            Self::Webhook => "webhook",
        }
    }
}

/// A report on its way to one receiver.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Letter {
    /// The report's id.
    pub(super) report: String,
    pub(super) channel: Channel,
    pub(super) created_at: DateTime<Utc>,
    /// Attempts so far, all of which have failed.
    pub(super) attempts: u32,
    pub(super) next_at: DateTime<Utc>,
    pub(super) last_error: Option<String>,
    /// What is sent, before it is signed.
    pub(super) body: Value,
}

impl Letter {
    /// The name of its file.
    pub(super) fn file_name(&self) -> String {
        format!("{}.{}.json", self.report, self.channel.name())
    }
}

/// How far a report has come on one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The channel.
    pub channel: Channel,
    /// `waiting` (not tried yet), `failed` or `delivered`.
    pub status: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it will be tried again; none when it is settled or given up.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// What the last attempt that failed came to.
    pub last_error: Option<String>,
    /// When it was settled or given up.
    pub settled_at: Option<DateTime<Utc>>,
}

/// The folder of letters, and the folder of reports.
#[derive(Debug)]
pub struct Outbox {
    letters: Option<OwnedFd>,
    reports: Store,
}

impl Outbox {
    /// Opens the folders of an appliance that has made a report.
    ///
    /// # Errors
    /// When that fails.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let spool = files::open_folder(File::open(data_dir)?, "spool");
        let letters = spool.and_then(|spool| files::open_folder(spool, "reports"));
        let letters = match letters {
            Ok(folder) => Some(folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { letters, reports: Store::open(data_dir)? })
    }

    /// Opens the folders, and makes them unless they are there.
    ///
    /// # Errors
    /// When that fails.
    pub fn make(data_dir: &Path) -> io::Result<Self> {
        let spool = files::open_folder(File::open(data_dir)?, "spool")?;
        let letters = Some(files::make_folder(spool, "reports", 0o700, None)?);
        Ok(Self { letters, reports: Store::make(data_dir)? })
    }

    /// Puts a letter in, or back.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn put(&self, letter: &Letter) -> io::Result<()> {
        let Some(folder) = &self.letters else { return Err(io::ErrorKind::NotFound.into()) };
        files::write(folder, &letter.file_name(), &serde_json::to_vec(letter)?, MODE, None)
    }

    /// Every letter, the oldest first; what cannot be read is none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(super) fn letters(&self) -> io::Result<Vec<Letter>> {
        let Some(folder) = &self.letters else { return Ok(Vec::new()) };
        let mut names = names(folder)?;
        names.retain(|name| name.split('.').next().is_some_and(is_id));
        names.sort_unstable();
        let read = |name: &String| serde_json::from_slice(&files::read(folder, name, LONGEST).ok()??).ok();
        let kept = names.split_off(names.len().saturating_sub(MOST));
        for name in names {
            let given_up = match read(&name) {
                Some(letter) => self.settle(&letter, Some("too many others are waiting")),
                None => std::fs::remove_file(files::proc_path(folder).join(&name)),
            };
            if let Err(error) = given_up {
                eprintln!("WARN {name} waits among too many others and cannot be given up: {error}");
            }
        }
        Ok(kept.iter().filter_map(read).collect())
    }

    /// Takes a letter out: delivered, or given up for that reason.
    ///
    /// # Errors
    /// When the disk does not take it: the letter is out all the same, unless it cannot be removed either.
    pub(super) fn settle(&self, letter: &Letter, given_up: Option<&str>) -> io::Result<()> {
        let delivery = Delivery {
            channel: letter.channel,
            status: if given_up.is_some() { "failed" } else { "delivered" }.to_owned(),
            attempts: letter.attempts,
            next_attempt_at: None,
            last_error: given_up.map(str::to_owned).or_else(|| letter.last_error.clone()),
            settled_at: Some(Utc::now()),
        };
        let name_of_delivery = format!("{}.{}.delivery", letter.report, letter.channel.name());
        let text = serde_json::to_vec(&delivery)?;
        let written = files::write(self.reports.folder(), &name_of_delivery, &text, MODE, None);
        if let Some(folder) = &self.letters {
            std::fs::remove_file(files::proc_path(folder).join(letter.file_name()))?;
        }
        written
    }

    /// How far a report has come: a line for each channel it was meant for.
    pub fn deliveries(&self, report: &str) -> Vec<Delivery> {
        let waiting = |letter: Letter| Delivery {
            channel: letter.channel,
            status: if letter.attempts == 0 { "waiting" } else { "failed" }.to_owned(),
            attempts: letter.attempts,
            next_attempt_at: Some(letter.next_at),
            last_error: letter.last_error,
            settled_at: None,
        };
        let mut found: Vec<Delivery> = Vec::new();
        for channel in Channel::ALL {
            let letter = self.letters.as_ref().and_then(|folder| {
                let text = files::read(folder, &format!("{report}.{}.json", channel.name()), LONGEST).ok()??;
                serde_json::from_slice(&text).ok()
            });
            let settled = || {
                let name = format!("{report}.{}.delivery", channel.name());
                serde_json::from_slice(&files::read(self.reports.folder(), &name, LONGEST).ok()??).ok()
            };
            found.extend(letter.map(waiting).or_else(settled));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn letter(number: u32, channel: Channel) -> Letter {
        Letter {
            report: format!("restart-{number:04}"),
            channel,
            created_at: Utc::now(),
            attempts: 0,
            next_at: Utc::now(),
            last_error: None,
            body: serde_json::json!({ "n": number }),
        }
    }

    fn data_dir() -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("logs")).unwrap();
        std::fs::create_dir(data.path().join("spool")).unwrap();
        data
    }

    #[test]
    fn a_letter_is_waiting_then_failed_then_delivered() {
        let data = data_dir();
        let outbox = Outbox::make(data.path()).unwrap();
        let mut letter = letter(1, Channel::Feishu);
        outbox.put(&letter).unwrap();
        let path = data.path().join("spool/reports/restart-0001.feishu.json");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let status =
            || outbox.deliveries("restart-0001").into_iter().map(|it| (it.status, it.attempts)).collect::<Vec<_>>();
        assert_eq!(status(), [("waiting".to_owned(), 0)]);
        letter.attempts = 2;
        letter.last_error = Some("code 19021".to_owned());
        outbox.put(&letter).unwrap();
        assert_eq!(status(), [("failed".to_owned(), 2)]);
        outbox.settle(&letter, None).unwrap();
        assert_eq!(status(), [("delivered".to_owned(), 2)]);
        assert!(outbox.letters().unwrap().is_empty() && !path.exists());
    }

    #[test]
    fn the_number_of_letters_is_bounded() {
        let data = data_dir();
        let outbox = Outbox::make(data.path()).unwrap();
        for number in 0..=201 {
            outbox.put(&letter(number, Channel::Webhook)).unwrap();
        }
        std::fs::write(data.path().join("spool/reports/garbage.json"), "{").unwrap();
        let letters = outbox.letters().unwrap();
        assert_eq!((letters.len(), letters[0].report.as_str()), (200, "restart-0002"));
        let gone = &outbox.deliveries("restart-0000")[0];
        assert_eq!(gone.status, "failed");
    }

    #[test]
    fn a_delivered_letter_is_out_even_when_that_cannot_be_written_down() {
        let data = data_dir();
        let outbox = Outbox::make(data.path()).unwrap();
        let letter = letter(1, Channel::Webhook);
        outbox.put(&letter).unwrap();
        // Where the note would be written first, something else lies in the way.
        std::fs::create_dir(data.path().join("logs/reports/.restart-0001.webhook.delivery.tmp")).unwrap();
        outbox.settle(&letter, None).unwrap_err();
        assert!(outbox.letters().unwrap().is_empty());
    }
}
