//! Reads how a service shows that it lives, and how it is asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::types::{Check, CheckHow, Run, ServiceSpec};
use super::values::{Reader, Section, set};

/// A shorter watchdog period would cost more than it finds, in milliseconds.
const SHORTEST_WATCHDOG: u64 = 300;

/// Shortest time between two checks, in milliseconds.
const SHORTEST_EVERY: u64 = 100;

impl<'s> Reader<'s> {
    /// `watchdog_s`, `liveness`, `patient` and `check`.
    pub(super) fn health(&mut self, section: &mut Section<'s>, spec: &mut ServiceSpec) {
        let line = section.line;
        if let Some(period) = self.millis(section, "watchdog_s") {
            if (1..SHORTEST_WATCHDOG).contains(&period) {
                self.fault(line, format!("{}.watchdog_s: must be at least 0.3, or 0 for none", section.path));
            }
            spec.watchdog_ms = period;
        }
        set(&mut spec.liveness, self.boolean(section, "liveness"));
        set(&mut spec.patient, self.boolean(section, "patient"));
        let given = self.section(section, "check");
        spec.check = given.and_then(|table| self.check(table, spec));
    }

    /// `check = { http = "http://127.0.0.1:9000/health", every_s = 10, timeout_s = 3, failures = 3 }`.
    fn check(&mut self, mut table: Section<'s>, spec: &ServiceSpec) -> Option<Check> {
        let (line, path) = (table.line, table.path.clone());
        if spec.oneshot {
            self.fault(line, format!("{path}: a oneshot is not checked: it ends"));
        }
        if spec.run == Run::Bundled {
            self.fault(line, format!("{path}: postgres and redis are asked in their own protocol"));
        }
        let ways = ["http", "tcp", "exec"].iter().filter(|way| table.table.contains_key(**way)).count();
        if ways != 1 {
            self.fault(line, format!("{path}: needs one of http, tcp and exec"));
        }
        let http = self.string(&mut table, "http").map(|(url, line)| self.address(&path, "http", line, http(&url)));
        let tcp = self.string(&mut table, "tcp").map(|(text, line)| self.address(&path, "tcp", line, tcp(&text)));
        let exec = self.strings(&mut table, "exec").map(|words| {
            let command: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
            if command.first().is_none_or(String::is_empty) {
                self.fault(line, format!("{path}.exec: needs the program and its arguments"));
            }
            Some(CheckHow::Exec(command))
        });
        let every_ms = self.millis(&mut table, "every_s").unwrap_or(10_000);
        let timeout_ms = self.millis(&mut table, "timeout_s").unwrap_or(3_000);
        if every_ms < SHORTEST_EVERY || timeout_ms == 0 {
            self.fault(line, format!("{path}: every_s must be at least 0.1, and timeout_s more than 0"));
        }
        let failures = self.integer(&mut table, "failures", 0, 1_000_000).and_then(|n| u32::try_from(n).ok());
        self.nothing_left(table);
        let how = http.or(tcp).or(exec)??;
        Some(Check { how, every_ms, timeout_ms, failures: failures.unwrap_or(3) })
    }

    fn address(
        &mut self,
        path: &str,
        key: &str,
        line: usize,
        read: Result<CheckHow, &'static str>,
    ) -> Option<CheckHow> {
        read.map_err(|what| self.fault(line, format!("{path}.{key}: {what}"))).ok()
    }
}

fn http(url: &str) -> Result<CheckHow, &'static str> {
    const SHAPE: &str = "must be like http://127.0.0.1:9000/health: plain HTTP, to an address and not a name";
    let rest = url.strip_prefix("http://").ok_or(SHAPE)?;
    let (host, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at_checked(at).ok_or(SHAPE)?,
        None => (rest, "/"),
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if path.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
        return Err(SHAPE);
    }
    let address = socket_address(host).or_else(|| socket_address(&format!("{host}:80"))).ok_or(SHAPE)?;
    Ok(CheckHow::Http { address, host: host.to_owned(), path })
}

fn tcp(text: &str) -> Result<CheckHow, &'static str> {
    if let Some(address) = socket_address(text) {
        return Ok(CheckHow::Tcp(address));
    }
    if text.contains('/') {
        return Ok(CheckHow::Unix(PathBuf::from(text)));
    }
    Err("must be an address such as 127.0.0.1:9000, or the path of a socket such as run/my.sock")
}

/// An address and a port; `localhost` is 127.0.0.1.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    local.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).or_else(|| text.parse().ok())
}

#[cfg(test)]
#[path = "read_health_tests.rs"]
mod tests;
