//! `supervisor status`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output::{Colour, Paint, WIDTH, duration, print, print_json, size, wrap};
use super::table;
use crate::control::{Client, Failure, Status};
use crate::schedule::{Frozen, Upcoming};
use crate::state::ServiceStatus;
use crate::usage::{Processes, Usage};

/// What `status --json` prints.
#[derive(Serialize)]
struct Shown<'a> {
    ok: bool,
    version: &'a str,
    pid: u32,
    port: u16,
    uptime_s: u64,
    data_dir: &'a Path,
    memory_bytes: Option<u64>,
    services: Vec<Row<'a>>,
    schedules: &'a [Upcoming],
    frozen: Option<&'a Frozen>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    service: &'a ServiceStatus,
    memory_bytes: Option<u64>,
    rss_bytes: Option<u64>,
    cpu_s: Option<f64>,
    processes: Option<u32>,
}

pub(super) async fn status(data_dir: PathBuf, json: bool) -> Result<u8, Failure> {
    let status = Client::connect(&data_dir).await?.status().await?;
    let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
    // Read here and not by the supervisor, which has better things to do.
    let processes = Processes::look();
    let used: Vec<Option<Usage>> = status.services.iter().map(|service| processes.of_service(service.pid?)).collect();
    let own = i32::try_from(status.pid).ok().and_then(|pid| processes.of_one(pid));
    let is_well = status.services.iter().all(ServiceStatus::is_well);
    if json {
        print_json(&Shown {
            ok: is_well,
            version: &status.version,
            pid: status.pid,
            port: status.port,
            uptime_s: status.uptime_s,
            data_dir: &data_dir,
            memory_bytes: own.map(|usage| usage.memory),
            services: status.services.iter().zip(&used).map(|(service, usage)| row(service, *usage)).collect(),
            schedules: &status.schedules,
            frozen: status.frozen.as_ref(),
        });
    } else {
        print(&render(&status, &used, &data_dir, Paint::for_output()));
    }
    Ok(u8::from(!is_well))
}

fn row(service: &ServiceStatus, usage: Option<Usage>) -> Row<'_> {
    Row {
        service,
        memory_bytes: usage.map(|usage| usage.memory),
        rss_bytes: usage.map(|usage| usage.resident),
        cpu_s: usage.map(|usage| usage.cpu.as_secs_f64()),
        processes: usage.map(|usage| usage.processes),
    }
}

/// Which columns stand to the right.
const NUMBERS: [bool; 8] = [false, false, true, true, true, true, true, false];

/// For people: within 80 columns, as long as the services' names are short.
fn render(status: &Status, used: &[Option<Usage>], data_dir: &Path, paint: Paint) -> String {
    let troubled: Vec<&str> =
        status.services.iter().filter(|service| !service.is_well()).map(|it| it.name.as_str()).collect();
    let head = format!(
        "glitchbox {} in {}, port {}, up {}: ",
        status.version,
        data_dir.display(),
        status.port,
        duration(status.uptime_s)
    );
    let (colour, verdict) = match troubled.as_slice() {
        [] => (Colour::Green, "all is well".to_owned()),
        names => (Colour::Red, format!("not well: {}", names.join(", "))),
    };
    let head = wrap(&format!("{head}{verdict}"), 0, 2).replacen(&verdict, &paint.colour(colour, &verdict), 1);
    let mut lines = vec![head, String::new()];
    let mut rows =
        vec![["NAME", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "CPU", "LAST EXIT"].map(str::to_owned)];
    let dash = || "-".to_owned();
    for (service, usage) in status.services.iter().zip(used) {
        rows.push([
            service.name.clone(),
            service.state.clone(),
            service.pid.map_or_else(dash, |pid| pid.to_string()),
            service.uptime_s.map_or_else(dash, duration),
            service.restarts.to_string(),
            usage.map_or_else(dash, |usage| size(usage.memory)),
            usage.map_or_else(dash, |usage| duration(usage.cpu.as_secs())),
            service.last_exit.clone().unwrap_or_else(dash),
        ]);
    }
    let table = table::lines(&rows, NUMBERS);
    let widest = table.iter().map(|line| line.trim_end().chars().count()).max().unwrap_or(0);
    let mut notes: Vec<Option<&str>> = vec![Some("HEALTH")];
    notes.extend(status.services.iter().map(|service| Some(service.health.as_str()).filter(|health| *health != "-")));
    let services = std::iter::once(None).chain(status.services.iter().map(Some));
    for ((line, note), service) in table.iter().zip(notes).zip(services) {
        // What does not fit beside the row stands below it.
        let fits = note.is_some_and(|note| widest + 2 + note.chars().count() <= WIDTH);
        let line = if fits { format!("{line:<widest$}  {}", note.unwrap_or_default()) } else { line.clone() };
        let line = line.trim_end();
        lines
            .push(service.map_or_else(|| paint.colour(Colour::Dim, line), |service| paint_state(service, line, paint)));
        if let (false, Some(note), Some(_)) = (fits, note, service) {
            lines.push(wrap(note, 4, 4));
        }
        for old in service.into_iter().flat_map(|service| &service.draining) {
            let pid = old.pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
            let how = if old.overdue { "is being stopped" } else { "finishes what it has begun" };
            lines.push(format!("    generation {}{pid} {how}", old.generation));
        }
    }
    if !status.schedules.is_empty() {
        lines.push(String::new());
    }
    for schedule in &status.schedules {
        lines.push(wrap(&format!("schedule {schedule}"), 0, 2));
    }
    if let Some(frozen) = &status.frozen {
        lines.push(paint.colour(Colour::Yellow, &wrap(&format!("schedules are {frozen}"), 0, 2)));
    }
    lines.join("\n")
}

