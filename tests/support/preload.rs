//! Small libraries that are loaded into a program before its own, to give it a slow disk or another clock.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a library in `folder` from its C source and gives back its path.
pub(crate) fn compile(folder: &Path, name: &str, source: &str) -> PathBuf {
    let (from, to) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&from, source).unwrap();
    let mut command = Command::new("cc");
    command.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&to).arg(&from);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    to
}

/// Each fsync, fdatasync, sync_file_range, msync, syncfs and sync takes `LD_SLOW_FSYNC_MS` longer, but in `LD_NOT_SLOW`.
pub(crate) fn slow_fsync(folder: &Path) -> PathBuf {
    compile(folder, "slow_fsync", include_str!("preload/slow_fsync.c"))
}

/// The wall clock is `LD_CLOCK_AHEAD_MS` ahead.
pub(crate) fn moved_clock(folder: &Path) -> PathBuf {
    compile(folder, "moved_clock", include_str!("preload/moved_clock.c"))
}
