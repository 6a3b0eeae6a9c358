//! Secrets of command lines and calls that no name tells: which option has one depends on the program.

use std::sync::LazyLock;

use regex::Regex;

use super::content::is_parameter;
use super::text::{Finding, Kind, MARKS};

/// How far before an option the name of its program is looked for.
const MAX_LOOK: usize = 256;

/// Programs whose `login` takes a password behind `-p`.
const LOGINS: [&str; 6] = ["docker", "podman", "nerdctl", "helm", "az ", "oc "];

/// An option and its value, as a line or as a list of arguments.
static OPTIONS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"[\s"',\[(]-(u|p|P|U|a|w|A|X|N|-user|-proxy-user|[a-z]{0,8}pass(?:in|out)?)["',\s=\\]+"#,
        r#"([^\s"',\\<>|]{3,}(?:,[^\s"',\\<>|]+)?)"#,
    ))
    .ok()
});
/// `-px`, as MySQL's programs want it.
static ATTACHED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"[\s"',\[(]-p['"]?([^\s"',\\<>|]{3,})"#).ok());
/// Calls of PHP with a host or an address, a user and a password; they stand in stack traces, too.
static CALLS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?-u:\b)(?:mysqli(?:_connect|_real_connect|->__construct|->real_connect)?|PDO(?:->__construct)?)",
        r"\(\s*'[^']*',\s*'[^']*',\s*'([^']+)'"
    ))
    .ok()
});
/// What stands by its place: a login of Oracle's programs, the password behind a user of Windows, a line of `.pgpass`.
static PLACES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?:sqlplus|sqlldr|expdp|impdp)\s(?:[^\n]*?\s)?["']?[A-Za-z0-9_$#]+/([^\s@/"']+)@"#,
        r"|(?i:net\s+use)\s[^\n]*?/(?i:user):\S+\s+([^\s/]\S+)",
        r"|(?i:net\s+use)\s(?:[A-Za-z*]:?\s+)?\\\\\S+\s+([^\s/]\S+)\s+/(?i:user)",
        r"|(?i:schtasks|psexec|cmdkey|wmic)[^\n]*?\s/(?i:rp|p|pass|password)[\s:]+([^\s/]\S+)",
        r"|pgpass[^\n]*?[A-Za-z0-9_.*-]+:(?:[0-9]{1,5}|\*):[^\s:]+:[^\s:]+:([^\s:]+)",
    ))
    .ok()
});

/// An option whose value, or what is in it behind a sign, is a secret, if one of these programs is run.
type Rule = (&'static str, &'static [&'static str], Option<char>);

const RULES: [Rule; 16] = [
    ("u", &["curl"], Some(':')),
    ("-user", &["curl"], Some(':')),
    ("-proxy-user", &["curl"], Some(':')),
    ("u", &["lftp"], Some(',')),
    ("U", &["smbclient", "rpcclient"], Some('%')),
    ("p", &["mongo", "sshpass", "cqlsh", "twine"], None),
    ("P", &["zip ", "mosquitto", "sqlcmd", "bcp "], None),
    ("P", &["ssh-keygen"], None),
    ("N", &["ssh-keygen"], None),
    ("A", &["snmp"], None),
    ("X", &["snmp"], None),
    ("a", &["redis-cli"], None),
    ("w", &["ldap"], None),
    ("storepass", &[""], None),
    ("keypass", &[""], None),
    ("srcstorepass", &[""], None),
];

/// Where the secret is in an argument, told by the program and the option before it.
pub(super) fn secret_argument<'a>(program: &str, option: &str, argument: &'a str) -> Option<&'a str> {
    let option = option.strip_prefix('-')?;
    let is_run = |programs: &[&str]| programs.iter().any(|name| program.contains(name.trim_end()));
    let (.., separator) = RULES.iter().find(|(name, programs, _)| *name == option && is_run(programs))?;
    let secret = separator.map_or(Some(argument), |sign| Some(argument.split_once(sign)?.1))?;
    (!is_ports(argument) && !secret.starts_with("//")).then_some(secret)
}

