//! What is still to be sent: `spool/reports/ID.CHANNEL.json`, a letter each. What has become of a letter is written
//! beside its report.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::store::{Store, is_id, names};
use crate::channels::Channel;
use crate::files;

/// Letters kept for each channel; the oldest beyond are given up.
const MOST: usize = 100;

/// Longest letter read, in bytes.
const LONGEST: u64 = 1024 * 1024;

const MODE: u32 = 0o600;

/// What a crash may leave of a letter is removed when it is older than this.
const REMNANT: Duration = Duration::from_mins(10);

/// A report on its way to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Letter {
    /// The report's id.
    pub(super) report: String,
    pub(super) channel: Channel,
    /// Tells this letter from another one of the same report: one that is sent again.
    #[serde(default)]
    pub(super) posting: u64,
    pub(super) created_at: DateTime<Utc>,
    /// Attempts so far, all of which have failed.
    pub(super) attempts: u32,
    pub(super) next_at: DateTime<Utc>,
    pub(super) last_error: Option<String>,
    /// Nothing was taken there: later letters wait behind this one.
    #[serde(default)]
    pub(super) holds_up: bool,
    /// Mail only: readers who have it already.
    #[serde(default)]
    pub(super) reached: Vec<String>,
    /// What is told; it gets its form when it is sent.
    pub(super) body: Value,
}

impl Letter {
    /// One that is due at once.
    pub(super) fn new(report: &str, channel: Channel, now: DateTime<Utc>, body: Value) -> Self {
        Self {
            report: report.to_owned(),
            channel,
            posting: rand::random(),
            created_at: now,
            attempts: 0,
            next_at: now,
            last_error: None,
            holds_up: false,
            reached: Vec::new(),
            body,
        }
    }

    /// The name of its file.
    pub(super) fn file_name(&self) -> String {
        format!("{}.{}.json", self.report, self.channel.name())
    }
}

