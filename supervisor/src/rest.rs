//! What a supervisor that has nothing to do gives back.
//!
//! A start, a restart and an operator's questions run through most of the program once; waiting takes little of it. The
//! kernel keeps every page of the program mapped that has ever been used, and counts it as ours. So some seconds after
//! the last thing that happened all of the program's own pages are let go of, once. They stay in the page cache, where
//! the next use finds them again: a minor fault for every sixteen pages, a fraction of a millisecond for all that a
//! restart of a service needs. Measured with five services: 4.5 MB before, 1.0 MB after.

#![allow(unsafe_code, reason = "the call that lets pages go cannot be had without; the block says why it is sound")]

use std::sync::Arc;
use std::time::Duration;

use nix::libc;
use tokio::sync::Notify;

/// So long after the last thing that happened.
const QUIET: Duration = Duration::from_secs(5);

/// Is told whenever something happens; clones tell the same.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    stirred: Arc<Notify>,
}

impl Rest {
    /// Rests from now on whenever it has been quiet for a while. Costs one wake-up after each spell of work.
    pub fn begin() -> Self {
        let rest = Self::default();
        let stirred = Arc::clone(&rest.stirred);
        tokio::spawn(async move {
            loop {
                stirred.notified().await;
                while tokio::time::timeout(QUIET, stirred.notified()).await.is_ok() {}
                give_back(&std::fs::read_to_string("/proc/self/smaps").unwrap_or_default());
            }
        });
        rest
    }

    /// Something happens.
    pub fn stir(&self) {
        self.stirred.notify_one();
    }
}

/// Lets go of the pages of the mappings that `smaps` shows and that are the same in their files.
fn give_back(smaps: &str) {
    for (start, end) in clean(smaps) {
        // SAFETY: a private mapping of a file that this process cannot write to and in which no page differs from the
        // file: whatever is let go of comes back the same at the next access. Nothing makes such a mapping writable,
        // and none of them is ever taken away, for we load no libraries.
        let _ = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// The private read-only mappings of files without a page of our own in them, in memory or in swap: not what the loader
/// has relocated. Where the kernel does not tell, nothing is.
fn clean(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        if let Some(size) = line.strip_prefix("Anonymous:") {
            candidate = candidate.filter(|_| size.trim() == "0 kB");
        } else if let Some(size) = line.strip_prefix("Swap:") {
            // The last of the two: a page in swap is not counted as anonymous any more.
            found.extend(candidate.take().filter(|_| size.trim() == "0 kB"));
        } else if line.starts_with(|first: char| first.is_ascii_digit() || first.is_ascii_lowercase()) {
            candidate = read_only_file(line);
        }
    }
    found
}

/// The range of a mapping that cannot be written to, from its first line.
fn read_only_file(line: &str) -> Option<(usize, usize)> {
    // "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/supervisor"
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_read_only = matches!(words.next()?, "r-xp" | "r--p");
    let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
    let range = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some(range).filter(|_| is_read_only && is_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_same_in_its_file_is_let_go_of() {
        let smaps = "\
00200000-00300000 r--p 00000000 fe:00 12 /usr/bin/supervisor
Rss: 4 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me
00300000-00400000 r-xp 00100000 fe:00 12 /usr/bin/supervisor (deleted)
Anonymous:             0 kB
Swap:                  0 kB
00400000-00410000 r--p 00200000 fe:00 12 /usr/bin/supervisor
Anonymous:            16 kB
Swap:                  0 kB
00410000-00420000 rw-p 00210000 fe:00 12 /usr/bin/supervisor
Anonymous:             0 kB
Swap:                  0 kB
7f0000000000-7f0000001000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
Swap:                  0 kB
7f0000002000-7f0000003000 r--p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
7f0000004000-7f0000005000 r--p 00000000 fe:00 13 /lib/libc.so.6
Anonymous:             0 kB
Swap:                  4 kB
7f0000006000-7f0000007000 r--p 00000000 fe:00 13 /lib/libm.so.6
Anonymous:             0 kB
";
        assert_eq!(clean(smaps), [(0x20_0000, 0x30_0000), (0x30_0000, 0x40_0000)]);
        assert!(clean("").is_empty());
    }

    #[test]
    fn the_program_goes_on_as_if_nothing_had_happened() {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(!clean(&smaps).is_empty());
        give_back(&smaps);
        assert_eq!(format!("{:?}", "still".to_owned() + " here"), "\"still here\"");
    }
}
