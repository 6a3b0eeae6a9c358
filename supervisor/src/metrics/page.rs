//! All numbers as one page.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::text::Page;
use super::{Counters, Mail, TaskCount, Totals};
use crate::disk::Room;
use crate::schedule::{Overview, RunResult};
use crate::state::ServiceStatus;
use crate::usage::{Processes, Usage};

/// What the loop knows.
#[derive(Debug)]
pub struct Facts {
    /// How long the supervisor has been running.
    pub uptime: Duration,
    /// All services.
    pub services: Vec<ServiceStatus>,
    /// What comes next by schedule, and what became of the last time.
    pub schedules: Overview,
    /// What was counted.
    pub counters: Arc<Counters>,
}

/// The page: of each metric one value for each service, schedule or task, also where it is 0.
pub fn page(facts: &Facts, processes: &Processes, disk: Option<&Room>, mail: &Mail) -> String {
    let mut page = Page::default();
    supervisor(&mut page, facts, processes);
    services(&mut page, &facts.services);
    usage(&mut page, &facts.services, processes);
    counted(&mut page, facts);
    log(&mut page, &facts.counters);
    schedules(&mut page, &facts.schedules);
    tasks(&mut page, &facts.counters.tasks());
    reports(&mut page, mail);
    if let Some(disk) = disk {
        page.gauge("glitchbox_data_disk_size_bytes", "Size of the disk of the data directory.").value(&[], disk.size);
        page.gauge("glitchbox_data_disk_free_bytes", "Bytes of it that can still be written.").value(&[], disk.free);
        if let Some(files) = disk.files {
            page.gauge("glitchbox_data_disk_free_files", "Files that can still be made on it.").value(&[], files);
        }
    }
    page.into_text()
}

fn supervisor(page: &mut Page, facts: &Facts, processes: &Processes) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.gauge("glitchbox_supervisor_build_info", "Always 1; the version of the supervisor.").value(&version, 1);
    page.gauge("glitchbox_supervisor_uptime_seconds", "Time since the supervisor was started.")
        .value(&[], facts.uptime.as_secs_f64());
    let Some(usage) = processes.of_one(std::process::id().cast_signed()) else { return };
    page.gauge("glitchbox_supervisor_memory_bytes", "Memory of the supervisor itself.").value(&[], usage.memory);
    page.counter("glitchbox_supervisor_cpu_seconds_total", "Processor time of the supervisor and its ended children.")
        .value(&[], usage.cpu.as_secs_f64());
}

fn services(page: &mut Page, services: &[ServiceStatus]) {
    let mut states = page.gauge("glitchbox_service_state", "1 for the state a service is in, 0 for all others.");
    for service in services {
        for state in ServiceStatus::STATES {
            let labels = [("service", service.name.as_str()), ("state", state)];
            states.value(&labels, u8::from(service.state == state));
        }
    }
    let mut all = |name, help, number: fn(&ServiceStatus) -> Option<f64>| {
        let mut metric = page.gauge(name, help);
        for service in services {
            if let Some(number) = number(service) {
                metric.value(&[("service", &service.name)], number);
            }
        }
    };
    all("glitchbox_service_up", "1 when a service is as it should be.", |service| Some(f64::from(service.is_well())));
    all("glitchbox_service_generation", "Number of the generation that serves.", |service| {
        Some(count(service.generation))
    });
    all("glitchbox_service_uptime_seconds", "Age of the process that serves.", |service| {
        Some(count(service.uptime_s?))
    });
    all("glitchbox_service_ready_seconds", "Time its start took.", |service| Some(seconds(service.ready_ms?)));
    all("glitchbox_service_draining", "Older generations that finish what they have begun.", |service| {
        Some(count(service.draining.len() as u64))
    });
    let mut restarts = page.counter("glitchbox_service_restarts_total", "Starts after the first one.");
    for service in services {
        restarts.value(&[("service", &service.name)], service.restarts);
    }
}

#[expect(clippy::cast_precision_loss, reason = "the format's numbers are of this kind, and none here is that large")]
fn count(number: u64) -> f64 {
    number as f64
}

fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

fn usage(page: &mut Page, services: &[ServiceStatus], processes: &Processes) {
    let used: Vec<(&str, Usage)> = services
        .iter()
        .filter_map(|service| Some((service.name.as_str(), processes.of_service(service.pid?)?)))
        .collect();
    let mut memory = page.gauge("glitchbox_service_memory_bytes", "Memory of all processes of a service.");
    for (name, usage) in &used {
        memory.value(&[("service", name)], usage.memory);
    }
    let mut cpu = page.counter("glitchbox_service_cpu_seconds_total", "Processor time of the generation that serves.");
    for (name, usage) in &used {
        cpu.value(&[("service", name)], usage.cpu.as_secs_f64());
    }
    let mut count = page.gauge("glitchbox_service_processes", "Processes of a service.");
    for (name, usage) in &used {
        count.value(&[("service", name)], usage.processes);
    }
    let mut threads = page.gauge("glitchbox_service_threads", "Threads of these processes.");
    for (name, usage) in &used {
        threads.value(&[("service", name)], usage.threads);
    }
}

