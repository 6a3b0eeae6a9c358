//! Tables for people.

use crate::state::ServiceStatus;

/// `supervisor status`: columns as wide as their widest cell, numbers to the right.
pub(super) fn render(services: &[ServiceStatus]) -> String {
    const NUMBERS: [bool; 8] = [false, false, true, true, true, true, false, false];
    let mut rows: Vec<[String; 8]> =
        vec![["NAME", "STATE", "PID", "GENERATION", "UPTIME", "RESTARTS", "HEALTH", "LAST EXIT"].map(str::to_owned)];
    for service in services {
        rows.push([
            service.name.clone(),
            service.state.clone(),
            service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            service.generation.to_string(),
            service.uptime_s.map_or_else(|| "-".to_owned(), duration),
            service.restarts.to_string(),
            service.health.clone(),
            service.last_exit.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    columns(&rows, NUMBERS)
}

/// A table; `numbers` tells which columns stand to the right.
pub(super) fn columns<const N: usize>(rows: &[[String; N]], numbers: [bool; N]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells =
            row.iter().zip(widths).zip(numbers).map(|((cell, width), number)| {
                if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The two largest units.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let service = |name: &str, pid, uptime_s| ServiceStatus {
            name: name.into(),
            state: "ready".into(),
            pid,
            generation: 1,
            uptime_s,
            restarts: 0,
            health: "ok".into(),
            last_exit: None,
            ready_ms: None,
            draining: Vec::new(),
        };
        let text = render(&[service("postgres", Some(4711), Some(90_000)), service("web", Some(9), Some(61))]);
        assert_eq!(
            text,
            "NAME      STATE   PID  GENERATION  UPTIME  RESTARTS  HEALTH  LAST EXIT\n\
             postgres  ready  4711           1   1d 1h         0  ok      -\n\
             web       ready     9           1   1m 1s         0  ok      -"
        );
    }
}
