//! `Task::ScheduledRestart`: looks, backs up, replaces web and worker, looks again, reports.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::checks::{self, Findings};
use super::model::{Action, Backup, CheckStatus, KIND, Outcome, Queue, Report, SCHEMA, System};
use super::recycle::{Recycled, recycle};
use super::redact::Redactor;
use super::store::Store;
use super::text::{block, bytes, shorten};
use super::{facts, letters, outbox::Outbox, skip, upkeep};
use crate::backup::{create, limit::within};
use crate::control::Client;
use crate::state::ServiceStatus;
use crate::task::{Place, RestartRules, Task, TaskOutcome, TaskRequest, Trigger};

/// What is restarted, in this order.
pub(super) const SERVICES: [&str; 2] = ["web", "worker"];

/// Nothing but the backup takes longer than this: whatever hangs, other tasks have their turn again.
const ALL_WITHIN: Duration = Duration::from_mins(30);

/// From the first order to the last new generation that serves.
const RESTART_WITHIN: Duration = Duration::from_mins(2);

/// How long everything may take to be well afterwards, and the pause between two looks.
const WELL_WITHIN: Duration = Duration::from_mins(1);
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Longest text in a report, in characters, and most warnings.
const LONGEST_TEXT: usize = 500;
const MOST_WARNINGS: usize = 50;

/// Lines of the supervisor's log in a report.
const LOG_LINES: usize = 8;

/// Answers of the supervisor come at once, unless it is ending.
pub(super) const CONTROL_LIMIT: Duration = Duration::from_secs(5);

/// In a process of its own, whose working directory is the data directory.
pub fn run(request: &TaskRequest) -> TaskOutcome {
    let Task::ScheduledRestart { trigger, scheduled_for, dry_run, rules } = request.task else {
        return TaskOutcome::failed("This is not a restart.");
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return TaskOutcome::failed(format!("The restart cannot be started: {error}.")),
    };
    let outcome = runtime.block_on(async {
        let mut report = begin(&request.place, trigger, scheduled_for, dry_run);
        if trigger == Trigger::Schedule && rules.report_only {
            "report-only".clone_into(&mut report.mode);
        }
        let within = ALL_WITHIN + request.place.backup.limit();
        let silent = |_| Err(format!("it was not over within {} min", within.as_secs() / 60));
        let done = timeout(within, proceed(&mut report, &request.place, dry_run, &rules)).await.unwrap_or_else(silent);
        if let Err(error) = done {
            report.result = Outcome::Failed;
            report.reason = Some(error);
        }
        report.finished_at = Utc::now();
        conclude(report, &request.place, dry_run)
    });
    // A backup that hangs is not waited for.
    runtime.shutdown_background();
    outcome
}

/// `Task::ReportSkipped`: the report of a restart that did not take place, since another task was running.
pub fn skipped(place: &Place, scheduled_for: DateTime<Utc>, reason: &str) -> TaskOutcome {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return TaskOutcome::failed(format!("The report cannot be made: {error}.")),
    };
    runtime.block_on(async {
        let mut report = begin(place, Trigger::Schedule, Some(scheduled_for), false);
        report.result = Outcome::Skipped;
        report.reason = Some(reason.to_owned());
        if place.backup.nightly {
            report.warnings.push("no backup was made before the restart, for the same reason".to_owned());
        }
        // The other task may have taken the servers down: the machine is all there is to look at.
        let nothing = Findings { checks: Vec::new(), database: None, depth: None };
        if let Err(error) = look_at_machine(&mut report, place, nothing).await {
            report.warnings.push(error);
        }
        report.finished_at = Utc::now();
        conclude(report, place, false)
    })
}

fn begin(place: &Place, trigger: Trigger, scheduled_for: Option<DateTime<Utc>>, dry_run: bool) -> Report {
    let now = Utc::now();
    Report {
        schema: SCHEMA,
        kind: KIND.to_owned(),
        id: format!("restart-{}-{:04x}", now.format("%Y%m%dT%H%M%S%3fZ"), rand::random::<u16>()),
        instance: facts::host_name(),
        domain: place.public_url.clone(),
        version: place.version.clone(),
        trigger,
        scheduled_for,
        started_at: now,
        finished_at: now,
        tz: place.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
        mode: if dry_run { "dry-run" } else { "recycle" }.to_owned(),
        result: Outcome::Ok,
        reason: None,
        checks_before: Vec::new(),
        checks_after: Vec::new(),
        actions: Vec::new(),
        requests: None,
        queue: Queue::default(),
        system: System::default(),
        pg: None,
        backup: None,
        warnings: Vec::new(),
        log_tail: Vec::new(),
    }
}

