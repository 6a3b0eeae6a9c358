//! What a process that hangs is doing, as far as the kernel tells: taken before it is killed, since afterwards nobody can
//! find out. Reads neither its environment nor its arguments: both may hold secrets.

use std::collections::BTreeMap;
use std::fs;

/// Threads looked at.
const MOST_THREADS: usize = 32;

/// Open files counted.
const MOST_FILES: usize = 10_000;

/// Lines of a kernel stack shown.
const MOST_FRAMES: usize = 12;

/// A few lines about one process; none when it is gone. Not for the loop: the kernel may take its time.
pub fn take(pid: i32) -> Vec<String> {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return Vec::new() };
    let field = |name: &str| field(&status, name).unwrap_or("?").to_owned();
    let files = fs::read_dir(format!("/proc/{pid}/fd")).map_or_else(
        |_| "unknown".to_owned(),
        |entries| match entries.take(MOST_FILES).count() {
            MOST_FILES => format!("{MOST_FILES} or more"),
            count => count.to_string(),
        },
    );
    let mut lines = vec![format!(
        "state {}, {} threads, resident {}, {files} open files, context switches {} and {}",
        field("State"),
        field("Threads"),
        field("VmRSS"),
        field("voluntary_ctxt_switches"),
        field("nonvoluntary_ctxt_switches"),
    )];
    if field("TracerPid") != "0" {
        lines.push(format!("traced by process {}", field("TracerPid")));
    }
    lines.extend(threads(pid));
    lines.extend(stack(pid));
    lines
}

/// What each thread does; those that do the same in one line.
fn threads(pid: i32) -> Vec<String> {
    let mut lines = Vec::new();
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    for entry in entries.take(MOST_THREADS) {
        let folder = entry.path();
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let status = read("status");
        let Some(name) = field(&status, "Name") else { continue };
        let mut line = format!("{name}: {}", field(&status, "State").unwrap_or("?"));
        // "0" is: nowhere, or not for us to know.
        let wchan = read("wchan");
        if !matches!(wchan.trim(), "" | "0") {
            line.push_str(", waits in ");
            line.push_str(wchan.trim());
        }
        // The number of the call, or "running"; what follows are arguments and addresses.
        let syscall = read("syscall");
        if let Some(number) = syscall.split_whitespace().next() {
            line.push_str(if number == "running" { ", " } else { ", system call " });
            line.push_str(number);
        }
        lines.push(line);
    }
    count_alike(lines)
}

fn count_alike(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines {
        *alike.entry(line).or_default() += 1;
    }
    alike.into_iter().map(|(line, count)| format!("{count} x {line}")).collect()
}

/// Where its main thread is in the kernel, when we may know.
fn stack(pid: i32) -> Option<String> {
    let stack = fs::read_to_string(format!("/proc/{pid}/stack")).ok()?;
    // `[<0>] futex_wait_queue+0x60/0x90`
    let frame = |line: &str| Some(line.split_once(' ')?.1.split('+').next()?.to_owned());
    let frames: Vec<String> = stack.lines().filter_map(frame).take(MOST_FRAMES).collect();
    (!frames.is_empty()).then(|| format!("kernel stack: {}", frames.join(" < ")))
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_described_without_its_arguments_and_environment() {
        let mut child =
            std::process::Command::new("sleep").arg("1000").env("PASSWORD", "hunter2hunter2").spawn().unwrap();
        let since = std::time::Instant::now();
        let mut lines = take(child.id().cast_signed());
        while !lines.iter().any(|line| line.contains("1 x sleep: S (sleeping)")) {
            assert!(since.elapsed().as_secs() < 10, "{lines:?}");
            lines = take(child.id().cast_signed());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let text = lines.join("\n");
        assert!(lines[0].contains("1 threads, resident ") && lines[0].contains(" open files"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("1000"), "{text}");
    }

    #[test]
    fn nothing_is_told_of_a_process_that_is_gone() {
        assert!(take(i32::MAX).is_empty());
    }

    #[test]
    fn what_is_alike_is_one_line() {
        let lines = ["b: S", "a: S", "b: S", "b: S"].map(str::to_owned);
        assert_eq!(count_alike(lines), ["1 x a: S", "3 x b: S"]);
    }
}
