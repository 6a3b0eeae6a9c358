//! What is open to whom, and how the appliance is started.

use std::path::Path;

use super::{Finding, Patient};
use crate::cli::start::load_plan;
use crate::settings::Settings;

pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let mut findings = vec![match load_plan(&patient.start) {
        Ok(_) => Finding::ok("plan", "The plan of the services has no errors."),
        Err(fault) => {
            let text = format!("The plan of the services is wrong: {}.", fault.message.trim_end_matches('.'));
            Finding::bad("plan", text, "Correct conf/supervisor.toml; `supervisor check` tells whether all is right.")
        }
    }];
    findings.extend(patient.settings.as_ref().map(ports).into_iter().flatten());
    findings.extend(patient.settings.as_ref().map(address));
    let in_container = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
    if in_container {
        let text = "A stop takes up to 10 s under load; a shorter stop time-out of the container engine cuts it off.";
        findings.push(Finding::ok("stop time", text));
    }
    findings
}

fn ports(settings: &Settings) -> Vec<Finding> {
    let open = [
        ("EXPOSE_DB_PORT", settings.expose_db && settings.bundled_postgres, "PostgreSQL", 5432),
        ("EXPOSE_REDIS_PORT", settings.expose_redis && settings.bundled_redis, "Redis", 6379),
    ];
    let mut findings: Vec<Finding> = open
        .into_iter()
        .filter(|(_, open, ..)| *open)
        .map(|(variable, _, server, port)| {
            let text = format!("{server} can be reached on port {port} of every address of this machine.");
            Finding::warn("ports", text, format!("Unset {variable}, or let a firewall admit only who needs it."))
        })
        .collect();
    if findings.is_empty() {
        let text = format!("Nothing but port {} is open to the outside.", settings.port);
        findings.push(Finding::ok("ports", text));
    }
    findings
}

fn address(settings: &Settings) -> Finding {
    let shown = &settings.public_url;
    let rest = shown.split_once("://").map_or(shown.as_str(), |(_, rest)| rest);
    if rest.starts_with("localhost") || rest.starts_with("127.") {
        let text = format!("Links and DSNs lead to {shown}, where nobody else finds this appliance.");
        return Finding::warn("address", text, "Set GLITCHTIP_DOMAIN to the address people and SDKs use.");
    }
    Finding::ok("address", format!("Links and DSNs lead to {shown}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;
    use crate::settings::Overrides;

    #[test]
    fn open_ports_and_a_local_address_are_told() {
        let settings = |variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|&(name, value)| (name.into(), value.into()));
            Settings::from_env(variables, &Overrides::default()).unwrap()
        };
        let closed = settings(&[]);
        assert_eq!(ports(&closed)[0].verdict, Verdict::Ok);
        assert_eq!(address(&closed).verdict, Verdict::Warn);
        let open = settings(&[
            ("EXPOSE_DB_PORT", "true"),
            ("EXPOSE_REDIS_PORT", "true"),
            ("GLITCHTIP_DOMAIN", "https://errors.example.org"),
        ]);
        assert_eq!(ports(&open).iter().map(|it| it.verdict).collect::<Vec<_>>(), [Verdict::Warn; 2]);
        assert_eq!(address(&open).verdict, Verdict::Ok);
    }
}