/// What is written down of a letter that is out.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    #[serde(flatten)]
    delivery: Delivery,
    #[serde(default)]
    posting: u64,
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

    /// Puts a letter in, in the place of an older one of the same report.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn put(&self, letter: &Letter) -> io::Result<()> {
        let Some(folder) = &self.letters else { return Err(io::ErrorKind::NotFound.into()) };
        files::write(folder, &letter.file_name(), &serde_json::to_vec(letter)?, MODE, None)
    }

    /// Puts a letter back after an attempt, unless another one has taken its place meanwhile.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn put_back(&self, letter: &Letter) -> io::Result<()> {
        if self.is_replaced(letter) { Ok(()) } else { self.put(letter) }
    }

    fn is_replaced(&self, letter: &Letter) -> bool {
        self.read(&letter.file_name()).is_some_and(|other| other.posting != letter.posting)
    }

    fn read(&self, name: &str) -> Option<Letter> {
        serde_json::from_slice(&files::read(self.letters.as_ref()?, name, LONGEST).ok()??).ok()
    }

    fn note(&self, report: &str, channel: Channel) -> Option<Note> {
        let name = format!("{report}.{}.delivery", channel.name());
        serde_json::from_slice(&files::read(self.reports.folder(), &name, LONGEST).ok()??).ok()
    }

    /// Every letter, the oldest first; what cannot be read is none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(super) fn letters(&self) -> io::Result<Vec<Letter>> {
        let Some(folder) = &self.letters else { return Ok(Vec::new()) };
        let path = files::proc_path(folder);
        let mut names = names(folder)?;
        for remnant in names.iter().filter(|name| name.starts_with('.')) {
            let age = std::fs::metadata(path.join(remnant)).and_then(|found| found.modified()).map(|at| at.elapsed());
            if age.is_ok_and(|age| age.is_ok_and(|age| age > REMNANT)) {
                let _ = std::fs::remove_file(path.join(remnant));
            }
        }
        names.retain(|name| name.split('.').next().is_some_and(is_id));
        names.sort_unstable();
        let mut letters: Vec<Letter> = Vec::new();
        for name in names {
            let Some(letter) = self.read(&name) else { continue };
            // The process that sent it ended between writing that down and taking it out.
            if self.note(&letter.report, letter.channel).is_some_and(|note| note.posting == letter.posting) {
                std::fs::remove_file(path.join(&name))?;
                continue;
            }
            letters.push(letter);
        }
        for channel in Channel::ALL {
            let of_channel = letters.iter().filter(|letter| letter.channel == channel);
            let beyond = of_channel.clone().count().saturating_sub(MOST);
            let beyond: Vec<Letter> = of_channel.take(beyond).cloned().collect();
            for letter in beyond {
                if let Err(error) = self.settle(&letter, Some("too many others are waiting")) {
                    let name = letter.file_name();
                    eprintln!("WARN {name} waits among too many others and cannot be given up: {error}");
                }
                letters.retain(|other| *other != letter);
            }
        }
        Ok(letters)
    }

    /// Takes a letter out: delivered, or given up for that reason. Another one that has taken its place stays.
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
        let name_of_note = format!("{}.{}.delivery", letter.report, letter.channel.name());
        let text = serde_json::to_vec(&Note { delivery, posting: letter.posting })?;
        let written = files::write(self.reports.folder(), &name_of_note, &text, MODE, None);
        if let Some(folder) = self.letters.as_ref().filter(|_| !self.is_replaced(letter)) {
            match std::fs::remove_file(files::proc_path(folder).join(letter.file_name())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
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
            let letter = self.read(&format!("{report}.{}.json", channel.name()));
            let settled = || Some(self.note(report, channel)?.delivery);
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
        Letter::new(&format!("restart-{number:04}"), channel, Utc::now(), serde_json::json!({ "n": number }))
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
        outbox.put(&letter(0, Channel::Feishu)).unwrap();
        for number in 0..=101 {
            outbox.put(&letter(number, Channel::Webhook)).unwrap();
        }
        std::fs::write(data.path().join("spool/reports/garbage.json"), "{").unwrap();
        let letters = outbox.letters().unwrap();
        assert_eq!((letters.len(), letters[0].channel), (101, Channel::Feishu));
        assert_eq!((letters[1].report.as_str(), letters[1].channel), ("restart-0002", Channel::Webhook));
        let [waits, gone] = &outbox.deliveries("restart-0000")[..] else { panic!("two were meant for it") };
        assert_eq!((waits.status.as_str(), gone.status.as_str()), ("waiting", "failed"));
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

    #[test]
    fn a_letter_that_was_settled_but_not_taken_out_is_not_sent_twice() {
        let data = data_dir();
        let outbox = Outbox::make(data.path()).unwrap();
        let first = letter(1, Channel::Webhook);
        outbox.put(&first).unwrap();
        outbox.settle(&first, None).unwrap();
        // As a kill between the two steps leaves it.
        outbox.put(&first).unwrap();
        assert!(outbox.letters().unwrap().is_empty());
        // Sent again on purpose, it is a letter of its own.
        outbox.put(&letter(1, Channel::Webhook)).unwrap();
        assert_eq!(outbox.letters().unwrap().len(), 1);
        assert_eq!(outbox.deliveries("restart-0001")[0].status, "waiting");
    }

    #[test]
    fn an_attempt_that_ends_late_leaves_the_letter_that_took_its_place() {
        let data = data_dir();
        let outbox = Outbox::make(data.path()).unwrap();
        let (old, new) = (letter(1, Channel::Webhook), letter(1, Channel::Webhook));
        outbox.put(&old).unwrap();
        outbox.put(&new).unwrap();
        outbox.put_back(&Letter { attempts: 7, ..old.clone() }).unwrap();
        outbox.settle(&old, Some("nobody listens")).unwrap();
        assert_eq!(outbox.letters().unwrap(), [new]);
    }

    #[test]
    fn what_a_crash_left_of_a_letter_goes_after_a_while() {
        let data = data_dir();
        let outbox = Outbox::make(data.path()).unwrap();
        let (old, new) = (
            data.path().join("spool/reports/.a.webhook.json.tmp"),
            data.path().join("spool/reports/.b.email.json.tmp"),
        );
        for path in [&old, &new] {
            std::fs::write(path, "{").unwrap();
        }
        let long_ago = std::time::SystemTime::now() - Duration::from_hours(1);
        File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
        assert!(outbox.letters().unwrap().is_empty());
        assert!(!old.exists() && new.exists());
    }
}
