//! Backups and reports: whether what should happen by itself does.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Finding, Patient};
use crate::backup::{self, list};
use crate::metrics::Mail;
use crate::report::Store;

/// A nightly backup that is older has been left out.
const OLD: TimeDelta = TimeDelta::hours(26);

pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let mut findings = vec![last_backup(&patient.data, Utc::now())];
    findings.extend(last_report(&patient.data));
    let mail = Mail::look(&patient.data);
    let waiting: u64 = mail.waiting.values().sum();
    if waiting > 0 {
        let channels: Vec<&str> = mail.waiting.keys().map(String::as_str).collect();
        let text = format!("{waiting} reports wait to be delivered ({}).", channels.join(", "));
        findings.push(Finding::warn(
            "delivery",
            text,
            "See why: supervisor report show; then correct that channel's address.",
        ));
    }
    findings
}

fn last_backup(data: &Path, now: DateTime<Utc>) -> Finding {
    let make = "Make one now: supervisor backup create";
    let listed = match list::list(&data.join(backup::FOLDER)) {
        Ok(listed) => listed,
        Err(error) => {
            return Finding::warn(
                "backup",
                format!("The backups cannot be looked at: {error}."),
                "Ask as their owner (sudo).",
            );
        }
    };
    let Some(newest) = listed.first() else {
        return Finding::warn("backup", "There is no backup yet.", make);
    };
    if let Some(problem) = &newest.problem {
        return Finding::bad("backup", format!("The newest backup {} is damaged: {problem}", newest.name), make);
    }
    match newest.created_at.map(|at| now - at) {
        Some(age) if age > OLD => {
            let text = format!("The newest backup {} is {} hours old.", newest.name, age.num_hours());
            Finding::warn("backup", text, format!("{make}; see why the nightly one failed: supervisor logs backup"))
        }
        _ => Finding::ok(
            "backup",
            format!("The newest backup is {}; `supervisor backup verify {0}` proves it.", newest.name),
        ),
    }
}

fn last_report(data: &Path) -> Option<Finding> {
    let report = Store::open(data).ok()?.list().ok()?.into_iter().next()?;
    let reason =
        report.reason.as_deref().map_or_else(String::new, |reason| format!(": {}", reason.trim_end_matches('.')));
    let day = report.started_at.format("%Y-%m-%d %H:%M UTC");
    let see = "See all of it: supervisor report show";
    Some(match report.result.exit() {
        0 => Finding::ok("last restart", format!("The restart of {day} went well.")),
        1 => Finding::bad("last restart", format!("The restart of {day} failed{reason}."), see),
        2 => Finding::warn("last restart", format!("The restart of {day} left something not well{reason}."), see),
        _ => Finding::warn("last restart", format!("The restart of {day} was left out{reason}."), see),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;

    #[test]
    fn a_missing_and_a_damaged_backup_are_told() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(last_backup(data.path(), Utc::now()).verdict, Verdict::Warn);
        assert!(last_report(data.path()).is_none());
        std::fs::create_dir(data.path().join("backups")).unwrap();
        std::fs::write(data.path().join("backups/glitchbox-20260101T030100Z.tar"), "x").unwrap();
        let found = last_backup(data.path(), Utc::now());
        assert_eq!(found.verdict, Verdict::Bad, "{found:?}");
    }
}
