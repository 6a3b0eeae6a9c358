//! Unix socket addresses hold at most 107 bytes of path; data directories may be deeper than that.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest directory under which a socket's name still fits.
const MAX_DIRECTORY_BYTES: usize = 80;

/// Linux's O_PATH: a name for the directory only, which needs no permission to list it.
const O_PATH: i32 = 0o10_000_000;

/// `directory` itself if a socket in it has a usable address, else a short name for it under
/// `/proc/self/fd`. The descriptor behind the short name stays open for the life of the process,
/// since pools reconnect at any time; so call this once for each directory.
pub fn short_directory(directory: &Path) -> io::Result<PathBuf> {
    if directory.as_os_str().as_bytes().len() <= MAX_DIRECTORY_BYTES {
        return Ok(directory.to_owned());
    }
    let handle = OpenOptions::new().read(true).custom_flags(O_PATH).open(directory)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
    let _kept_open = handle.into_raw_fd();
    Ok(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_directory_gets_a_short_name_for_the_same_place() {
        let deep = std::env::temp_dir().join(format!("{}-{}", std::process::id(), "d".repeat(120)));
        std::fs::create_dir_all(&deep).unwrap();
        let short = short_directory(&deep).unwrap();
        assert!(short.as_os_str().len() < 30);
        let _listener = std::os::unix::net::UnixListener::bind(short.join("x.sock")).unwrap();
        assert!(deep.join("x.sock").exists());
        std::fs::remove_dir_all(&deep).unwrap();
    }
}