/// Everything but the report itself.
///
/// # Errors
/// When the supervisor does not answer.
async fn proceed(report: &mut Report, place: &Place, dry_run: bool, rules: &RestartRules) -> Result<(), String> {
    say("looking at everything");
    let services = services().await?;
    let before = checks::look(place, &services).await;
    report.checks_before.clone_from(&before.checks);
    report.queue.before = before.depth;
    let is_scheduled = report.trigger == Trigger::Schedule;
    let reason = skip::reason(&before.checks, &services, rules, &place.shown, report.started_at);
    if is_scheduled && place.backup.nightly && !dry_run {
        // Whatever keeps web and worker as they are: a night without a restart needs its backup all the same.
        match skip::backup_reason(&before.checks, &services) {
            None => report.backup = Some(back_up(place).await),
            Some(reason) => report.warnings.push(format!("no backup was made: {reason}")),
        }
    }
    if let Some(reason) = reason {
        if is_scheduled {
            report.result = Outcome::Skipped;
            report.reason = Some(reason);
            return look_at_machine(report, place, before).await;
        }
        report.warnings.push(format!("by schedule this restart would be skipped: {reason}"));
    }
    // Asked again, for the backup may have taken long.
    let services = self::services().await?;
    let present = to_restart(&services, &mut report.warnings);
    if dry_run {
        report.actions = present.iter().map(|name| plan(checks::find(&services, name), name)).collect();
        return look_at_machine(report, place, before).await;
    }
    let backlog = upkeep::backlog(place, rules).await;
    let mut needed = Vec::new();
    let mut spared = Vec::new();
    for name in present {
        match spares(rules, checks::find(&services, name), name, backlog) {
            None => needed.push(name),
            Some(why) if is_scheduled => spared.push(spare(checks::find(&services, name), name, &why)),
            Some(why) => {
                report.warnings.push(format!("by schedule {name} would be left as it is: {why}"));
                needed.push(name);
            }
        }
    }
    let mut recycled = recycle(&needed, Instant::now() + RESTART_WITHIN).await?;
    if needed.is_empty() && !spared.is_empty() {
        let each: Vec<String> = spared.iter().map(|action| format!("{} {}", action.service, action.message)).collect();
        report.reason = Some(each.join(", "));
    }
    recycled.actions.extend(spared);
    recycled.actions.sort_by_key(|action| SERVICES.iter().position(|name| *name == action.service));
    let after = until_well(place).await?;
    report.checks_after.clone_from(&after.checks);
    report.queue.after = after.depth;
    judge(report, recycled, after.is_well());
    report.warnings.extend(upkeep::checkpoint(place, &after.checks).await);
    look_at_machine(report, place, after).await
}

/// The services there are to restart: what an operator has stopped stays stopped.
fn to_restart(services: &[ServiceStatus], warnings: &mut Vec<String>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in SERVICES {
        match checks::find(services, name) {
            Some(service) if checks::is_stopped(service) => {
                warnings.push(format!("{name} is {}: it is left as it is", service.state));
            }
            Some(_) => names.push(name),
            None => {}
        }
    }
    names
}

/// Why a service is left as it is by schedule; `None` when it is to be replaced.
fn spares(rules: &RestartRules, service: Option<&ServiceStatus>, name: &str, backlog: Option<u64>) -> Option<String> {
    if rules.report_only {
        return Some("is not replaced: only a report was asked for".to_owned());
    }
    let rss = service.and_then(|service| service.pid).and_then(facts::rss);
    if let Some(why) = rules.spares(rss, service.and_then(|service| service.uptime_s)) {
        return Some(format!("need not be replaced: {why}"));
    }
    let entries =
        backlog.filter(|entries| name == "worker" && rules.max_backlog.is_some_and(|most| *entries > most))?;
    Some(format!("is not replaced: {entries} entries wait in the queue"))
}

fn spare(service: Option<&ServiceStatus>, name: &str, why: &str) -> Action {
    Action { message: why.to_owned(), ..plan(service, name) }
}

/// What the supervisor says of its services.
async fn services() -> Result<Vec<ServiceStatus>, String> {
    let asked = async { Client::connect(Path::new(".")).await?.status().await };
    let silent = |_| "the supervisor does not answer".to_owned();
    let status = timeout(CONTROL_LIMIT, asked).await.map_err(silent)?;
    Ok(status.map_err(|failure| failure.0)?.services)
}

fn plan(service: Option<&ServiceStatus>, name: &str) -> Action {
    let pid = service.and_then(|service| service.pid);
    Action {
        service: name.to_owned(),
        ok: true,
        message: "would be replaced by a new generation".to_owned(),
        old_pid: pid,
        new_pid: pid,
        old_rss: pid.and_then(facts::rss),
        ..Action::default()
    }
}

async fn back_up(place: &Place) -> Backup {
    say("making a backup");
    let began = Instant::now();
    let place = place.clone();
    // One that takes too long counts as failed, and the restart goes on.
    let work = move || within(place.backup.limit(), move || create::create(&place, None, &mut |line| say(line)));
    let made = tokio::task::spawn_blocking(work).await;
    let made = made.map_err(|error| error.to_string()).and_then(|made| made);
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match made {
        Ok(made) => {
            let name = made.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            say(&format!("backup {name}, {}", bytes(made.size_bytes)));
            Backup { file: Some(name), size: Some(made.size_bytes), verified: false, ms, error: None }
        }
        Err(error) => {
            say(&format!("WARN no backup: {error}"));
            Backup { error: Some(error), ms, ..Backup::default() }
        }
    }
}

