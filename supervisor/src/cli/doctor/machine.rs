//! The kernel, its limits and its memory.

use std::path::Path;

use super::{Finding, Patient};
use crate::cli::output::size;
use crate::tuning::{self, Memory};

/// Open files below which many clients at once are too many.
const FEW_FILES: u64 = 4_096;
/// Processes below which PostgreSQL may not get all it wants.
const FEW_PROCESSES: u64 = 512;
/// Memory that should be left, and that should be allowed at least, in bytes.
const LITTLE_LEFT: u64 = 200 << 20;
const LITTLE_ALLOWED: u64 = 400 << 20;

pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let pid = patient.status.as_ref().map_or_else(|| "self".to_owned(), |status| status.pid.to_string());
    let root = Path::new("/");
    let mut findings = vec![shared_memory(), overcommit(root)];
    findings.extend(huge_pages(root));
    findings.extend(limits(root, &pid));
    findings.extend(memory(root));
    findings.push(groups(root));
    findings
}

fn read(root: &Path, path: &str) -> String {
    std::fs::read_to_string(root.join(path)).unwrap_or_default()
}

fn shared_memory() -> Finding {
    if tuning::has_shared_memory_room() {
        return Finding::ok("shared memory", "/dev/shm is large enough for PostgreSQL.");
    }
    let text =
        "/dev/shm is smaller than 128 MB or closed: PostgreSQL keeps shared memory in files instead, which is slower.";
    Finding::warn("shared memory", text, "Start the container with --shm-size 256m.")
}

fn overcommit(root: &Path) -> Finding {
    match read(root, "proc/sys/vm/overcommit_memory").trim() {
        "1" => Finding::ok("overcommit", "Memory may be overcommitted, as Redis wants it."),
        "2" => Finding::warn(
            "overcommit",
            "vm.overcommit_memory is 2: memory is refused long before it is used up.",
            "On the host: sysctl -w vm.overcommit_memory=1 (and in /etc/sysctl.d to keep it).",
        ),
        _ => Finding::warn(
            "overcommit",
            "vm.overcommit_memory is not 1: with little memory left, Redis cannot rewrite its file.",
            "On the host: sysctl -w vm.overcommit_memory=1 (and in /etc/sysctl.d to keep it).",
        ),
    }
}

fn huge_pages(root: &Path) -> Option<Finding> {
    let text = read(root, "sys/kernel/mm/transparent_hugepage/enabled");
    if text.is_empty() {
        return None;
    }
    Some(if text.contains("[always]") {
        let fix = "On the host: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
        Finding::warn("huge pages", "Transparent huge pages are always used: Redis takes more memory for it.", fix)
    } else {
        Finding::ok("huge pages", "Transparent huge pages are used only where a program wants them.")
    })
}

fn limits(root: &Path, pid: &str) -> Vec<Finding> {
    let text = read(root, &format!("proc/{pid}/limits"));
    // The hard limit is what counts: the supervisor raises the other one to it.
    let hard = |name: &str| {
        let words = text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().nth(1)?;
        Some(words.parse::<u64>().unwrap_or(u64::MAX))
    };
    let mut findings = Vec::new();
    match hard("Max open files") {
        Some(files) if files < FEW_FILES => findings.push(Finding::warn(
            "open files",
            format!("At most {files} files and connections may be open at once."),
            "Raise the limit: --ulimit nofile=65536:65536, or LimitNOFILE=65536, or ulimit -n.",
        )),
        Some(_) => findings.push(Finding::ok("open files", "Enough files and connections may be open at once.")),
        None => {}
    }
    match hard("Max processes") {
        Some(processes) if processes < FEW_PROCESSES => findings.push(Finding::warn(
            "processes",
            format!("At most {processes} processes of one user may run."),
            "Raise the limit: --ulimit nproc=4096, or --pids-limit, or ulimit -u.",
        )),
        Some(_) => findings.push(Finding::ok("processes", "Enough processes may run.")),
        None => {}
    }
    findings
}

fn memory(root: &Path) -> Vec<Finding> {
    let Memory { limit, shared_buffers, redis, .. } = Memory::measure();
    let shares = format!("PostgreSQL caches {}, Redis takes at most {}", size(shared_buffers), size(redis));
    let mut findings = vec![if limit < LITTLE_ALLOWED {
        let text = format!("Only {} of memory are allowed; {shares}.", size(limit));
        Finding::warn("memory limit", text, "Allow at least 512 MB: --memory 512m, or MemoryMax=512M.")
    } else {
        Finding::ok("memory limit", format!("{} of memory are allowed; {shares}.", size(limit)))
    }];
    let text = read(root, "proc/meminfo");
    let available = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = available.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    findings.extend(available.map(|kilobytes| {
        let left = kilobytes * 1024;
        if left < LITTLE_LEFT {
            let fix = "Stop something else, add swap, or give the machine more memory.";
            Finding::bad("free memory", format!("Only {} of memory are left on this machine.", size(left)), fix)
        } else {
            Finding::ok("free memory", format!("{} of memory are left on this machine.", size(left)))
        }
    }));
    findings
}

fn groups(root: &Path) -> Finding {
    let has_kill = root.join("sys/fs/cgroup/cgroup.controllers").exists();
    let text = if has_kill {
        "The kernel has control groups of version 2."
    } else {
        "The kernel has no control groups of version 2; processes are found by their session and their mark instead."
    };
    Finding::ok("control groups", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;

    #[test]
    fn a_machine_is_judged_by_what_the_kernel_says() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for (value, verdict) in [("0\n", Verdict::Warn), ("1\n", Verdict::Ok), ("2\n", Verdict::Warn)] {
            write("proc/sys/vm/overcommit_memory", value);
            assert_eq!(overcommit(root.path()).verdict, verdict, "{value}");
        }
        assert!(huge_pages(root.path()).is_none());
        write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
        assert_eq!(huge_pages(root.path()).unwrap().verdict, Verdict::Ok);
        write("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
        assert_eq!(huge_pages(root.path()).unwrap().verdict, Verdict::Warn);
        let limit = "Limit                     Soft Limit           Hard Limit           Units\n";
        write(
            "proc/7/limits",
            &format!(
                "{limit}Max processes             100 200 processes\nMax open files            1024 unlimited files\n"
            ),
        );
        let verdicts: Vec<_> = limits(root.path(), "7").into_iter().map(|it| (it.check, it.verdict)).collect();
        assert_eq!(verdicts, [("open files", Verdict::Ok), ("processes", Verdict::Warn)]);
        write("proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable:  100000 kB\n");
        assert_eq!(memory(root.path())[1].verdict, Verdict::Bad);
    }
}
