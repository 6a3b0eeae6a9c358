//! What is installed, and whether it fits the data.

use std::path::Path;
use std::process::Command;

use super::{Finding, Patient};
use crate::cli::start::load_plan;
use crate::postgres;
use crate::redis;

pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let own = env!("CARGO_PKG_VERSION");
    let mut findings = vec![match &patient.status {
        Some(status) if status.version != own => Finding::warn(
            "version",
            format!("This is glitchbox {own}, and {} is running.", status.version),
            "Start the appliance again to run the new version.",
        ),
        _ => Finding::ok("version", format!("This is glitchbox {own}.")),
    }];
    let Some(settings) = &patient.settings else { return findings };
    // A plan with other services needs neither.
    let plan = load_plan(&patient.start).ok();
    let runs = |name: &str| plan.as_ref().is_none_or(|plan| plan.has_bundled(name));
    if settings.bundled_postgres && runs("postgres") {
        let cluster = std::fs::read_to_string(patient.data.join("postgres/PG_VERSION")).ok();
        let cluster = cluster.and_then(|text| text.trim().parse::<u32>().ok());
        findings.push(match postgres::find(cluster, &patient.data, &settings.search_path) {
            Ok(server) => {
                let version = version_of(&server.bin.join("postgres")).unwrap_or_else(|| server.major.to_string());
                let fits = if cluster.is_some() { ", which fits the data" } else { "" };
                Finding::ok("postgresql", format!("PostgreSQL {version} is installed{fits}."))
            }
            Err(fault) => Finding::bad("postgresql", fault.message, "Install the version that is named."),
        });
    }
    if settings.bundled_redis && runs("redis") {
        findings.push(match redis::find(&settings.search_path) {
            Ok(program) => {
                let version = version_of(&program).unwrap_or_else(|| "of unknown version".to_owned());
                Finding::ok("redis", format!("Redis {version} is installed."))
            }
            Err(fault) => Finding::bad("redis", fault.message, "apt-get install redis-server"),
        });
    }
    findings
}

/// The first word with a point in it of what `--version` says: both servers name theirs so.
fn version_of(program: &Path) -> Option<String> {
    let said = Command::new(program).arg("--version").env_clear().output().ok()?;
    version_in(&String::from_utf8_lossy(&said.stdout))
}

fn version_in(text: &str) -> Option<String> {
    let words = text.split_whitespace().map(|word| word.trim_start_matches("v="));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.')).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_servers_tell_their_versions() {
        assert_eq!(version_in("postgres (PostgreSQL) 17.6 (Debian 17.6-1)").unwrap(), "17.6");
        assert_eq!(version_in("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64").unwrap(), "7.0.15");
        assert!(version_in("no").is_none());
    }
}
