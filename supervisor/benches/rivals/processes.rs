//! What the processes of a supervisor cost.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Of all processes of a supervisor together, without its services.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) processes: usize,
    pub(crate) threads: usize,
    /// Bytes.
    pub(crate) pss: u64,
    /// Bytes.
    pub(crate) private: u64,
    /// Voluntary and other switches so far.
    pub(crate) switches: u64,
    pub(crate) cpu: Duration,
}

/// A process and all that descend from it, but for services.
pub(crate) fn cost(root: u32) -> Cost {
    let mut cost = Cost::default();
    let own = std::env::current_exe().unwrap_or_default();
    for process in family(root) {
        let folder = format!("/proc/{process}");
        if fs::read_link(format!("{folder}/exe")).is_ok_and(|exe| exe == own) {
            continue;
        }
        let rollup = fs::read_to_string(format!("{folder}/smaps_rollup")).unwrap_or_default();
        cost.processes += 1;
        cost.pss += kilobytes(&rollup, "Pss:");
        cost.private += kilobytes(&rollup, "Private_Clean:") + kilobytes(&rollup, "Private_Dirty:");
        cost.cpu += cpu(Path::new(&folder));
        for thread in fs::read_dir(format!("{folder}/task")).into_iter().flatten().flatten() {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            cost.threads += 1;
            cost.switches +=
                number(&status, "voluntary_ctxt_switches:") + number(&status, "nonvoluntary_ctxt_switches:");
        }
    }
    cost
}

/// Whether a process runs (and is not only waiting to be reaped).
pub(crate) fn runs(process: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn family(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(process) = all.get(at).copied() {
        at += 1;
        for thread in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    all
}

fn number(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn kilobytes(text: &str, key: &str) -> u64 {
    number(text, key) * 1024
}

/// User and system time, its ended children included.
fn cpu(folder: &Path) -> Duration {
    let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    // The kernel shows hundredths of a second to programs, whatever it counts in itself.
    Duration::from_millis(ticks * 10)
}
