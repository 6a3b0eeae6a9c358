//! The report for people who read logs, and the pieces that cards share with it.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::model::{Action, Check, CheckStatus, Outcome, Report};
use super::words::{Words, words};
use crate::channels::Language;
use crate::task::Trigger;

/// One line that says it all.
pub fn headline(report: &Report) -> String {
    let reason = report.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!("{} {} after {}{reason}", report.id, report.result.name(), seconds(took_ms(report)))
}

/// The whole report, a line each. What is wrong begins with `WARN ` or `ERROR `, and so goes to the file of errors too.
pub fn block(report: &Report) -> Vec<String> {
    let words = words(Language::English);
    let mark = match report.result {
        Outcome::Ok => "",
        Outcome::Degraded | Outcome::Skipped => "WARN ",
        Outcome::Failed => "ERROR ",
    };
    let trigger = if report.trigger == Trigger::Schedule { "scheduled" } else { "by hand" };
    let mut lines = vec![
        format!("{mark}{}", headline(report)),
        format!("  {} ({}), {trigger}, {}", report.domain, report.instance, when(report.started_at, &report.tz)),
    ];
    for (title, checks) in [(words.before, &report.checks_before), (words.after, &report.checks_after)] {
        for check in checks.iter().filter(|check| check.status != CheckStatus::Absent) {
            let bad = check.status == CheckStatus::Failed;
            let (mark, state) = if bad { ("ERROR ", "NOT WELL") } else { ("", "ok") };
            lines.push(format!("{mark}  {title}: {} {state}: {} ({} ms)", check.name, check.detail, check.ms));
        }
    }
    if let Some(backup) = &report.backup {
        match (&backup.file, &backup.error) {
            (Some(file), _) => lines.push(format!("  backup: {file}, {}", bytes(backup.size.unwrap_or(0)))),
            (None, error) => lines.push(format!("ERROR   backup: {}", error.as_deref().unwrap_or("none"))),
        }
    }
    for action in &report.actions {
        let mark = if action.ok { "" } else { "ERROR " };
        lines.push(format!("{mark}  {}", action_line(action)));
    }
    lines.extend(requests_line(report, words).map(|line| format!("  {}: {line}", words.requests)));
    lines.extend(facts(report, words).into_iter().map(|(name, value)| format!("  {name}: {value}")));
    lines.extend(report.warnings.iter().map(|warning| format!("WARN   {warning}")));
    lines
}

/// `web 12 -> 34 (ready in 0.35 s, drained in 5.00 s, memory 30.1 MB -> 24.0 MB)`.
pub(super) fn action_line(action: &Action) -> String {
    let pid = |pid: Option<i32>| pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    if !action.ok {
        return format!("{}: {} (PID {} stays)", action.service, action.message, pid(action.old_pid));
    }
    if action.old_pid == action.new_pid {
        return format!("{} {} (PID {})", action.service, action.message, pid(action.old_pid));
    }
    let mut words = vec![seconds(action.ready_ms)];
    if let Some(drained) = action.drain_ms {
        words.push(format!("+ {}", seconds(drained)));
    }
    let mut line = format!(
        "{}: {} | PID: {} → {}",
        action.service.to_uppercase(),
        words.join(" "),
        pid(action.old_pid),
        pid(action.new_pid)
    );
    if let Some(requests) = action.inflight_at_drain.filter(|requests| *requests > 0) {
        // Writing to a string cannot fail.
        let _ = write!(line, " | in flight: {requests}");
    }
    if let (Some(old), Some(new)) = (action.old_rss, action.new_rss) {
        let _ = write!(line, " | RSS: {} → {}", bytes(old), bytes(new));
    }
    line
}

pub(super) fn requests_line(report: &Report, words: &Words) -> Option<String> {
    let requests = report.requests?;
    Some(format!(
        "{} {}, {} {}, {} {} ms",
        requests.served, words.served, requests.failed, words.failed, words.longest, requests.max_latency_ms
    ))
}