/// What was counted service by service, one that has done nothing yet included.
fn counted(page: &mut Page, facts: &Facts) {
    let known = facts.counters.services();
    let totals = |name: &str| {
        let found = known.iter().find(|(known, _)| known.as_ref() == name);
        found.map(|(_, totals)| *totals).unwrap_or_default()
    };
    let counted: Vec<(&str, Totals)> =
        facts.services.iter().map(|service| (service.name.as_str(), totals(&service.name))).collect();
    let mut split = |name, help, label, kinds: &[&str], numbers: fn(&Totals) -> Vec<u64>| {
        let mut metric = page.counter(name, help);
        for (service, totals) in &counted {
            for (kind, number) in kinds.iter().zip(numbers(totals)) {
                metric.value(&[("service", service), (label, kind)], number);
            }
        }
    };
    let help = "Main processes that have ended: with 0, with another code, by a signal.";
    split("glitchbox_service_exits_total", help, "kind", &["clean", "code", "signal"], |it| it.exits.to_vec());
    let help = "Probes of a service that was ready, by what they found.";
    split("glitchbox_service_probes_total", help, "result", &["ok", "failed"], |it| {
        vec![it.probes.saturating_sub(it.failed_probes), it.failed_probes]
    });
    let streams = ["stdout", "stderr"];
    let help = "Lines that a service has written.";
    split("glitchbox_service_log_lines_total", help, "stream", &streams, |it| it.lines.to_vec());
    let help = "Bytes of these lines.";
    split("glitchbox_service_log_bytes_total", help, "stream", &streams, |it| it.bytes.to_vec());
    let probed = || counted.iter().filter(|(_, totals)| totals.probes > 0);
    let mut total = page.counter("glitchbox_service_probe_seconds_total", "Time that all probes have taken.");
    for (service, totals) in probed() {
        total.value(&[("service", service)], totals.probe_time.as_secs_f64());
    }
    let mut last = page.gauge("glitchbox_service_last_probe_seconds", "Time that the last probe took.");
    for (service, totals) in probed() {
        last.value(&[("service", service)], totals.last_probe.as_secs_f64());
    }
}

fn log(page: &mut Page, counters: &Counters) {
    let mut lost = page.counter("glitchbox_log_lost_lines_total", "Log lines that did not get where they belong.");
    lost.value(&[("place", "files")], counters.lost_file_lines.load(Relaxed));
    lost.value(&[("place", "output")], counters.lost_output_lines.load(Relaxed));
}

/// What may become of a schedule.
const RESULTS: [(&str, RunResult); 6] = [
    ("running", RunResult::Running),
    ("ok", RunResult::Ok),
    ("degraded", RunResult::Degraded),
    ("failed", RunResult::Failed),
    ("skipped", RunResult::Skipped),
    ("missed", RunResult::Missed),
];

fn schedules(page: &mut Page, overview: &Overview) {
    let Overview { schedules, frozen } = overview;
    let mut next = page.gauge("glitchbox_schedule_next_timestamp_seconds", "When a schedule comes up next.");
    for schedule in schedules {
        if let Some(at) = schedule.next {
            next.value(&[("schedule", &schedule.name)], at.timestamp());
        }
    }
    let runs = || schedules.iter().filter_map(|schedule| Some((schedule.name.as_str(), schedule.last.as_ref()?)));
    let mut last = page.gauge("glitchbox_schedule_last_timestamp_seconds", "When a schedule was due last.");
    for (name, run) in runs() {
        last.value(&[("schedule", name)], run.scheduled_for.timestamp());
    }
    let mut result = page.gauge("glitchbox_schedule_last_result", "1 for what became of it, 0 for all else.");
    for (name, run) in runs() {
        for (shown, kind) in RESULTS {
            result.value(&[("schedule", name), ("result", shown)], u8::from(run.result == kind));
        }
    }
    let help = "1 while nothing is done by schedule, by an operator's order.";
    page.gauge("glitchbox_schedules_frozen", help).value(&[], u8::from(frozen.is_some()));
}

