//! Secrets of command lines and calls that no name tells: which option has one depends on the program.

use std::sync::LazyLock;

use regex::Regex;

use super::text::{Finding, Kind, MARKS};

/// How far before an option the name of its program is looked for.
const MAX_LOOK: usize = 256;

/// Programs whose `login` takes a password behind `-p`.
const LOGINS: [&str; 6] = ["docker", "podman", "nerdctl", "helm", "az ", "oc "];

/// An option and its value, as a line or as a list of arguments.
static OPTIONS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"[\s"',\[(]-(u|p|a|w|-user|-proxy-user|[a-z]{0,8}pass(?:in|out)?)["',\s=\\]+"#,
        r#"([^\s"',\\<>|]{3,256})"#,
    ))
    .ok()
});
/// `-px`, as MySQL's programs want it.
static ATTACHED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"[\s"',\[(]-p([^\s"',\\<>|]{3,256})"#).ok());
/// Calls of PHP with a host or an address, a user and a password; they stand in stack traces, too.
static CALLS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?-u:\b)(?:mysqli(?:_connect|_real_connect|->__construct|->real_connect)?|PDO(?:->__construct)?)",
        r"\(\s*'[^']*',\s*'[^']*',\s*'([^']+)'",
    ))
    .ok()
});

pub(super) fn find(text: &str, found: &mut Vec<Finding>) {
    let mut push = |start: usize, value: &str, kind: Kind| {
        if !value.is_empty() && !MARKS.iter().any(|mark| value.starts_with(mark)) {
            found.push(Finding { range: start..start + value.len(), kind });
        }
    };
    for captures in OPTIONS.iter().flat_map(|options| options.captures_iter(text)) {
        let (Some(option), Some(value)) = (captures.get(1), captures.get(2)) else { continue };
        let before = before(text, option.start());
        let runs = |programs: &[&str]| programs.iter().any(|program| before.contains(program));
        let content = value.as_str();
        match option.as_str() {
            "u" | "-user" | "-proxy-user" if runs(&["curl"]) => {
                let Some((user, password)) = content.split_once(':').filter(|(_, rest)| !rest.starts_with("//")) else {
                    continue;
                };
                push(value.start() + user.len() + 1, password, Kind::Basic);
            }
            "p" if is_ports(content) => {}
            "p" if runs(&["mongo", "sshpass"]) || (runs(&["login"]) && runs(&LOGINS)) => {
                push(value.start(), content, Kind::Named);
            }
            "a" if runs(&["redis-cli"]) => push(value.start(), content, Kind::Named),
            "w" if runs(&["ldap"]) => push(value.start(), content, Kind::Named),
            "passin" | "passout" => {
                let Some(password) = content.strip_prefix("pass:") else { continue };
                push(value.end() - password.len(), password, Kind::Named);
            }
            "storepass" | "keypass" | "srcstorepass" => push(value.start(), content, Kind::Named),
            _ => {}
        }
    }
    for captures in ATTACHED.iter().flat_map(|attached| attached.captures_iter(text)) {
        let Some(value) = captures.get(1) else { continue };
        let before = before(text, value.start());
        let is_mysql = before.contains("mysql") || before.contains("mariadb");
        if is_mysql && !is_ports(value.as_str()) && value.as_str() != "ort" {
            push(value.start(), value.as_str(), Kind::Named);
        }
    }
    for captures in CALLS.iter().flat_map(|calls| calls.captures_iter(text)) {
        let Some(value) = captures.get(1) else { continue };
        push(value.start(), value.as_str(), Kind::Named);
    }
}

/// A port, or two of them.
fn is_ports(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

/// The end of the line up to here.
fn before(text: &str, at: usize) -> &str {
    let near = text.get(text.ceil_char_boundary(at.saturating_sub(MAX_LOOK))..at).unwrap_or_default();
    near.rsplit('\n').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_secrets_by_their_program() {
        assert!(OPTIONS.is_some() && ATTACHED.is_some() && CALLS.is_some());
        for (text, wanted) in [
            ("curl -u bob:pw1 https://h/", Some("pw1")),
            ("[\"curl\", \"--user\", \"bob:pw1\"]", Some("pw1")),
            ("curl -u bob https://h/", None),
            ("docker run -u 1000:1000 shop", None),
            ("mysql -u root -ppw1 shop", Some("pw1")),
            ("mysql -u root -p shop", None),
            ("psql -p 5432", None),
            ("ssh login1 -p 2222", None),
            ("docker run --name mysql -p3306:3306 mysql", None),
            ("docker run --name mongo -p 27017:27017 mongo", None),
            ("docker login -u ci -p pw1 host", Some("pw1")),
            ("redis-cli -a pw1 ping", Some("pw1")),
            ("openssl pkcs12 -passin pass:pw1", Some("pw1")),
            ("openssl pkcs12 -passin env:PW", None),
            ("#0 mysqli->__construct('h', 'u', 'pw1')", Some("pw1")),
        ] {
            let mut found = Vec::new();
            find(text, &mut found);
            assert_eq!(found.first().and_then(|finding| text.get(finding.range.clone())), wanted, "{text}");
        }
    }
}
