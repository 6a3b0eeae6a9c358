//! What a service may use and do: resource limits, its place when memory runs out, and root's rights.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit};

/// Where a process is told how soon it is killed when memory runs out.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// How far the supervisor itself is from being killed for want of memory, where nobody has said otherwise: what it keeps
/// running is worth more, and it gives nothing back.
const SUPERVISOR_OOM_SCORE: i32 = -900;

/// What the supervisor was started with.
static OWN_OOM_SCORE: OnceLock<i32> = OnceLock::new();

/// Keeps the supervisor from being killed when memory runs out, if that is allowed. Before the first service.
pub fn spare_supervisor() {
    let given = std::fs::read_to_string(OOM_SCORE).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let _ = OWN_OOM_SCORE.set(given);
    if given == 0 {
        let _ = std::fs::write(OOM_SCORE, SUPERVISOR_OOM_SCORE.to_string());
    }
}

/// What the supervisor was started with, and its services count from.
pub fn own_oom_score() -> i32 {
    OWN_OOM_SCORE.get().copied().unwrap_or(0)
}

/// Names of root's rights (capabilities) by the kernel's numbers.
pub const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The rights of these names, one bit each.
///
/// # Errors
/// The first name that is none.
pub fn capabilities<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<u64, &'n str> {
    names.into_iter().try_fold(0, |set, name| {
        let number = CAPABILITIES.iter().position(|known| *known == name).ok_or(name)?;
        Ok(set | (1 << number))
    })
}

/// How a service is confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// What each of its processes may use.
    pub limits: Limits,
    /// From -1000 (never killed when memory runs out) to 1000 (killed first), added to [`own_oom_score`]. Lowering it takes
    /// a privilege; without it, things stay as they are.
    pub oom_score_adjust: i32,
    /// No program it runs gets more rights than it has (`sudo`, `ping`).
    pub no_new_privs: bool,
    /// What is left of root's rights when it runs as root, one bit each; `None` leaves all. Those who run as another
    /// user have none.
    pub capabilities: Option<u64>,
}

impl Default for Confinement {
    fn default() -> Self {
        Self { limits: Limits::default(), oom_score_adjust: 0, no_new_privs: true, capabilities: None }
    }
}

/// Bounds of one process, handed on to its children; `None` is as ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open files.
    pub open_files: Option<u64>,
    /// Processes and threads of its user, whoever started them. Does not hold root.
    pub processes: Option<u64>,
    /// Bytes of memory of its own, reserved or in use.
    pub memory: Option<u64>,
    /// Bytes of a core dump, which has every secret in it.
    pub core: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open_files: None, processes: None, memory: None, core: Some(0) }
    }
}

impl Limits {
    /// What is to be set, as far as the limits we are under ourselves allow it.
    pub fn settable(&self) -> Vec<(Resource, u64)> {
        let wanted = [
            (Resource::RLIMIT_NOFILE, self.open_files),
            (Resource::RLIMIT_NPROC, self.processes),
            (Resource::RLIMIT_DATA, self.memory),
            (Resource::RLIMIT_CORE, self.core),
        ];
        let allowed = |(resource, wanted): (Resource, Option<u64>)| {
            let (_, most) = getrlimit(resource).ok()?;
            Some((resource, wanted?.min(most)))
        };
        wanted.into_iter().filter_map(allowed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_have_the_kernels_numbers() {
        assert_eq!(capabilities(["CHOWN", "KILL", "CHECKPOINT_RESTORE"]), Ok(1 | 1 << 5 | 1 << 40));
        assert_eq!(capabilities(["NET_BIND_SERVICE"]), Ok(1 << 10));
        assert_eq!(capabilities(["CHOWN", "SYS_RESOURCE", "CAP_KILL"]), Err("CAP_KILL"));
        assert_eq!(CAPABILITIES.get(24), Some(&"SYS_RESOURCE"));
    }

    #[test]
    fn no_limit_is_above_our_own() {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let limits = Limits { open_files: Some(u64::MAX), processes: None, memory: Some(1 << 30), core: Some(0) };
        assert_eq!(
            limits.settable(),
            [(Resource::RLIMIT_NOFILE, most), (Resource::RLIMIT_DATA, 1 << 30), (Resource::RLIMIT_CORE, 0)]
        );
    }
}
