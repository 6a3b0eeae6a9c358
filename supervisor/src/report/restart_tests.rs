use super::*;
use crate::settings::Secret;

#[test]
fn what_an_operator_has_stopped_is_left_as_it_is_with_a_warning() {
    let service = |name: &str, state: &str| {
        serde_json::from_value(json!({
            "name": name, "state": state, "pid": null, "generation": 1, "uptime_s": null, "restarts": 0,
            "health": "-", "last_exit": null, "ready_ms": null, "draining": [],
        }))
        .unwrap()
    };
    let mut warnings = Vec::new();
    let names = to_restart(&[service("web", "ready"), service("worker", "stopped")], &mut warnings);
    assert_eq!((names, warnings), (vec!["web"], vec!["worker is stopped: it is left as it is".to_owned()]));
    let names = to_restart(&[service("worker", "failed")], &mut Vec::new());
    assert_eq!(names, ["worker"]);
}

fn report() -> Report {
    serde_json::from_value(json!({
        "schema": 1, "kind": "restart.report", "id": "restart-1", "instance": "box", "domain": "http://x:pw@h",
        "version": "1", "trigger": "schedule", "scheduled_for": null, "started_at": "2026-11-20T03:01:00Z",
        "finished_at": "2026-11-20T03:01:05Z", "tz": "UTC", "mode": "recycle", "result": "ok", "reason": null,
        "checks_before": [], "checks_after": [{"name": "web", "status": "ok", "ms": 1, "detail": "ok"}],
        "actions": [], "requests": null, "queue": {"before": null, "after": null},
        "system": {"mem": {"total": 1, "used": 0}, "swap": {"total": 0, "used": 0}, "disk": [], "cpu_percent": 0.0,
            "load": [0.0, 0.0, 0.0], "connections": 0, "fds": 0},
        "pg": null, "backup": null, "warnings": [], "log_tail": [],
    }))
    .unwrap()
}

#[test]
fn of_a_report_that_is_gone_nothing_is_kept() {
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir(data.path().join("logs")).unwrap();
    let store = Store::make(data.path()).unwrap();
    let folder = data.path().join("logs/reports");
    for name in ["restart-0.webhook.delivery", "restart-1.webhook.delivery", "notes.txt"] {
        std::fs::write(folder.join(name), "{}").unwrap();
    }
    store.keep(&report()).unwrap();
    let is_there = |name: &str| folder.join(name).exists();
    assert!(!is_there("restart-0.webhook.delivery") && is_there("restart-1.webhook.delivery"));
    assert!(is_there("restart-1.json") && is_there("notes.txt"));
    // Then there are more than are kept.
    for number in 100..190 {
        store.keep(&Report { id: format!("restart-{number}"), ..report() }).unwrap();
    }
    assert!(!is_there("restart-1.json") && !is_there("restart-1.webhook.delivery"));
    assert_eq!(store.list().unwrap().len(), 90);
}

fn judged(change: impl FnOnce(&mut Report, &mut Recycled)) -> (Outcome, String) {
    let mut report = report();
    let action = Action { service: "web".to_owned(), ok: true, ..Action::default() };
    let requests = Some(super::super::Requests { served: 9, failed: 0, max_latency_ms: 3 });
    let mut recycled = Recycled { actions: vec![action], requests, ..Recycled::default() };
    change(&mut report, &mut recycled);
    let is_well = report.checks_after.iter().all(|check| check.status != CheckStatus::Failed);
    judge(&mut report, recycled, is_well);
    (report.result, report.reason.unwrap_or_default())
}

#[test]
fn what_went_wrong_decides_how_it_went() {
    assert_eq!(judged(|_, _| ()), (Outcome::Ok, String::new()));
    let (result, reason) = judged(|_, recycled| {
        recycled.actions[0].ok = false;
        recycled.actions[0].message = "generation 2 was not ready within 60 s".to_owned();
    });
    assert_eq!(
        (result, reason.as_str()),
        (Outcome::Failed, "web was not replaced: generation 2 was not ready within 60 s")
    );
    let (result, _) = judged(|report, _| report.checks_after[0].status = CheckStatus::Failed);
    assert_eq!(result, Outcome::Failed);
    let no_backup = Backup { error: Some("the disk is full".to_owned()), ..Backup::default() };
    let (result, reason) = judged(|report, _| report.backup = Some(no_backup));
    assert_eq!((result, reason.as_str()), (Outcome::Degraded, "no backup was made: the disk is full"));
    let (result, reason) = judged(|_, recycled| recycled.requests.as_mut().unwrap().failed = 2);
    assert_eq!((result, reason.as_str()), (Outcome::Degraded, "2 requests failed meanwhile"));
    assert_eq!(judged(|_, recycled| recycled.actions[0].killed = true).0, Outcome::Degraded);
    assert_eq!([Outcome::Ok, Outcome::Failed, Outcome::Degraded, Outcome::Skipped].map(Outcome::exit), [0, 1, 2, 3]);
}

#[test]
fn every_text_of_a_report_is_cleaned() {
    let mut report = report();
    let text = || "a correct-horse-battery b".to_owned();
    report.reason = Some(text());
    report.checks_after[0].detail = text();
    report.actions = vec![Action { message: text(), ..Action::default() }];
    report.backup = Some(Backup { error: Some(text()), ..Backup::default() });
    report.warnings = vec![text()];
    report.log_tail = vec![text()];
    let clean = json!(redact(report, &Redactor::new(&[Secret::new("correct-horse-battery")]))).to_string();
    assert!(!clean.contains("correct-horse") && !clean.contains("pw@"), "{clean}");
    assert_eq!(clean.matches("a *** b").count(), 6);
}
