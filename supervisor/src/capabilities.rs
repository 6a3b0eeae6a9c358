//! What root may do where its rights can be taken away one by one (`docker run --cap-drop ALL`).

use nix::unistd::geteuid;

use crate::error::Fault;

/// Root's rights that running services as users of their own takes, with the kernel's numbers.
const NEEDED: [(u32, &str); 6] =
    [(0, "CHOWN"), (1, "DAC_OVERRIDE"), (3, "FOWNER"), (5, "KILL"), (6, "SETGID"), (7, "SETUID")];

/// Refuses to start as a root that lacks what is needed: without it, a start fails half-way or a stop hangs.
///
/// # Errors
/// Exit code 15 with what is missing.
pub fn check() -> Result<(), Fault> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = if geteuid().is_root() { missing(&status) } else { Vec::new() };
    if missing.is_empty() {
        return Ok(());
    }
    let options: Vec<String> = missing.iter().map(|name| format!("--cap-add {name}")).collect();
    Err(Fault::configuration(format!(
        "As root, the appliance needs rights that were taken away: add {}; or run it as an ordinary user (--user 12345), which needs none.",
        options.join(" ")
    )))
}

/// What the line `CapEff:` of a process's status lacks; nothing when there is no such line.
fn missing(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()) else { return Vec::new() };
    NEEDED.into_iter().filter(|(number, _)| effective & (1 << number) == 0).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert!(missing("Name:\tx\nCapEff:\t000001ffffffffff\n").is_empty());
        assert!(missing("CapEff:\t00000000a80425fb\n").is_empty(), "docker's default");
        assert!(missing("CapEff:\t00000000000000eb\n").is_empty(), "the six alone");
        assert_eq!(missing("CapEff:\t00000000000000c3\n"), ["FOWNER", "KILL"]);
        assert_eq!(missing("CapEff:\t0000000000000000\n").len(), 6);
        assert!(missing("").is_empty());
    }
}
