//! `supervisor doctor`: looks at everything that makes trouble sooner or later, and says what to do about it. Works with
//! the appliance running or stopped, changes nothing, and asks nobody outside.

mod care;
mod clock;
mod disk;
mod exposure;
mod machine;
mod secrets;
mod versions;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::Serialize;

use super::output::{Colour, Paint, print, print_json, wrap};
use super::start::load_plan;
use super::{Place, Start};
use crate::control::{Client, Failure, Status};
use crate::plan::Plan;
use crate::settings::{Overrides, Settings};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but not as well or not for as long as it could.
    Warn,
    /// Does not work, or will soon not.
    Bad,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The thing, one or two words.
    check: &'static str,
    verdict: Verdict,
    /// One sentence.
    text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, text: text.into(), fix: None }
    }

    fn warn(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, text: text.into(), fix: Some(fix.into()) }
    }

    fn bad(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::warn(check, text, fix) }
    }
}

/// What all checks start from.
#[derive(Debug)]
struct Patient {
    /// The data directory, absolute.
    data: PathBuf,
    /// What the running supervisor says; none when none runs, or it cannot be asked.
    status: Option<Status>,
    /// The environment it runs in, or would be started in from here.
    environment: Vec<(OsString, OsString)>,
    /// The settings in it; none when they are wrong, which is a finding of its own.
    settings: Option<Settings>,
    /// How the one that runs was started, as far as its plan goes.
    start: Start,
}

impl Patient {
    /// The plan; none when it is wrong, which is a finding of its own.
    fn plan(&self) -> Option<Plan> {
        load_plan(&self.start).ok()
    }
}

/// Looks at everything. The exit code is 1 when something is bad.
pub(super) async fn doctor(place: Place, json: bool) -> Result<u8, Failure> {
    let data = place.path();
    let data = std::path::absolute(&data).unwrap_or(data);
    let mut findings = Vec::new();
    let status = match Client::connect(&data).await {
        Ok(mut client) => client.status().await.ok(),
        Err(_) => None,
    };
    let environment = status.as_ref().and_then(|status| environment_of(status.pid));
    let environment = environment.unwrap_or_else(|| std::env::vars_os().collect());
    let overrides = Overrides { data_dir: Some(data.clone()), port: status.as_ref().map(|status| status.port) };
    let settings = match Settings::from_env(environment.iter().cloned(), &overrides) {
        Ok(settings) => Some(settings),
        Err(complaints) => {
            let text = format!("The environment is wrong: {}.", complaints.join("; "));
            findings.push(Finding::bad(
                "settings",
                text,
                "Correct the variables named; `supervisor check` tells whether all is right.",
            ));
            None
        }
    };
    let config = status.as_ref().and_then(|status| config_of(status.pid));
    let start = Start { data_dir: None, port: None, config };
    let patient = Patient { data, status, environment, settings, start };
    findings.extend(services(&patient));
    findings.extend(disk::look(&patient));
    findings.extend(machine::look(&patient));
    findings.extend(clock::look(&patient));
    findings.extend(versions::look(&patient));
    findings.extend(secrets::look(&patient));
    findings.extend(exposure::look(&patient));
    findings.extend(care::look(&patient));
    let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
    if json {
        print_json(&serde_json::json!({ "ok": worst < Verdict::Bad, "verdict": worst, "findings": findings }));
    } else {
        print(&render(&findings, Paint::for_output()));
    }
    Ok(u8::from(worst == Verdict::Bad))
}

/// As the supervisor was given it; none without the right to see it.
fn environment_of(pid: u32) -> Option<Vec<(OsString, OsString)>> {
    let text = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let pairs = text.split(|byte| *byte == 0).filter_map(|entry| {
        let end = entry.iter().position(|byte| *byte == b'=')?;
        let (name, value) = entry.split_at_checked(end)?;
        Some((OsString::from_vec(name.to_vec()), OsStr::from_bytes(value.get(1..)?).to_owned()))
    });
    Some(pairs.collect())
}

/// The `--config` it was started with, if it was.
fn config_of(pid: u32) -> Option<PathBuf> {
    let text = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = text.split(|byte| *byte == 0);
    let given = words.find_map(|word| match word.strip_prefix(b"--config") {
        Some([]) => Some(None),
        Some([b'=', path @ ..]) => Some(Some(path)),
        _ => None,
    })?;
    let path = given.or_else(|| words.next()).map(|path| PathBuf::from(OsStr::from_bytes(path)))?;
    // It may be relative to where that one runs.
    Some(std::fs::read_link(format!("/proc/{pid}/cwd")).map_or_else(|_| path.clone(), |cwd| cwd.join(&path)))
}

fn services(patient: &Patient) -> Vec<Finding> {
    let Some(status) = &patient.status else {
        let text = "No appliance is running here, or it belongs to another user; what only it knows is left out.";
        return vec![Finding::warn("services", text, "Start it, or ask as its owner (sudo).")];
    };
    let troubled: Vec<_> = status.services.iter().filter(|service| !service.is_well()).collect();
    if troubled.is_empty() {
        return vec![Finding::ok("services", "All services are as they should be.")];
    }
    let bad = troubled.iter().map(|service| {
        let text = format!("{} is {} ({}).", service.name, service.state, service.health);
        Finding::bad(
            "services",
            text,
            format!("See why: supervisor logs {0}; then: supervisor restart {0}", service.name),
        )
    });
    bad.collect()
}

fn render(findings: &[Finding], paint: Paint) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let (colour, word) = match finding.verdict {
            Verdict::Ok => (Colour::Green, "ok  "),
            Verdict::Warn => (Colour::Yellow, "warn"),
            Verdict::Bad => (Colour::Red, "BAD "),
        };
        let text = wrap(&format!("{}: {}", finding.check, finding.text), 6, 6);
        lines.push(text.replacen("      ", &format!("{}  ", paint.colour(colour, word)), 1));
        lines.extend(finding.fix.as_ref().map(|fix| wrap(&format!("-> {fix}"), 6, 9)));
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    lines.push(format!(
        "\n{} fine, {} could be better, {} bad",
        count(Verdict::Ok),
        count(Verdict::Warn),
        count(Verdict::Bad)
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_shown_with_their_fixes_in_eighty_columns() {
        let text =
            "PostgreSQL can be reached on port 5432 of every address of this machine, and so can everything else.";
        let findings = [Finding::ok("disk", "There is room."), Finding::bad("ports", text, "Unset EXPOSE_DB_PORT.")];
        let shown = render(&findings, Paint::never());
        assert!(shown.starts_with("ok    disk: There is room.\nBAD   ports: PostgreSQL"), "{shown}");
        assert!(shown.contains("\n      -> Unset EXPOSE_DB_PORT.\n\n1 fine, 0 could be better, 1 bad"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }

    #[test]
    fn an_environment_is_read_back() {
        let own = environment_of(std::process::id()).unwrap();
        assert!(own.iter().any(|(name, value)| name == "PATH" && !value.is_empty()), "{own:?}");
    }
}
