//! Takes what was said and sends it everywhere it belongs.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use memchr::memchr_iter;

use super::Stream;
use super::folder::write_files;
use super::format::{FILE_EXTRA, Format, Stamp, file_line, text_line, without_time};
use super::json::json_line;
use super::lines::lines_of;
use super::output::write_output;
use super::queue::{Chunk, Queue};
use super::redact::Redactor;
use super::tail::{Follow, Tails};
use crate::events::{Entry, Events};
use crate::metrics::{Counters, Loss};
use crate::plan::{LogRules, Output};
use crate::state::Level;

/// Most bytes that wait for the disk, and as many for the output.
const QUEUE_BYTES: usize = 1024 * 1024;

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

/// Who says something, and where it goes.
#[derive(Debug)]
pub(super) struct Source {
    service: Arc<str>,
    /// The name of the log file.
    file: Arc<str>,
    stream: Stream,
    output: Output,
    /// Unless it is guessed from the words of each line.
    level: Option<Level>,
}

/// What the loop and the writing threads have in common.
#[derive(Debug)]
pub(super) struct Shared {
    format: Format,
    rules: Mutex<LogRules>,
    pub(super) files: Queue,
    pub(super) output: Queue,
    /// The one place where lines for the output go.
    everything: Arc<str>,
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
        let (counters, events) = (Arc::<Counters>::default(), Arc::<Events>::default());
        let shared = Arc::new(Shared {
            format: settings.format,
            rules: Mutex::new(settings.rules),
            files: Queue::new(QUEUE_BYTES, Loss::of_files(&counters, &events)),
            output: Queue::new(QUEUE_BYTES, Loss::of_output(&counters, &events)),
            everything: Arc::from(""),
            memory: Mutex::default(),
            counters,
            events,
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log-files".into())
            .stack_size(STACK)
            .spawn(move || write_files(&writer, settings.folder))?;
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("log-output".into()).stack_size(STACK).spawn(move || write_output(&writer))?;
        Ok(Self { shared })
    }

    /// From now on these values are written as `***`.
    pub fn add_secrets(&self, values: impl IntoIterator<Item = String>) {
        self.shared.memory().redactor.add(values);
    }

    /// From now on the files have these bounds.
    pub fn set_rules(&self, rules: LogRules) {
        *self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// A line of the supervisor itself.
    pub fn say(&self, level: Level, text: impl Into<String>) {
        self.shared.write(&Source::own(level), &own_text(level, &text.into()), true, true);
    }

    /// Lines of a service that were read together, without the last end.
    pub(super) fn write_run(&self, source: &Source, run: &[u8]) {
        self.shared.write(source, &String::from_utf8_lossy(run), true, true);
    }

    /// A line of a task, as it may be shown; errors and warnings go to the file of errors.
    pub fn task_line(&self, task: &Arc<str>, bytes: &[u8]) -> String {
        let text = self.clean(String::from_utf8_lossy(bytes).into_owned());
        let (stream, level) = match text.split_once(' ') {
            Some(("ERROR", _)) => (Stream::Err, Level::Error),
            Some(("WARN", _)) => (Stream::Err, Level::Warn),
            _ => (Stream::Out, Level::Info),
        };
        let source = Source { level: Some(level), ..Source::new(Arc::clone(task), stream, Output::Log) };
        self.shared.write(&source, &text, true, true);
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
        self.shared.memory().redactor.clean(Cow::Owned(text)).into_owned()
    }

    /// The last `count` lines kept in memory of some services (their names with commas between) or of all, oldest first.
    pub fn last(&self, service: Option<&str>, count: usize) -> Vec<Arc<str>> {
        self.shared.memory().tails.last(service, count)
    }

    /// The last lines of a service, with a headline, in the shape of our own output.
    pub fn obituary(&self, service: &str, count: usize) -> Vec<u8> {
        let lines = self.last(Some(service), count);
        let headline = match lines.len() {
            0 => format!("{service} has failed for good and has said nothing"),
            count => format!("{service} has failed for good; its last {count} lines:"),
        };
        let mut bytes = self.shared.own_output_lines(Level::Error, &headline);
        for line in lines {
            let parts = line.split_once(' ').and_then(|(time, rest)| {
                let text = rest.strip_prefix(service)?.strip_prefix(" | ")?;
                (self.shared.format == Format::Json).then_some((time, text.trim_end_matches('\n')))
            });
            if let Some((time, text)) = parts {
                json_line(&mut bytes, &Stamp::again(time), service, None, text);
            } else {
                bytes.extend_from_slice(line.trim_end_matches('\n').as_bytes());
                bytes.push(b'\n');
            }
        }
        bytes
    }

    /// Every line from now on, of some services (their names with commas between) or of all. `None` when as many as may
    /// be follow already.
    pub fn follow(&self, service: Option<String>) -> Option<Follow> {
        self.shared.memory().tails.follow(service)
    }

    /// Ends what [`Log::follow`] and [`Events::read`] began: true if anybody was following.
    pub fn dismiss_followers(&self) -> bool {
        let events = self.shared.events.dismiss();
        self.shared.memory().tails.dismiss() || events
    }

    /// Holds up a stream that says more than a quick writer can write; nobody for one that is slow or stuck.
    pub(super) async fn room(&self, stream: &str) {
        loop {
            let for_files = self.shared.files.room(stream).await;
            let for_output = self.shared.output.room(stream).await;
            if !for_files && !for_output {
                return;
            }
        }
    }

    /// Writes out what waits, for at most a second each, and ends the threads.
    pub fn close(&self) {
        self.shared.files.close(Duration::from_secs(1));
        self.shared.output.close(Duration::from_secs(1));
    }
}

impl Source {
    pub(super) fn new(service: Arc<str>, stream: Stream, output: Output) -> Self {
        let suffix = if stream == Stream::Err { "err.log" } else { "log" };
        let file = format!("{service}.{suffix}").into();
        Self { service, file, stream, output, level: None }
    }

    /// What the bounds of the queues go by.
    pub(super) fn stream(&self) -> &str {
        &self.file
    }

    fn own(level: Level) -> Self {
        Self { level: Some(level), ..Self::new("supervisor".into(), Stream::Out, Output::Log) }
    }
}

impl Shared {
    pub(super) fn rules(&self) -> LogRules {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of our own that the writer of the files has for everybody else.
    pub(super) fn tell_output(&self, level: Level, text: impl AsRef<str>) {
        self.write(&Source::own(level), &own_text(level, text.as_ref()), false, true);
    }

    /// A line of our own that the writer of the output has for everybody else.
    pub(super) fn tell_files(&self, level: Level, text: impl AsRef<str>) {
        self.write(&Source::own(level), &own_text(level, text.as_ref()), true, false);
    }

    /// A line of our own for the writer of the files itself.
    pub(super) fn own_file_chunk(level: Level, text: &str) -> Chunk {
        let mut bytes = Vec::new();
        file_line(&mut bytes, &Stamp::now(), &own_text(level, text));
        let file = Source::own(level).file;
        Chunk { to: Arc::clone(&file), from: file, bytes, lines: 1 }
    }

    /// A line of our own for the writer of the output itself.
    pub(super) fn own_output_lines(&self, level: Level, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.output_line(&mut bytes, &Stamp::now(), &Source::own(level), &own_text(level, text));
        bytes
    }

    /// The way of all lines: cleaned and put into shape in one go, one time for all, one lock and one piece for each
    /// queue.
    fn write(&self, source: &Source, text: &str, to_files: bool, to_output: bool) {
        let time = Utc::now().timestamp_millis();
        let stamp = Stamp::of_millis(time);
        let mut memory = self.memory();
        let text = memory.redactor.clean(text.into());
        let lines = || lines_of(&text).map(without_time);
        let count = memchr_iter(b'\n', text.as_bytes()).count() + 1;
        memory.tails.push(&source.service, time, lines(), self.rules().tail_lines);
        drop(memory);
        if to_files {
            let mut bytes = Vec::with_capacity(text.len() + count * FILE_EXTRA);
            lines().for_each(|line| file_line(&mut bytes, &stamp, line));
            let (to, from) = (Arc::clone(&source.file), Arc::clone(&source.file));
            self.files.push(Chunk { to, from, bytes, lines: count as u64 });
        }
        if to_output {
            let mut bytes = Vec::with_capacity(text.len() + count * (FILE_EXTRA + source.service.len() + 3));
            lines().for_each(|line| self.output_line(&mut bytes, &stamp, source, line));
            let (to, from) = (Arc::clone(&self.everything), Arc::clone(&source.file));
            self.output.push(Chunk { to, from, bytes, lines: count as u64 });
        }
    }

    fn output_line(&self, to: &mut Vec<u8>, stamp: &Stamp, source: &Source, line: &str) {
        match (source.output, source.stream, self.format) {
            (Output::Plain, Stream::Out, Format::Text) => {
                to.extend_from_slice(line.as_bytes());
                to.push(b'\n');
            }
            (_, _, Format::Text) => text_line(to, stamp, &source.service, line),
            (_, _, Format::Json) => json_line(to, stamp, &source.service, source.level, line),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Our lines say their weight, for files and text show nothing else of it.
fn own_text(level: Level, text: &str) -> String {
    match level {
        Level::Info => text.to_owned(),
        Level::Warn => format!("WARN {text}"),
        Level::Error => format!("ERROR {text}"),
    }
}
