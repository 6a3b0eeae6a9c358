//! The machine's facts.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, System as Machine};

use super::model::{Disk, Memory, System};

/// Over how long the use of the processors is measured.
const CPU_SPAN: Duration = MINIMUM_CPU_UPDATE_INTERVAL;

/// Folders of the data directory that may lie on volumes of their own.
const VOLUMES: [&str; 6] = ["postgres", "redis", "spool", "uploads", "backups", "logs"];

/// Looks at the machine; takes some 200 ms. `data` is shown as the path of the working directory.
pub(super) fn system(data: &Path) -> System {
    let mut machine = Machine::new();
    machine.refresh_cpu_usage();
    std::thread::sleep(CPU_SPAN);
    machine.refresh_cpu_usage();
    machine.refresh_memory();
    let load = Machine::load_average();
    System {
        mem: memory(&machine),
        swap: Memory { total: machine.total_swap(), used: machine.used_swap() },
        disk: disks(data),
        cpu_percent: (f64::from(machine.global_cpu_usage()) * 10.0).round() / 10.0,
        load: [load.one, load.five, load.fifteen],
        connections: connections(),
        fds: first_number("/proc/sys/fs/file-nr"),
        psi: pressure(),
    }
}

/// What the container may use, where that is less than the machine has.
fn memory(machine: &Machine) -> Memory {
    let whole = Memory { total: machine.total_memory(), used: machine.used_memory() };
    match machine.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 && limits.total_memory < whole.total => {
            Memory { total: limits.total_memory, used: limits.total_memory.saturating_sub(limits.free_memory) }
        }
        _ => whole,
    }
}

/// The file systems of the data directory, of folders in it that are volumes of their own, and of the root directory: each
/// file system once.
pub(super) fn disks(data: &Path) -> Vec<Disk> {
    let inside = VOLUMES.map(|name| (name, data.join(name).display().to_string()));
    let places = std::iter::once((".", data.display().to_string())).chain(inside).chain([("/", "/".to_owned())]);
    let mut seen: Vec<u64> = Vec::new();
    let mut disks = Vec::new();
    for (path, shown) in places {
        let Ok(found) = std::fs::metadata(path) else { continue };
        if !seen.contains(&found.dev()) {
            seen.push(found.dev());
            disks.extend(disk(path, shown));
        }
    }
    disks
}

#[expect(clippy::cast_precision_loss, reason = "a share in percent, for people")]
fn disk(path: &str, shown: String) -> Option<Disk> {
    let found = statvfs(path).ok()?;
    let size = found.fragment_size();
    let (total, free, left) = (found.blocks() * size, found.blocks_free() * size, found.blocks_available() * size);
    let used = total.saturating_sub(free);
    let share = if used + left == 0 { 0.0 } else { used as f64 * 100.0 / (used + left) as f64 };
    Some(Disk { path: shown, total, free: left, used_percent: (share * 10.0).round() / 10.0 })
}

/// Established TCP connections of this network namespace.
fn connections() -> u64 {
    const ESTABLISHED: &str = "01";
    let count = |path: &str| {
        let table = std::fs::read_to_string(path).unwrap_or_default();
        let lines = table.lines().skip(1);
        lines.filter(|line| line.split_whitespace().nth(3) == Some(ESTABLISHED)).count() as u64
    };
    count("/proc/net/tcp") + count("/proc/net/tcp6")
}

fn first_number(path: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn pressure() -> Option<[f64; 3]> {
    let share = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/pressure/{name}")).ok()?;
        text.split_whitespace().find_map(|word| word.strip_prefix("avg10=")?.parse().ok())
    };
    Some([share("cpu")?, share("memory")?, share("io")?])
}

/// Memory that is this process's at the moment, in bytes.
pub(super) fn rss(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Whether this process is there and has not ended.
pub(super) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// The machine's or the container's name.
pub(super) fn host_name() -> String {
    Machine::host_name().unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_facts() {
        let system = system(Path::new("/data"));
        assert!(system.mem.total > 0 && system.mem.used <= system.mem.total, "{system:?}");
        assert_eq!(system.disk[0].path, "/data");
        assert!(system.disk.iter().all(|disk| disk.total > 0 && (0.0..=100.0).contains(&disk.used_percent)));
        assert!(system.cpu_percent >= 0.0 && system.fds > 0);
        let own = std::process::id().cast_signed();
        assert!(rss(own).unwrap() > 1024 * 1024 && is_alive(own));
        assert!(rss(i32::MAX).is_none() && !is_alive(i32::MAX));
    }
}
