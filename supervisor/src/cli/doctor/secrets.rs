//! Secrets: too short to be kept out of logs, or open to others.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Finding, Patient};
use crate::settings::all_secrets;

/// Shorter values are not taken out of logs: too many words contain them.
const SHORTEST: usize = 8;

pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in all_secrets() {
        let variable = |name: &str| {
            let found = patient.environment.iter().find(|(known, _)| known == OsStr::new(name));
            found.map(|(_, value)| value.to_string_lossy().trim().to_owned()).filter(|value| !value.is_empty())
        };
        let from_file = || std::fs::read_to_string(variable(&format!("{name}_FILE"))?).ok();
        if let Some(value) = variable(name).or_else(from_file)
            && let Some(what) = short(name, value.trim())
        {
            let text = format!(
                "{what} is shorter than {SHORTEST} characters: it can be guessed, and is not taken out of logs."
            );
            findings.push(Finding::warn("secrets", text, format!("Set {name} to something longer.")));
        }
    }
    findings.extend(files(&patient.data.join("secrets")));
    if findings.is_empty() {
        findings.push(Finding::ok("secrets", "No secret is short, and none is open to others."));
    }
    findings
}

/// What of a variable's value is too short: all of it, or the password of an address.
fn short(name: &str, value: &str) -> Option<String> {
    let is_short = |secret: &str| !secret.is_empty() && secret.chars().count() < SHORTEST;
    match value.split_once("://") {
        Some((_, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let (user, _) = authority.rsplit_once('@')?;
            let (_, password) = user.split_once(':')?;
            is_short(password).then(|| format!("The password in {name}"))
        }
        None => is_short(value).then(|| name.to_owned()),
    }
}

/// Generated ones, and those somebody has put in their place.
fn files(folder: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let Ok(metadata) = entry.metadata() else { continue };
        if !metadata.is_file() {
            continue;
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            let text =
                format!("secrets/{name} can be read by others (mode {:04o}).", metadata.permissions().mode() & 0o7777);
            findings.push(Finding::bad("secrets", text, format!("chmod 600 {}", path.display())));
        }
        let is_short = |text: String| text.trim().chars().count() < SHORTEST;
        if std::fs::read_to_string(&path).is_ok_and(is_short) {
            let text = format!(
                "secrets/{name} is shorter than {SHORTEST} characters: it can be guessed, and is not taken out of logs."
            );
            findings.push(Finding::warn("secrets", text, "Put something longer there, or remove it and start again."));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;
    use crate::cli::Start;
    use crate::cli::doctor::Verdict;

    #[test]
    fn short_and_open_secrets_are_found_and_never_shown() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("secrets");
        std::fs::create_dir(&folder).unwrap();
        for (name, value, mode) in
            [("good", "longenough", 0o600), ("open", "longenough", 0o644), ("short", "hunter2", 0o600)]
        {
            std::fs::write(folder.join(name), value).unwrap();
            std::fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
        }
        let start = Start { data_dir: None, port: None, config: None };
        let environment = [
            ("SECRET_KEY", "x1y2z3"),
            ("DB_PASSWORD", ""),
            ("DATABASE_URL", "postgres://app:hunter2@db.example/app"),
            ("REDIS_URL", "redis://:longenough@redis.example:6379/0"),
            ("EMAIL_URL", "consolemail://"),
            ("FEISHU_WEBHOOK_URL", "https://open.feishu.cn/x"),
            ("FEISHU_WEBHOOK_SECRET", "abc"),
            ("RESTART_WEBHOOK_SECRET", "1234567"),
            ("REPORT_DINGTALK_SECRET", "longenough"),
            ("REPORT_NTFY_SECRET", "tk"),
        ];
        let environment = environment.map(|(name, value)| (name.into(), value.into())).to_vec();
        let patient = Patient { data: data.path().to_owned(), status: None, environment, settings: None, start };
        let found = look(&patient);
        let what =
            |it: &Finding| it.text.split(" is shorter").next().unwrap().split(" can be").next().unwrap().to_owned();
        let shown: Vec<_> = found.iter().map(|it| (it.verdict, what(it))).collect();
        assert_eq!(
            shown,
            [
                (Verdict::Warn, "SECRET_KEY"),
                (Verdict::Warn, "The password in DATABASE_URL"),
                (Verdict::Warn, "FEISHU_WEBHOOK_SECRET"),
                (Verdict::Warn, "REPORT_NTFY_SECRET"),
                (Verdict::Warn, "RESTART_WEBHOOK_SECRET"),
                (Verdict::Bad, "secrets/open"),
                (Verdict::Warn, "secrets/short"),
            ]
            .map(|(verdict, what)| (verdict, what.to_owned()))
        );
        assert!(!format!("{found:?}").contains("hunter2") && !format!("{found:?}").contains("x1y2z3"));
    }
}
