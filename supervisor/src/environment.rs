//! Which variables a role of the application gets: those it reads, and no secret of another.
//!
//! What is in no list here stays with the supervisor. The bundled servers get none of it, users' own services what their
//! plan says (`env`, `pass_env`).

use std::ffi::{OsStr, OsString};

/// The roles that serve and the one-shot commands.
const ALL: &[&str] = &["web", "worker", "migrate", "banner"];
const SERVING: &[&str] = &["web", "worker"];
const WEB: &[&str] = &["web"];
const MIGRATE: &[&str] = &["migrate"];

/// Every variable that the application reads, with the roles that have a use for it.
const READ: &[(&str, &[&str])] = &[
    ("GLITCHTIP_DOMAIN", ALL),
    ("DATABASE_URL", ALL),
    ("DATABASE_POOL", ALL),
    ("LOG_FORMAT", ALL),
    ("DEBUG", ALL),
    ("TZ", ALL),
    ("REDIS_URL", SERVING),
    ("INGEST_FSYNC", SERVING),
    ("MAX_SPOOL_SIZE", SERVING),
    // web has to know whether mail can leave.
    ("EMAIL_URL", SERVING),
    ("DEFAULT_FROM_EMAIL", SERVING),
    ("GLITCHTIP_MAX_EVENT_LIFE_DAYS", SERVING),
    ("GLITCHTIP_MAX_TRANSACTION_EVENT_LIFE_DAYS", SERVING),
    ("GLITCHTIP_MAX_FILE_LIFE_DAYS", SERVING),
    ("ALLOWED_HOSTS", WEB),
    ("CSRF_TRUSTED_ORIGINS", WEB),
    ("TRUSTED_PROXIES", WEB),
    ("MAX_UPLOAD_SIZE", WEB),
    ("METRICS_TOKEN", WEB),
    ("METRICS_ALLOWED_IPS", WEB),
    ("ENABLE_USER_REGISTRATION", WEB),
    ("ENABLE_ORGANIZATION_CREATION", WEB),
    ("ADMIN_EMAIL", MIGRATE),
    ("ADMIN_PASSWORD", MIGRATE),
];

/// What the program itself is steered by, and not the application in it: the loader, the allocator, the language.
const RUNTIME: [&str; 4] = ["LD_", "MIMALLOC_", "RUST_", "GLIBC_"];

/// Variables by which programs reach the outside: proxies, and certificates of authorities of one's own.
pub(crate) const OUTSIDE: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Those of `variables` that `role` gets.
pub fn for_role<'v>(
    role: &str,
    variables: &'v [(OsString, OsString)],
) -> impl Iterator<Item = (OsString, OsString)> + use<'v> {
    let names: Vec<&str> = READ.iter().filter(|(_, roles)| roles.contains(&role)).map(|(name, _)| *name).collect();
    let outside = if SERVING.contains(&role) { OUTSIDE } else { &[] };
    let is_given = move |name: &OsStr| {
        let Some(name) = name.to_str() else { return false };
        names.contains(&name) || outside.contains(&name) || RUNTIME.iter().any(|start| name.starts_with(start))
    };
    variables.iter().filter(move |(name, _)| is_given(name)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(role: &str) -> Vec<String> {
        let given = [
            "DATABASE_URL",
            "REDIS_URL",
            "ADMIN_PASSWORD",
            "METRICS_TOKEN",
            "EMAIL_URL",
            "SECRET_KEY",
            "HTTPS_PROXY",
            "LD_PRELOAD",
            "AWS_SECRET_ACCESS_KEY",
        ];
        let variables: Vec<_> = given.iter().map(|name| (OsString::from(name), OsString::from("x"))).collect();
        for_role(role, &variables).map(|(name, _)| name.into_string().unwrap()).collect()
    }

    #[test]
    fn each_role_gets_the_secrets_it_needs() {
        assert_eq!(
            names("web"),
            ["DATABASE_URL", "REDIS_URL", "METRICS_TOKEN", "EMAIL_URL", "HTTPS_PROXY", "LD_PRELOAD"]
        );
        assert_eq!(names("worker"), ["DATABASE_URL", "REDIS_URL", "EMAIL_URL", "HTTPS_PROXY", "LD_PRELOAD"]);
        assert_eq!(names("migrate"), ["DATABASE_URL", "ADMIN_PASSWORD", "LD_PRELOAD"]);
        assert_eq!(names("banner"), ["DATABASE_URL", "LD_PRELOAD"]);
    }

    #[test]
    fn no_variable_that_the_application_reads_is_forgotten() {
        let sources = include_str!("../../src/config/mod.rs");
        let (code, _) = sources.split_once("#[cfg(test)]").unwrap();
        let is_name = |word: &&str| word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let read: Vec<&str> = code.split('"').skip(1).step_by(2).filter(is_name).collect();
        assert!(read.contains(&"METRICS_TOKEN") && read.len() > 20, "{read:?}");
        // The supervisor's own to set.
        let ours = ["DATA_DIR", "PORT", "GLITCHBOX_DATA_DIR_SHOWN"];
        for name in read {
            assert!(ours.contains(&name) || READ.iter().any(|(known, _)| *known == name), "{name} reaches no role");
        }
    }
}
