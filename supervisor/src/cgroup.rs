//! A control group for each run, where we may make one: the kernel then kills all of a run in one stroke.
//!
//! That takes version 2, a group of our own that is not the machine's root, and the right to make others in it (a
//! delegated unit of systemd, a container with a writable `/sys/fs/cgroup`). Anywhere else there are none, silently, and
//! the sweep goes by tags (`reap`), which need no right.

use std::fs::{DirBuilder, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where this supervisor makes its groups: `glitchbox.PID` in its own.
const PREFIX: &str = "glitchbox.";

/// The place for the groups of all runs.
#[derive(Debug)]
pub struct Groups {
    home: PathBuf,
}

/// The group of one run. Dropped, it is removed.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    list: Arc<OwnedFd>,
}

impl Groups {
    /// Makes the place, if that is possible here.
    pub fn find() -> Option<Self> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let own = own_group(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))?;
        // The machine's root has none, nor has a kernel before 5.14.
        if !own.join("cgroup.kill").exists() {
            return None;
        }
        tidy(&own);
        let home = own.join(format!("{PREFIX}{}", std::process::id()));
        DirBuilder::new().create(&home).ok()?;
        Some(Self { home })
    }

    /// A group for one run.
    pub fn group(&self, name: &str, generation: u64) -> Option<Group> {
        let path = self.home.join(format!("{name}.{generation}"));
        DirBuilder::new().create(&path).ok()?;
        let list = File::options().write(true).open(path.join("cgroup.procs")).ok()?;
        Some(Group { path, list: Arc::new(list.into()) })
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.home);
    }
}

impl Group {
    /// The open list that a process writes "0" to in order to join.
    pub fn list(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.list)
    }

    /// Kills whatever is in it; true if anything was.
    pub fn kill(&self) -> bool {
        let is_empty = std::fs::read_to_string(self.path.join("cgroup.procs")).map_or(true, |list| list.is_empty());
        if !is_empty {
            let _ = std::fs::write(self.path.join("cgroup.kill"), "1");
        }
        !is_empty
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// The folder of our own group: `0::PATH`, below where version 2 is mounted.
fn own_group(membership: &str, mounts: &str) -> Option<PathBuf> {
    let path = Path::new(membership.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts.lines().find_map(|line| {
        // ID PARENT DEVICE ROOT POINT OPTIONS... - TYPE SOURCE OPTIONS
        let (mount, kind) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(3);
        let (root, point) = (words.next()?, words.next()?);
        let below = path.strip_prefix(root).ok().filter(|_| kind.starts_with("cgroup2 "))?;
        Some(Path::new(point).join(below))
    })
}

/// Removes what supervisors that are gone have left; a group that is in use cannot be removed.
fn tidy(own: &Path) {
    let folders = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    for home in folders(own) {
        let name = home.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
        if name.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            for group in folders(&home).filter(|path| path.is_dir()) {
                let _ = std::fs::remove_dir(group);
            }
            let _ = std::fs::remove_dir(home);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_group_is_found_wherever_it_is_mounted() {
        let mount = |root: &str, point: &str| {
            format!(
                "30 24 0:26 / /proc rw - proc proc rw\n31 24 0:27 {root} {point} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
            )
        };
        let found =
            |membership: &str, mounts: &str| own_group(membership, mounts).map(|path| path.display().to_string());
        assert_eq!(found("0::/\n", &mount("/", "/sys/fs/cgroup")).as_deref(), Some("/sys/fs/cgroup/"));
        let both = "4:memory:/x\n0::/system.slice/a.service\n";
        assert_eq!(
            found(both, &mount("/", "/sys/fs/cgroup/unified")).as_deref(),
            Some("/sys/fs/cgroup/unified/system.slice/a.service")
        );
        assert_eq!(found("0::/docker/a/b\n", &mount("/docker/a", "/g")).as_deref(), Some("/g/b"));
        assert_eq!(found("0::/docker/a\n", &mount("/other", "/g")), None);
        assert_eq!(found("4:memory:/x\n", &mount("/", "/g")), None);
        assert_eq!(found("0::/\n", "30 24 0:26 / /proc rw - proc proc rw\n"), None);
    }
}