/// Looks again and again until nothing is wrong, or the time for that is over.
async fn until_well(place: &Place) -> Result<Findings, String> {
    let deadline = Instant::now() + WELL_WITHIN;
    loop {
        let found = checks::look(place, &services().await?).await;
        if found.is_well() || Instant::now() >= deadline {
            return Ok(found);
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// What it all comes to.
fn judge(report: &mut Report, recycled: Recycled, is_well: bool) {
    report.actions = recycled.actions;
    report.requests = recycled.requests;
    report.warnings.extend(recycled.warnings);
    let not_replaced = report.actions.iter().find(|action| !action.ok);
    let unwell = report.checks_after.iter().find(|check| check.status == CheckStatus::Failed);
    let broken = report.requests.map_or(0, |requests| requests.failed);
    let backup = report.backup.as_ref().and_then(|backup| backup.error.as_ref());
    let (result, reason) = if let Some(action) = not_replaced {
        (Outcome::Failed, Some(format!("{} was not replaced: {}", action.service, action.message)))
    } else if let Some(check) = unwell.filter(|_| !is_well) {
        (Outcome::Failed, Some(format!("{} is not well after the restart: {}", check.name, check.detail)))
    } else if let Some(error) = backup {
        (Outcome::Degraded, Some(format!("no backup was made: {error}")))
    } else if broken > 0 {
        (Outcome::Degraded, Some(format!("{broken} requests failed meanwhile")))
    } else if let Some(action) = report.actions.iter().find(|action| action.killed) {
        (Outcome::Degraded, Some(format!("the old generation of {} had to be stopped", action.service)))
    } else {
        (Outcome::Ok, report.reason.take())
    };
    report.result = result;
    report.reason = reason;
}

/// The facts that go into every report, and what somebody should look at among them.
async fn look_at_machine(report: &mut Report, place: &Place, found: Findings) -> Result<(), String> {
    let shown = place.shown.clone();
    let system = tokio::task::spawn_blocking(move || facts::system(&shown)).await;
    report.system = system.map_err(|error| error.to_string())?;
    report.pg = found.database;
    report.warnings.extend(upkeep::warnings(&report.system, report.pg.as_ref(), report.started_at.date_naive()));
    if let (Some(before), Some(after)) = (report.queue.before, report.queue.after)
        && after.dead > before.dead
    {
        report.warnings.push(format!("{} events could not be stored meanwhile", after.dead - before.dead));
    }
    report.log_tail = last_lines().await;
    Ok(())
}

async fn last_lines() -> Vec<String> {
    let mut text = Vec::new();
    let asked = async {
        let mut client = Client::connect(Path::new(".")).await?;
        let take = |bytes: &[u8]| {
            text.extend_from_slice(bytes);
            true
        };
        client.logs(&["supervisor"], LOG_LINES, false, take).await
    };
    let _without_is_fine = timeout(CONTROL_LIMIT, asked).await;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.into_iter().rev().take(LOG_LINES).rev().collect()
}

/// Keeps the report, tells it, and puts it where the supervisor finds it for delivery.
fn conclude(report: Report, place: &Place, dry_run: bool) -> TaskOutcome {
    let mut report = redact(report, &Redactor::new(&place.secrets));
    if !dry_run {
        let kept = Store::make(Path::new(".")).and_then(|store| store.keep(&report));
        let posted = Outbox::make(Path::new("."))
            .and_then(|outbox| letters::letters(place, &report).iter().try_for_each(|letter| outbox.put(letter)));
        for (what, result) in [("kept", kept), ("put into the outbox", posted)] {
            if let Err(error) = result {
                report.warnings.push(format!("the report could not be {what}: {error}"));
            }
        }
    }
    for line in block(&report) {
        say(&line);
    }
    TaskOutcome { exit: report.result.exit(), result: json!(report) }
}

/// Takes secrets out of every text that is not our own, and then what is too long: half a secret is no better.
pub(super) fn redact(mut report: Report, redactor: &Redactor) -> Report {
    let clean = |text: &mut String| *text = shorten(&redactor.text(text), LONGEST_TEXT);
    report.warnings.truncate(MOST_WARNINGS);
    clean(&mut report.domain);
    clean(&mut report.instance);
    report.reason.as_mut().map(clean);
    for check in report.checks_before.iter_mut().chain(&mut report.checks_after) {
        clean(&mut check.detail);
    }
    for action in &mut report.actions {
        clean(&mut action.message);
    }
    report.pg.iter_mut().flat_map(|pg| &mut pg.stale).for_each(clean);
    if let Some(error) = report.backup.as_mut().and_then(|backup| backup.error.as_mut()) {
        clean(error);
    }
    report.warnings.iter_mut().chain(&mut report.log_tail).for_each(clean);
    report
}

/// A line for the log, and for whoever waits.
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;
