//! What the figures were measured on.

use std::fs;

/// Processor, cores, memory, kernel.
pub(crate) fn machine() -> String {
    let value = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}, {cores} cores, {} of memory, Linux {}",
        value("/proc/cpuinfo", "model name"),
        value("/proc/meminfo", "MemTotal"),
        kernel.trim()
    )
}