pub(super) fn find(text: &str, found: &mut Vec<Finding>) {
    let mut push = |start: usize, value: &str, kind: Kind| {
        if !value.is_empty() && !is_parameter(value) && !MARKS.iter().any(|mark| value.starts_with(mark)) {
            found.push(Finding { range: start..start + value.len(), kind });
        }
    };
    for captures in OPTIONS.iter().flat_map(|options| options.captures_iter(text)) {
        let (Some(option), Some(value)) = (captures.get(1), captures.get(2)) else { continue };
        let before = before(text, option.start());
        let runs = |programs: &[&str]| programs.iter().any(|program| before.contains(program));
        let content = value.as_str();
        let separator = match option.as_str() {
            "p" if is_ports(content) => continue,
            "p" if runs(&["login"]) && runs(&LOGINS) => None,
            "passin" | "passout" if content.starts_with("pass:") => Some(':'),
            name => {
                let rule = RULES.iter().find(|(option, programs, _)| *option == name && runs(programs));
                let Some((.., separator)) = rule else { continue };
                *separator
            }
        };
        let secret = separator.map_or(Some(content), |sign| Some(content.split_once(sign)?.1)).unwrap_or_default();
        if !secret.starts_with("//") {
            let kind = if separator == Some(':') { Kind::Basic } else { Kind::Named };
            push(value.end() - secret.len(), secret, kind);
        }
    }
    for captures in ATTACHED.iter().flat_map(|attached| attached.captures_iter(text)) {
        let Some(value) = captures.get(1) else { continue };
        let before = before(text, value.start());
        let takes_one =
            ["mysql", "mariadb", "7z", "7za", "unrar", "rar "].iter().any(|program| before.contains(program));
        if takes_one && !is_ports(value.as_str()) && value.as_str() != "ort" {
            push(value.start(), value.as_str(), Kind::Named);
        }
    }
    for finder in [&CALLS, &PLACES] {
        for captures in finder.iter().flat_map(|finder| finder.captures_iter(text)) {
            let Some(value) = captures.iter().skip(1).flatten().next() else { continue };
            push(value.start(), value.as_str(), Kind::Named);
        }
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
        assert!(OPTIONS.is_some() && ATTACHED.is_some() && CALLS.is_some() && PLACES.is_some());
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
            ("ssh-keygen -p -P 'pw1' -f id", Some("pw1")),
            ("snmpwalk -v3 -u bob -A pw1 h", Some("pw1")),
            ("mysqldump -u backup -p\"$MYSQL_PWD\" crm", None),
            ("#0 mysqli->__construct('h', 'u', 'pw1')", Some("pw1")),
            ("smbclient //nas/data -U svc%pw1 -c ls", Some("pw1")),
            ("lftp -u bob,pw1 sftp://h", Some("pw1")),
            ("unzip -P pw1 a.zip", Some("pw1")),
            ("7z x -ppw1 a.7z", Some("pw1")),
            ("sqlplus etl/pw1@//h:1521/X @load.sql", Some("pw1")),
            ("net use Z: \\\\nas\\share /user:corp\\svc pw1 failed", Some("pw1")),
            ("net use Z: \\\\fs01\\share pw1! /user:CORP\\svc", Some("pw1!")),
            ("mysqldump -h db -p'pw1' crm", Some("pw1")),
            ("schtasks /create /ru svc /rp pw1", Some("pw1")),
            (".pgpass:3 db1:5432:app:app:pw1", Some("pw1")),
            (".pgpass has wrong permissions: 0644", None),
        ] {
            let mut found = Vec::new();
            find(text, &mut found);
            assert_eq!(found.first().and_then(|finding| text.get(finding.range.clone())), wanted, "{text}");
        }
    }
}
