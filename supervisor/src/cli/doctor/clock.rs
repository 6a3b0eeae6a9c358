//! The time of day and its zone.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Finding, Patient};
use crate::schedule::Schedule;

/// Files may be ahead of the clock by this much, for it is set now and then.
const SLACK: Duration = Duration::from_mins(1);

pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let mut findings = vec![against_files(&patient.data, SystemTime::now())];
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        findings.push(Finding::ok("time service", "The clock is kept right by a time service."));
    }
    if let Some(settings) = &patient.settings {
        let schedules = patient.plan().map(|plan| plan.schedules).unwrap_or_default();
        let machine = machine_zone(Path::new("/etc/localtime"));
        findings.push(zone(settings.timezone.as_deref(), machine.as_deref(), &schedules));
    }
    findings
}

/// A clock that is behind what was written before is wrong.
fn against_files(data: &Path, now: SystemTime) -> Finding {
    let folders = [data.to_owned(), data.join("logs"), data.join("backups"), data.join("run")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let newest = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max();
    let ahead = newest.and_then(|newest| newest.duration_since(now).ok()).filter(|ahead| *ahead > SLACK);
    match ahead {
        Some(ahead) => {
            let text = format!("The clock is behind files of the data directory, by {} s or more.", ahead.as_secs());
            Finding::bad("clock", text, "Set the clock, and have it kept right: timedatectl set-ntp true")
        }
        None => Finding::ok("clock", "No file of the data directory is younger than the clock."),
    }
}

fn machine_zone(link: &Path) -> Option<String> {
    let target = std::fs::read_link(link).ok()?;
    Some(target.to_str()?.split_once("zoneinfo/")?.1.to_owned())
}

/// Which time the schedules keep; one that names a zone keeps that, whatever the appliance does.
fn zone(set: Option<&str>, machine: Option<&str>, schedules: &[Schedule]) -> Finding {
    let is_utc = |zone: &str| matches!(zone, "UTC" | "Etc/UTC" | "Universal" | "Etc/Universal" | "Zulu");
    let follow: Vec<&str> =
        schedules.iter().filter(|schedule| schedule.zone.is_none()).map(|schedule| schedule.name.as_str()).collect();
    if !schedules.is_empty() && follow.is_empty() {
        return Finding::ok("time zone", "Each schedule names a time zone of its own.");
    }
    match (set, machine) {
        (Some(zone), _) => Finding::ok("time zone", format!("Schedules keep the time of {zone}.")),
        (None, Some(zone)) if !is_utc(zone) => {
            let whose = if follow.len() == schedules.len() {
                "Schedules keep".to_owned()
            } else {
                format!("Schedules without a timezone ({}) keep", follow.join(", "))
            };
            let text = format!("{whose} UTC, though this machine is in {zone}.");
            Finding::warn("time zone", text, format!("Set TZ={zone}, or name a timezone in the schedule."))
        }
        (None, _) => Finding::ok("time zone", "Schedules keep UTC; TZ names another zone."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;

    #[test]
    fn a_clock_behind_the_files_is_wrong_and_a_zone_besides_the_machines_is_told() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("format"), "1").unwrap();
        let now = SystemTime::now();
        assert_eq!(against_files(data.path(), now).verdict, Verdict::Ok);
        assert_eq!(against_files(data.path(), now - Duration::from_hours(1)).verdict, Verdict::Bad);
        assert_eq!(zone(None, Some("Europe/Berlin"), &[]).verdict, Verdict::Warn);
        assert_eq!(zone(None, Some("Etc/UTC"), &[]).verdict, Verdict::Ok);
        assert_eq!(zone(Some("Asia/Tokyo"), Some("Europe/Berlin"), &[]).verdict, Verdict::Ok);
        let schedules =
            |text: &str| crate::plan::parse(&format!("{text}\n[service.web]\nkind = \"app\"\n")).unwrap().schedules;
        let own = "[schedule.a]\ncron = \"1 3 * * *\"\ntask = \"backup\"\ntimezone = \"Asia/Tokyo\"";
        assert_eq!(zone(None, Some("Europe/Berlin"), &schedules(own)).verdict, Verdict::Ok);
        let both = schedules(&format!("{own}\n[schedule.b]\ncron = \"1 4 * * *\"\ntask = \"backup\""));
        let found = zone(None, Some("Europe/Berlin"), &both);
        assert_eq!((found.verdict, found.text.contains("(b) keep UTC")), (Verdict::Warn, true), "{found:?}");
        let link = data.path().join("localtime");
        std::os::unix::fs::symlink("/usr/share/zoneinfo/Asia/Tokyo", &link).unwrap();
        assert_eq!(machine_zone(&link).unwrap(), "Asia/Tokyo");
    }
}
