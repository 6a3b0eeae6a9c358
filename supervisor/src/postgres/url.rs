//! The address of an external server, as variables that PostgreSQL's programs read: on their command lines its
//! password would show.

use std::path::Path;

use crate::settings::Secret;

/// Where Debian and its relatives keep the certificates of public authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Parameters of an address and the variables they stand for; others are the application's own affair.
const PARAMETERS: [(&str, &str); 10] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("options", "PGOPTIONS"),
    ("sslmode", "PGSSLMODE"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
];
const ROOT_CERTIFICATE: (&str, &str) = ("sslrootcert", "PGSSLROOTCERT");

/// Reads `postgres://user:password@host:port/database?parameter=value`.
///
/// # Errors
/// One sentence, without the address.
pub(super) fn variables(address: &str) -> Result<Vec<(&'static str, Secret)>, String> {
    let wrong = || "DATABASE_URL is not an address such as postgres://user:password@host:5432/database".to_owned();
    let rest = address.strip_prefix("postgres://").or_else(|| address.strip_prefix("postgresql://"));
    let rest = rest.ok_or_else(wrong)?;
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    // An address in brackets holds colons of its own.
    let (host, port) = match host.rsplit_once(':') {
        Some((before, port)) if !port.contains(']') => (before, port),
        _ => (host, ""),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let parts = [("PGHOST", host), ("PGPORT", port), ("PGUSER", user), ("PGPASSWORD", password), ("PGDATABASE", path)];
    for (name, text) in parts {
        if !text.is_empty() {
            found.push((name, decode(text).ok_or_else(wrong)?));
        }
    }
    let known = || PARAMETERS.iter().chain([&ROOT_CERTIFICATE]);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        // The two spellings that libpq and the application's driver have for it.
        let name = name.replace("ssl-mode", "sslmode").replace("ssl-root-cert", "sslrootcert");
        let name = if name == "ssl-ca" { "sslrootcert" } else { &name };
        let Some((_, variable)) = known().find(|(parameter, _)| *parameter == name) else { continue };
        found.retain(|(set, _)| set != variable);
        found.push((variable, decode(value).ok_or_else(wrong)?));
    }
    let value = |wanted: &str| found.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
    let verifies = value("PGSSLMODE").is_some_and(|mode| mode.starts_with("verify"));
    // The application trusts the system's authorities; libpq would look into a home directory.
    if verifies && value(ROOT_CERTIFICATE.1).is_none() && Path::new(AUTHORITIES).is_file() {
        found.push((ROOT_CERTIFICATE.1, AUTHORITIES.to_owned()));
    }
    Ok(found.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
}

/// Resolves `%41`; `None` when that is malformed, not text, or holds a zero byte.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (rest.next()?, rest.next()?);
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(high)? * 16 + digit(low)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str) -> Vec<(&'static str, String)> {
        let variables = variables(address).unwrap();
        variables.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
    }

    #[test]
    fn every_part_finds_its_variable() {
        let all = read("postgres://me:p%40ss%2Fw:rd@db.example:5433/app?sslmode=require&statement-cache-capacity=1");
        let expected = [
            ("PGHOST", "db.example"),
            ("PGPORT", "5433"),
            ("PGUSER", "me"),
            ("PGPASSWORD", "p@ss/w:rd"),
            ("PGDATABASE", "app"),
            ("PGSSLMODE", "require"),
        ];
        assert_eq!(all, expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(read("postgresql://[::1]:5432/x")[0], ("PGHOST", "::1".to_owned()));
        assert_eq!(read("postgres://[fe80::1]/x"), [("PGHOST", "fe80::1".into()), ("PGDATABASE", "x".into())]);
        let socket = read("postgres://me@localhost/app?host=/run/pg");
        assert_eq!(socket.last().unwrap(), &("PGHOST", "/run/pg".to_owned()));
        assert_eq!(socket.iter().filter(|(name, _)| *name == "PGHOST").count(), 1);
    }

    #[test]
    fn what_is_not_an_address_is_refused_without_showing_it() {
        for wrong in ["mysql://h/d", "hunter2", "postgres://me:%zz@h/d", "postgres://me:%00@h/d"] {
            let sentence = variables(wrong).unwrap_err();
            assert!(sentence.contains("DATABASE_URL") && !sentence.contains("hunter2"), "{sentence}");
        }
    }
}
