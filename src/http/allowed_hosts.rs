//! Which names the pages and the API answer to: a request for another host is refused, since links and
//! cookies follow the host.

use crate::config::Config;

/// True when a request for `host_name` (no port, lower case) may be answered.
///
/// Unset `ALLOWED_HOSTS` means the public host and loopback. `*` allows all, `.example.com` a domain with
/// its subdomains.
pub fn allows(config: &Config, host_name: &str) -> bool {
    if config.allowed_hosts.is_empty() {
        let public = config.public_url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        return host_name.eq_ignore_ascii_case(public) || is_loopback(host_name);
    }
    config.allowed_hosts.iter().any(|pattern| match pattern.strip_prefix('.') {
        Some(domain) => host_name == domain || host_name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => pattern == "*" || super::client_info::host_name(pattern) == host_name,
    })
}

fn is_loopback(host_name: &str) -> bool {
    host_name == "localhost"
        || host_name.ends_with(".localhost")
        || host_name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Paths that answer under any name: health probes, the metrics (which have a lock of their own, and are fetched by the
/// names of networks and containers), and the ingest endpoints (`/api/NUMBER/...`, `/api/store/`, the tunnel, which pages
/// reach by their own name, and what users report), whose callers prove themselves by their key.
pub(super) fn is_exempt(path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    match segments.next() {
        Some("_health" | "livez" | "readyz" | "metrics" | "tunnel") => true,
        Some("api") => {
            let is_ingest = |next: &str| {
                matches!(next, "embed" | "store" | "tunnel") || (next != "0" && next.parse::<u64>().is_ok())
            };
            match segments.next() {
                // `/api/0/projects/ORGANIZATION/PROJECT/user-feedback/`
                Some("0") => segments.next() == Some("projects") && segments.nth(2) == Some("user-feedback"),
                next => next.is_some_and(is_ingest),
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(hosts: &'static str) -> Config {
        Config::from_lookup(&|name| match name {
            "ALLOWED_HOSTS" => Some(hosts.to_owned()),
            "GLITCHTIP_DOMAIN" => Some("https://errors.example.com".to_owned()),
            _ => None,
        })
        .unwrap()
    }

    #[test]
    fn unset_means_the_public_host_and_loopback() {
        let config = config("");
        for (host, allowed) in [
            ("errors.example.com", true),
            ("localhost", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("other.example.com", false),
            ("", false),
        ] {
            assert_eq!(allows(&config, host), allowed, "{host}");
        }
    }

    #[test]
    fn patterns_are_those_of_django() {
        let config = config("a.example, .b.example");
        for (host, allowed) in [
            ("a.example", true),
            ("x.a.example", false),
            ("b.example", true),
            ("x.b.example", true),
            ("xb.example", false),
        ] {
            assert_eq!(allows(&config, host), allowed, "{host}");
        }
    }

    #[test]
    fn health_and_ingest_answer_under_any_name() {
        for path in [
            "/_health/",
            "/livez",
            "/api/7/envelope/",
            "/api/store/",
            "/api/tunnel/",
            "/tunnel",
            "/api/embed/error-page/",
            "/api/0/projects/acme/web/user-feedback/",
        ] {
            assert!(is_exempt(path), "{path}");
        }
        for path in ["/", "/api/0/projects/", "/api/0/projects/acme/user-feedback/", "/login/", "/api/"] {
            assert!(!is_exempt(path), "{path}");
        }
    }
}
