//! How much memory the bundled servers may use, from what the machine or its cgroup allows; and how many open files.
//!
//! The appliance shares small machines with other things, so these are far from what a dedicated database server
//! would take: the kernel's page cache does the rest.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::error::Fault;

const MB: u64 = 1024 * 1024;

/// Open files we need at least, and the most we ask for: a browser's or an SDK's connection takes one.
const OPEN_FILES: (u64, u64) = (256, 65_536);

/// Raises the number of files we and the services may have open, as far as is allowed.
///
/// # Errors
/// Exit code 15 when it is too small to work with.
pub fn raise_open_files() -> Result<(), Fault> {
    let unknown = |errno| Fault::configuration(format!("The limit on open files cannot be set: {errno}."));
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(unknown)?;
    let (least, most) = OPEN_FILES;
    let wanted = soft.max(hard.min(most));
    if wanted < least {
        return Err(Fault::configuration(format!(
            "Only {wanted} files may be open at once, and the appliance needs {least}: raise the limit (ulimit -n)."
        )));
    }
    if wanted > soft { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_err(unknown) } else { Ok(()) }
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What we were given to divide.
    pub limit: u64,
    /// PostgreSQL's own page cache.
    pub shared_buffers: u64,
    /// What PostgreSQL's planner takes to be cached, here or in the kernel.
    pub effective_cache: u64,
    /// For building indexes and vacuuming.
    pub maintenance: u64,
    /// Where Redis stops taking more.
    pub redis: u64,
}

impl Memory {
    /// Divides `limit` bytes.
    pub fn divide(limit: u64) -> Self {
        Self {
            limit,
            shared_buffers: (limit / 64).clamp(16 * MB, 64 * MB).min((limit / 4).max(4 * MB)),
            effective_cache: (limit / 2).max(32 * MB),
            maintenance: (limit / 32).clamp(16 * MB, 64 * MB),
            redis: (limit / 4).clamp(32 * MB, 1024 * MB),
        }
    }

    /// Divides what this machine, or the cgroup we are in, allows.
    pub fn measure() -> Self {
        Self::divide(limit(Path::new("/")))
    }
}

/// The smallest limit that applies: the machine's memory or that of any cgroup above us (version 1 or 2).
fn limit(root: &Path) -> u64 {
    let read = |path: PathBuf| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let total = read("proc/meminfo".into())
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map_or(1024 * MB, |kilobytes| kilobytes * 1024);
    let mut limits = vec![total];
    for line in read("proc/self/cgroup".into()).lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (mount, file) = if controllers.is_empty() {
            ("sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        // Inside a container the path may be the host's and lead nowhere; its last ancestor is the container's root.
        for ancestor in Path::new(group.trim_start_matches('/')).ancestors() {
            limits.extend(read(Path::new(mount).join(ancestor).join(file)).trim().parse::<u64>());
        }
    }
    limits.into_iter().filter(|limit| *limit > 0).min().unwrap_or(total)
}

/// True when PostgreSQL's dynamic shared memory fits into `/dev/shm`: it is open to every user, and larger than the
/// 64 MB that Docker gives by default.
pub fn has_shared_memory_room() -> bool {
    let shared = Path::new("/dev/shm");
    let is_open = std::fs::metadata(shared).is_ok_and(|metadata| metadata.permissions().mode() & 0o002 != 0);
    let size = nix::sys::statvfs::statvfs(shared).map(|stat| stat.blocks() * stat.fragment_size());
    is_open && size.is_ok_and(|bytes| bytes >= 128 * MB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> u64 {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        limit(root.path())
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        2048000 kB\nMemFree: 1 kB\n");

    #[test]
    fn without_a_cgroup_limit_the_machine_counts() {
        assert_eq!(machine(&[MEMINFO]), 2_048_000 * 1024);
        let unlimited = machine(&[MEMINFO, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "max\n")]);
        assert_eq!(unlimited, 2_048_000 * 1024);
    }

    #[test]
    fn the_smallest_cgroup_limit_counts_in_both_versions() {
        let second = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "536870912\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
        ]);
        assert_eq!(second, 512 * MB);
        let first = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "5:cpu:/\n4:memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
        ]);
        assert_eq!(first, 256 * MB);
        let endless = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(endless, 2_048_000 * 1024);
    }

    #[test]
    fn shares_stay_within_bounds() {
        let small = Memory::divide(256 * MB);
        assert_eq!((small.shared_buffers, small.redis), (16 * MB, 64 * MB));
        let large = Memory::divide(64 * 1024 * MB);
        assert_eq!((large.shared_buffers, large.redis), (64 * MB, 1024 * MB));
        for limit in [0, 16 * MB, 64 * MB, 512 * MB, 1024 * MB] {
            let memory = Memory::divide(limit);
            assert!(memory.shared_buffers <= (limit / 4).max(4 * MB), "{limit}");
        }
    }
}
