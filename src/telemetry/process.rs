//! What this process takes of the machine, as the kernel says.

use std::fs;

use super::exposition::Exposition;

/// Ticks in a second, in `/proc`: the same on every Linux.
const TICKS: f64 = 100.0;

/// Adds what can be read, under the names that Prometheus's own libraries use.
pub fn describe(out: &mut Exposition) {
    if let Some(status) = fs::read_to_string("/proc/self/status").ok().as_deref() {
        if let Some(bytes) = kibibytes(status, "VmRSS:") {
            out.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", bytes);
        }
        if let Some(bytes) = kibibytes(status, "VmSize:") {
            out.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", bytes);
        }
    }
    if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_seconds) {
        out.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", seconds);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        out.gauge("process_open_fds", "Number of open file descriptors.", entries.count());
    }
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|number| number * 1024)
}

/// The 14th and 15th field; the second one is a name in brackets that may have blanks in it.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(f64::from(ticks) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood() {
        let mut out = Exposition::default();
        describe(&mut out);
        let text = out.into_text();
        for name in ["process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds "] {
            assert!(text.contains(&format!("\n{name}")), "{name} in {text}");
        }
        assert_eq!(cpu_seconds("7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20"), Some(2.0));
        assert_eq!(kibibytes("VmPeak:\t  10 kB\nVmRSS:\t  2 kB\n", "VmRSS:"), Some(2048));
    }
}
