//! The services: this same program in another role, which writes down what it does and when.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};

/// Time from the start of a service to its readiness, where it has to tell.
pub(crate) const UNTIL_READY: Duration = Duration::from_millis(50);

/// Bytes of a line of the flood, its end included.
pub(crate) const LINE: usize = 100;

/// One line of the diary: `EVENT NAME PID NANOSECONDS`.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) event: String,
    pub(crate) name: String,
    pub(crate) pid: i32,
    pub(crate) at: Duration,
}

/// The clock that all processes share.
pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// All that the services have written down.
pub(crate) fn diary(folder: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(folder.join("diary")).unwrap_or_default();
    let entry = |line: &str| {
        let mut words = line.split(' ');
        Some(Entry {
            event: words.next()?.to_owned(),
            name: words.next()?.to_owned(),
            pid: words.next()?.parse().ok()?,
            at: Duration::from_nanos(words.next()?.parse().ok()?),
        })
    };
    text.lines().filter_map(entry).collect()
}

fn note(folder: &Path, event: &str, name: &str, at: Duration) -> Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("diary"))?;
    let line = format!("{event} {name} {} {}\n", std::process::id(), at.as_nanos());
    Ok(file.write_all(line.as_bytes())?)
}

/// `child FOLDER NAME ROLE [ARGUMENT]`
pub(crate) fn run(words: &[String]) -> Result<()> {
    let began = now();
    let [folder, name, role, rest @ ..] = words else { bail!("child FOLDER NAME ROLE") };
    let folder = Path::new(folder);
    note(folder, "start", name, began)?;
    match role.as_str() {
        "sleep" => {}
        "ready" => {
            sleep(UNTIL_READY);
            note(folder, "ready", name, now())?;
            tell_ready()?;
        }
        // The first time it leaves a plain child and a daemon behind.
        "leak" | "leak-and-die" => {
            if !folder.join("leaked").exists() {
                fs::write(folder.join("leaked"), "")?;
                let own = std::env::current_exe()?;
                let words =
                    |name: &'static str| ["child".as_ref(), folder.as_os_str(), name.as_ref(), "sleep".as_ref()];
                // Forks, makes a session of its own, and lets its parent end: nobody's child any more.
                Command::new("setsid").arg("--fork").arg(&own).args(words("daemon")).status()?;
                Command::new(&own).args(words("plain")).spawn()?;
                while diary(folder).iter().filter(|entry| ["daemon", "plain"].contains(&entry.name.as_str())).count()
                    < 2
                {
                    sleep(Duration::from_millis(5));
                }
                note(folder, "leaked", name, now())?;
                if role == "leak-and-die" {
                    bail!("as planned");
                }
            }
        }
        "lines" | "blocks" => {
            let lines: u64 = rest.first().context("the number of lines")?.parse()?;
            flood(lines, if role == "blocks" { 4_096 } else { LINE })?;
            note(folder, "done", name, now())?;
        }
        other => bail!("{other} is no role"),
    }
    loop {
        sleep(Duration::from_hours(1));
    }
}

/// By the one protocol or the other, whichever the supervisor speaks.
fn tell_ready() -> Result<()> {
    if let Some(socket) = std::env::vars_os().find_map(|(name, value)| (name == "NOTIFY_SOCKET").then_some(value)) {
        UnixDatagram::unbound()?.send_to(b"READY=1", socket)?;
    } else if let Ok(mut descriptor) = OpenOptions::new().write(true).open("/proc/self/fd/3") {
        descriptor.write_all(b"\n")?;
    }
    Ok(())
}

/// Numbered lines in writes of so many bytes, wherever that cuts them.
fn flood(lines: u64, size: usize) -> Result<()> {
    let output = std::io::stdout();
    let mut waiting = Vec::with_capacity(size + LINE);
    for number in 0..lines {
        writeln!(waiting, "{number:012} {:.<width$}", "", width = LINE - 14)?;
        while waiting.len() >= size {
            let block: Vec<u8> = waiting.drain(..size).collect();
            write_out(&output, &block)?;
        }
    }
    write_out(&output, &waiting)
}

/// One call to the system, unless it takes less.
fn write_out(output: &std::io::Stdout, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let written = nix::unistd::write(output, bytes)?;
        bytes = bytes.get(written..).unwrap_or(&[]);
    }
    Ok(())
}