/// Names with values: the machine, the database, the queue.
pub(super) fn facts(report: &Report, words: &Words) -> Vec<(&'static str, String)> {
    let system = &report.system;
    let share =
        |memory: super::Memory| format!("{:.1}% ({} / {})", memory.percent(), bytes(memory.used), bytes(memory.total));
    let disks: Vec<String> = system
        .disk
        .iter()
        .map(|disk| format!("{} {:.1}% ({} {})", disk.path, disk.used_percent, bytes(disk.free), words.free))
        .collect();
    let [one, five, fifteen] = system.load;
    let mut facts = vec![("CPU", format!("{:.1}%", system.cpu_percent)), (words.memory, share(system.mem))];
    if system.swap.total > 0 {
        facts.push((words.swap, share(system.swap)));
    }
    facts.push((words.disk, disks.join(", ")));
    facts.push((words.load, format!("{one:.2} {five:.2} {fifteen:.2}")));
    if let Some([cpu, memory, io]) = system.psi {
        facts.push((words.pressure, format!("CPU {cpu:.1}%, {} {memory:.1}%, I/O {io:.1}%", words.memory)));
    }
    facts.push((words.connections, system.connections.to_string()));
    facts.push((words.open_files, system.fds.to_string()));
    if let Some(pg) = &report.pg {
        let wal = pg.wal.map_or_else(String::new, |wal| format!(", WAL {}", bytes(wal)));
        let damaged = match pg.checksum_failures {
            Some(failures) if failures > 0 => format!(", {} {failures}", words.damaged),
            _ => String::new(),
        };
        facts.push((
            words.database,
            format!("{}{wal}, {} / {}, XID {}{damaged}", bytes(pg.size), pg.conns, pg.max_conns, pg.xid_age),
        ));
    }
    if let Some(after) = report.queue.after.or(report.queue.before) {
        let before = report.queue.before.unwrap_or(after);
        facts.push((words.queue, format!("{} → {}, {} {}", before.entries, after.entries, words.dead, after.dead)));
    }
    facts
}

/// The beginning of a text, at most so many characters, marked when something is left out.
pub(super) fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

/// A check's state as a sign.
pub(super) fn sign(check: &Check) -> &'static str {
    match check.status {
        CheckStatus::Ok => "✅",
        CheckStatus::Failed => "❌",
        CheckStatus::Absent => "➖",
    }
}

/// From beginning to end, in milliseconds.
pub(super) fn took_ms(report: &Report) -> u64 {
    u64::try_from((report.finished_at - report.started_at).num_milliseconds()).unwrap_or(0)
}

/// `0.35 s`.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10)
}

/// `30.1 MB`.
pub(super) fn bytes(count: u64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut scale: u64 = 1;
    while count / scale >= 1_000 && unit + 1 < units.len() {
        scale *= 1_024;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or("B");
    if unit == 0 {
        format!("{count} {name}")
    } else {
        format!("{}.{} {name}", count / scale, count % scale * 10 / scale)
    }
}

/// A moment in the zone people know, named.
pub(super) fn when(time: DateTime<Utc>, zone: &str) -> String {
    match zone.parse::<chrono_tz::Tz>() {
        Ok(known) => format!("{} ({zone})", time.with_timezone(&known).format("%Y-%m-%d %H:%M:%S")),
        Err(_) => format!("{} (UTC)", time.format("%Y-%m-%d %H:%M:%S")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "0.9 KB");
        assert_eq!(bytes(31_561_318), "30.0 MB");
        assert_eq!(bytes(5 << 30), "5.0 GB");
        assert_eq!(seconds(5_349), "5.34 s");
        assert_eq!((shorten("错误", 2), shorten("错误a", 2)), ("错误".to_owned(), "错误…".to_owned()));
    }

    #[test]
    fn times_are_in_the_zone_of_the_schedule() {
        let time = DateTime::from_timestamp(1_784_000_000, 0).unwrap();
        assert_eq!(when(time, "Asia/Shanghai"), "2026-07-14 11:33:20 (Asia/Shanghai)");
        assert_eq!(when(time, "CST-8"), "2026-07-14 03:33:20 (UTC)");
    }
}
