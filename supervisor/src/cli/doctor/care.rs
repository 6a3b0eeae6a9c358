//! Backups and reports: whether what should happen by itself does.

use std::path::Path;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::{Finding, Patient};
use crate::backup::{self, list};
use crate::metrics::Mail;
use crate::plan::Plan;
use crate::report::Store;
use crate::schedule::{Schedule, Work};

/// A backup takes its time, and jitter and summer time shift it: one comes this much later than expected at most.
const SLACK: TimeDelta = TimeDelta::hours(2);

/// What to do without one.
const MAKE: &str = "Make one now: supervisor backup create";

/// So many days of a schedule are looked at for the longest pause between two.
const DAYS: usize = 400;

pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let mut findings = vec![last_backup(&patient.data, patient.plan().as_ref().and_then(longest_pause), Utc::now())];
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

/// The longest time between two backups when all goes well; none when nobody makes them by the clock.
fn longest_pause(plan: &Plan) -> Option<TimeDelta> {
    let makes_one = |schedule: &&Schedule| match schedule.work {
        Work::Backup => true,
        Work::ScheduledRestart => plan.backup.nightly,
        Work::BackupVerify => false,
    };
    plan.schedules.iter().filter(makes_one).filter_map(pause).min()
}

/// The longest time between two days on which a schedule runs: how often it does so within one does not matter here.
fn pause(schedule: &Schedule) -> Option<TimeDelta> {
    let mut looked = DateTime::UNIX_EPOCH.naive_utc();
    let days = std::iter::from_fn(|| {
        let day = schedule.line.after(looked).next()?.date();
        looked = day.succ_opt()?.and_time(NaiveTime::MIN) - TimeDelta::seconds(1);
        Some(day)
    });
    let days: Vec<_> = days.take(DAYS).collect();
    days.iter().zip(days.iter().skip(1)).map(|(one, other)| *other - *one).max()
}

/// `pause` is the longest time between two; none when nobody makes them by the clock.
fn last_backup(data: &Path, pause: Option<TimeDelta>, now: DateTime<Utc>) -> Finding {
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
        return Finding::warn("backup", "There is no backup yet.", MAKE);
    };
    if let Some(problem) = &newest.problem {
        return Finding::bad("backup", format!("The newest backup {} is damaged: {problem}", newest.name), MAKE);
    }
    of_age(&newest.name, newest.created_at.map(|at| now - at), pause)
}

fn of_age(name: &str, age: Option<TimeDelta>, pause: Option<TimeDelta>) -> Finding {
    let hours = age.map(|age| age.num_hours());
    match (age, pause) {
        (Some(age), Some(pause)) if age > pause + SLACK => Finding::warn(
            "backup",
            format!("The newest backup {name} is {} hours old.", age.num_hours()),
            format!("{MAKE}; see why none was made by schedule: supervisor logs backup"),
        ),
        (_, None) => {
            let old = hours.map_or_else(String::new, |hours| format!(", {hours} hours old"));
            Finding::ok("backup", format!("The newest backup is {name}{old}; none is made by schedule."))
        }
        _ => {
            Finding::ok("backup", format!("The newest backup is {name}; `supervisor backup verify {name}` proves it."))
        }
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
    fn how_old_a_backup_may_be_depends_on_when_they_are_made() {
        let hours = |text: &str| {
            let plan = crate::plan::parse(&format!("{text}\n[service.web]\nkind = \"app\"\n")).unwrap();
            longest_pause(&plan).map(|pause| pause.num_hours())
        };
        let of = |task: &str, cron: &str| format!("[schedule.{task}]\ncron = \"{cron}\"\ntask = \"{task}\"\n");
        let (nightly, weekly) = (of("scheduled-restart", "1 3 * * *"), of("backup", "0 4 * * 0"));
        assert_eq!(hours(&nightly), Some(24));
        assert_eq!(hours(&format!("[backup]\nnightly = false\n{nightly}")), None);
        assert_eq!(hours(&format!("[backup]\nnightly = false\n{nightly}{weekly}")), Some(7 * 24));
        assert_eq!(hours(&format!("{nightly}{weekly}")), Some(24));
        assert_eq!(hours(&of("backup", "0 4 * * 1-5")), Some(3 * 24));
        assert_eq!(hours(&of("backup", "* 8-18 * * *")), Some(24));
        assert_eq!(hours(&of("backup-verify", "0 4 * * *")), None);
    }

    #[test]
    fn an_old_backup_is_told_only_when_a_younger_one_was_expected() {
        let day = TimeDelta::days(1);
        let verdict = |age_h, pause| of_age("b.tar", Some(TimeDelta::hours(age_h)), pause).verdict;
        assert_eq!((verdict(25, Some(day)), verdict(27, Some(day))), (Verdict::Ok, Verdict::Warn));
        assert_eq!((verdict(27, Some(day * 7)), verdict(171, Some(day * 7))), (Verdict::Ok, Verdict::Warn));
        assert_eq!(verdict(10_000, None), Verdict::Ok);
    }

    #[test]
    fn a_missing_and_a_damaged_backup_are_told() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(last_backup(data.path(), None, Utc::now()).verdict, Verdict::Warn);
        assert!(last_report(data.path()).is_none());
        std::fs::create_dir(data.path().join("backups")).unwrap();
        std::fs::write(data.path().join("backups/glitchbox-20260101T030100Z.tar"), "x").unwrap();
        let found = last_backup(data.path(), None, Utc::now());
        assert_eq!(found.verdict, Verdict::Bad, "{found:?}");
    }
}
