//! Takes every line and sends it everywhere it belongs.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;

use super::files::{FileLine, write_files};
use super::format::{Format, file_line, guess_level, output_line, text_line, without_time};
use super::queue::Queue;
use super::redact::Redactor;
use super::tail::Tails;
use super::{Record, Stream};
use crate::events::{Entry, Events};
use crate::metrics::{Counters, Loss};
use crate::plan::{LogRules, Output};
use crate::state::Level;

/// Most bytes that wait for the disk, and as many for the output.
const QUEUE_BYTES: usize = 2 * 1024 * 1024;

/// Stack of the writing threads, in bytes: they need little.
const STACK: usize = 128 * 1024;

/// How the log behaves.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The folder of the log files.
    pub folder: PathBuf,
    /// Their sizes.
    pub rules: LogRules,
    /// The shape of our own output.
    pub format: Format,
}

/// The log of everything; clones are the same log.
#[derive(Debug, Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: LogSettings,
    files: Arc<Queue<FileLine>>,
    output: Arc<Queue<Vec<u8>>>,
    memory: Mutex<Memory>,
    counters: Arc<Counters>,
    events: Arc<Events>,
}

#[derive(Debug, Default)]
struct Memory {
    redactor: Redactor,
    tails: Tails,
}

impl Log {
    /// Starts the two writing threads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(settings: LogSettings) -> io::Result<Self> {
        let files = Arc::new(Queue::new(QUEUE_BYTES));
        let output = Arc::new(Queue::new(QUEUE_BYTES));
        let (counters, events) = (Arc::<Counters>::default(), Arc::<Events>::default());
        let (queue, folder, rules) = (Arc::clone(&files), settings.folder.clone(), settings.rules);
        let lost = |text: &str| file_line(&own(Level::Error, text.to_owned()));
        let missed = Loss::of_files(&counters, &events);
        std::thread::Builder::new()
            .name("log-files".into())
            .stack_size(STACK)
            .spawn(move || write_files(&folder, rules, &queue, missed, lost))?;
        let (queue, format) = (Arc::clone(&output), settings.format);
        let missed = Loss::of_output(&counters, &events);
        std::thread::Builder::new()
            .name("log-output".into())
            .stack_size(STACK)
            .spawn(move || write_output(&queue, format, missed))?;
        let memory = Mutex::default();
        Ok(Self { shared: Arc::new(Shared { settings, files, output, memory, counters, events }) })
    }

    /// From now on these values are written as `***`.
    pub fn add_secrets(&self, values: impl IntoIterator<Item = String>) {
        self.memory().redactor.add(values);
    }

    /// A line of the supervisor itself.
    pub fn say(&self, level: Level, text: impl Into<String>) {
        self.write(own(level, text.into()), Output::Log);
    }

    /// A line of a service.
    pub fn line(&self, service: &Arc<str>, stream: Stream, output: Output, bytes: &[u8]) {
        let text = without_time(&String::from_utf8_lossy(bytes)).to_owned();
        let level = guess_level(&text);
        self.write(Record { time: Utc::now(), service: Arc::clone(service), stream, level, text }, output);
    }

    /// A line of a task, as it may be shown; errors and warnings go to the file of errors.
    pub fn task_line(&self, task: &Arc<str>, bytes: &[u8]) -> String {
        let text = self.clean(String::from_utf8_lossy(bytes).into_owned());
        let (stream, level) = match text.split_once(' ') {
            Some(("ERROR", _)) => (Stream::Err, Level::Error),
            Some(("WARN", _)) => (Stream::Err, Level::Warn),
            _ => (Stream::Out, Level::Info),
        };
        let record = Record { time: Utc::now(), service: Arc::clone(task), stream, level, text: text.clone() };
        self.write(record, Output::Log);
        text
    }

    /// What is counted while it happens.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    /// The last events.
    pub fn events(&self) -> &Events {
        &self.shared.events
    }

    /// Something has happened; what it says is cleaned of secrets here.
    pub fn event(&self, mut entry: Entry) {
        entry.text = self.clean(entry.text);
        self.shared.events.add(&entry);
    }

    /// The text with `***` in the place of every secret.
    pub fn clean(&self, text: String) -> String {
        self.memory().redactor.clean(text)
    }

    /// The last `count` lines kept in memory, oldest first.
    pub fn last(&self, service: Option<&str>, count: usize) -> Vec<Arc<str>> {
        self.memory().tails.last(service, count)
    }

    /// Every line from now on, of one service or of all.
    pub fn follow(&self, service: Option<String>) -> mpsc::Receiver<Arc<str>> {
        self.memory().tails.follow(service)
    }

    /// Ends what [`Log::follow`] and [`Events::read`] began: true if anybody was following.
    pub fn dismiss_followers(&self) -> bool {
        let events = self.shared.events.dismiss();
        self.memory().tails.dismiss() || events
    }

    /// Whether a writer lags, so that reading from services should pause for a moment.
    pub(super) fn is_tight(&self) -> bool {
        self.shared.files.is_tight() || self.shared.output.is_tight()
    }

    /// Writes out what waits, for at most a second each, and ends the threads.
    pub fn close(&self) {
        self.shared.files.close(Duration::from_secs(1));
        self.shared.output.close(Duration::from_secs(1));
    }

    fn write(&self, mut record: Record, output: Output) {
        let settings = &self.shared.settings;
        let mut memory = self.memory();
        record.text = memory.redactor.clean(record.text);
        memory.tails.push(&record.service, &text_line(&record), settings.rules.tail_lines);
        drop(memory);
        let suffix = if record.stream == Stream::Err { "err.log" } else { "log" };
        let name: Arc<str> = format!("{}.{suffix}", record.service).into();
        let line = file_line(&record);
        let size = line.len();
        self.shared.files.push((name, line), size);
        let line = match (output, record.stream, settings.format) {
            (Output::Plain, Stream::Out, Format::Text) => format!("{}\n", record.text).into_bytes(),
            _ => output_line(&record, settings.format),
        };
        let size = line.len();
        self.shared.output.push(line, size);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.shared.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn own(level: Level, text: String) -> Record {
    let text = match level {
        Level::Info => text,
        Level::Warn => format!("WARN {text}"),
        Level::Error => format!("ERROR {text}"),
    };
    Record { time: Utc::now(), service: "supervisor".into(), stream: Stream::Out, level, text }
}

/// The thread that writes our standard output. Ends when the queue is closed.
fn write_output(queue: &Queue<Vec<u8>>, format: Format, mut missed: Loss) {
    while let Some(batch) = queue.take() {
        let mut bytes = batch.items.concat();
        if batch.dropped > 0 {
            missed.add(batch.dropped);
            let text = format!("{} lines are missing here: whoever reads this output is too slow", batch.dropped);
            bytes.extend(output_line(&own(Level::Warn, text), format));
        }
        write_all_patiently(&bytes);
    }
}

/// Writes all of it, also to an output that somebody has made non-blocking. A closed output is nobody's fault.
fn write_all_patiently(mut bytes: &[u8]) {
    let mut output = io::stdout().lock();
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::new(io::stdout().as_fd(), PollFlags::POLLOUT)], PollTimeout::from(1_000u16));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
    let _ = output.flush();
}