fn tasks(page: &mut Page, tasks: &[(&'static str, TaskCount)]) {
    let mut runs = page.counter("glitchbox_task_runs_total", "Tasks of the supervisor that have ended.");
    for (name, count) in tasks {
        runs.value(&[("task", name), ("result", "ok")], count.done);
        runs.value(&[("task", name), ("result", "failed")], count.failed);
    }
    let mut total = page.counter("glitchbox_task_seconds_total", "Time that they took.");
    for (name, count) in tasks {
        total.value(&[("task", name)], count.time.as_secs_f64());
    }
    let mut last = page.gauge("glitchbox_task_last_seconds", "Time that the last one took.");
    for (name, count) in tasks {
        last.value(&[("task", name)], count.last.as_secs_f64());
    }
    let mut exit = page.gauge("glitchbox_task_last_exit_code", "Exit code of the last one.");
    for (name, count) in tasks {
        exit.value(&[("task", name)], count.last_exit);
    }
}

fn reports(page: &mut Page, mail: &Mail) {
    let mut waiting = page.gauge("glitchbox_reports_waiting", "Reports that are still to be delivered.");
    for (channel, count) in &mail.waiting {
        waiting.value(&[("channel", channel)], count);
    }
    let help = "Deliveries of the reports that are kept, by what has become of them.";
    let mut settled = page.gauge("glitchbox_report_deliveries", help);
    for ((channel, status), count) in &mail.settled {
        settled.value(&[("channel", channel), ("status", status)], count);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::log::Stream;

    /// Every rule of the format that a reader insists on.
    fn check(text: &str) {
        let (mut declared, mut series, mut current) = (BTreeMap::new(), HashSet::new(), String::new());
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && !help.contains('\\'), "{line}");
                let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
                assert!(declared.insert(name.to_owned(), kind.to_owned()).is_none(), "declared twice: {name}");
                assert!(matches!(kind, "counter" | "gauge"), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
                name.clone_into(&mut current);
                continue;
            }
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(name.to_owned()), "twice: {line}");
            let (metric, labels) = name.split_once('{').unwrap_or((name, "}"));
            assert_eq!(metric, current, "values stand below their own metric: {line}");
            let labels = labels.strip_suffix('}').unwrap();
            assert!(labels.is_empty() || labels.ends_with('"'), "{line}");
        }
        assert!(text.ends_with('\n') && !declared.is_empty());
    }

    #[test]
    fn the_page_is_well_formed_whatever_the_names() {
        let service = |name: &str| ServiceStatus {
            name: name.to_owned(),
            state: "ready".to_owned(),
            pid: Some(std::process::id().cast_signed()),
            uptime_s: Some(5),
            ready_ms: Some(250),
            health: "ok".to_owned(),
            ..ServiceStatus::default()
        };
        let counters: Arc<Counters> = Arc::default();
        counters.service(&"web".into()).lines(Stream::Out, 1, 7);
        counters.service(&"web".into()).probe(Duration::from_millis(1), true);
        counters.task("backup", 0, Duration::from_secs(1));
        let schedule = serde_json::json!({ "name": "a\"b\\c", "next": chrono::Utc::now(), "shown": "",
            "last": { "scheduled_for": "2026-01-01T03:01:00Z", "finished_at": null, "result": "failed", "reason": "x" } });
        let services = vec![service("web"), service("a\"b\nc")];
        let facts = Facts {
            uptime: Duration::from_secs(1),
            services,
            schedules: Overview { schedules: vec![serde_json::from_value(schedule).unwrap()], frozen: None },
            counters,
        };
        let room = Room { size: 2, free: 1, files: Some(3) };
        let mail = Mail {
            waiting: BTreeMap::from([("feishu".to_owned(), 2)]),
            settled: BTreeMap::from([(("webhook".to_owned(), "failed".to_owned()), 1)]),
        };
        let text = page(&facts, &Processes::look(), Some(&room), &mail);
        check(&text);
        for line in [
            "glitchbox_service_state{service=\"web\",state=\"ready\"} 1\n",
            "glitchbox_service_state{service=\"web\",state=\"failed\"} 0\n",
            "glitchbox_service_ready_seconds{service=\"web\"} 0.25\n",
            "glitchbox_service_log_bytes_total{service=\"web\",stream=\"stdout\"} 7\n",
            "glitchbox_service_probes_total{service=\"a\\\"b\\nc\",result=\"ok\"} 0\n",
            "glitchbox_task_runs_total{task=\"backup\",result=\"ok\"} 1\n",
            "glitchbox_schedule_last_result{schedule=\"a\\\"b\\\\c\",result=\"failed\"} 1\n",
            "glitchbox_data_disk_free_bytes 1\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