/// The row, its state coloured.
fn paint_state(service: &ServiceStatus, line: &str, paint: Paint) -> String {
    let colour = match service.state.as_str() {
        _ if service.is_well() => Colour::Green,
        "failed" | "backoff" | "ready" => Colour::Red,
        _ => Colour::Yellow,
    };
    match line.split_once(&format!(" {} ", service.state)) {
        Some((before, after)) => format!("{before} {} {after}", paint.colour(colour, &service.state)),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::state::Draining;

    fn service(name: &str, state: &str, health: &str) -> ServiceStatus {
        ServiceStatus {
            name: name.to_owned(),
            state: state.to_owned(),
            pid: Some(4_194_304),
            uptime_s: Some(90_000),
            health: health.to_owned(),
            ..ServiceStatus::default()
        }
    }

    #[test]
    fn the_table_keeps_to_eighty_columns_whatever_is_wrong() {
        let mut web = service("web", "restarting", "ok");
        web.draining.push(Draining { generation: 3, pid: Some(4_194_303), overdue: false });
        web.last_exit = Some("SIGKILL".to_owned());
        web.restarts = 12;
        let trouble =
            "ended before it was ready (exit 1); the data disk has 3 MB free, and that is not enough for anything";
        let schedule = json!({ "name": "restart", "next": null,
            "shown": "next scheduled-restart at 2026-11-27 03:01:00 (America/Argentina/ComodRivadavia)" });
        let status = Status {
            pid: 1,
            port: 8000,
            version: "0.1.0".to_owned(),
            uptime_s: 100_000,
            services: vec![service("postgres", "ready", "ok"), web, service("scheduler", "backoff", trouble)],
            schedules: vec![serde_json::from_value(schedule).unwrap()],
            frozen: None,
        };
        let usage = Usage { memory: 999 << 20, cpu: Duration::from_secs(200_000), ..Usage::default() };
        let text = render(&status, &[Some(usage), Some(usage), None], Path::new("/data"), Paint::never());
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "glitchbox 0.1.0 in /data, port 8000, up 1d 3h: not well: scheduler");
        assert!(lines[3].starts_with("postgres ") && lines[3].ends_with(" ok"), "{text}");
        for part in
            ["999.0 MB", "2d 7h", "generation 3 (process 4194303) finishes", "not enough for", "schedule restart:"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_state_is_coloured_on_a_terminal_only() {
        let (well, bad) = (service("web", "ready", "ok"), service("web", "ready", "no answer"));
        let row = "web  ready  1";
        assert_eq!(paint_state(&well, row, Paint::never()), row);
        assert_eq!(paint_state(&well, row, Paint::always()), "web  \u{1b}[32mready\u{1b}[0m  1");
        assert_eq!(paint_state(&bad, row, Paint::always()), "web  \u{1b}[31mready\u{1b}[0m  1");
    }
}
