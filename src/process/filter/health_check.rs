//! Addresses that only tell whether a program lives, by the names they usually have.

/// The last part of the name of a transaction.
const LAST: [&str; 13] = [
    "health",
    "healthy",
    "healthz",
    "health_check",
    "health-check",
    "_health",
    "live",
    "livez",
    "ready",
    "readyz",
    "ping",
    "up",
    "liveness",
];

/// Anywhere in the name.
const ANYWHERE: [&str; 2] = ["healthcheck", "heartbeat"];

/// True for `GET /healthz`, `/api/ready/` and the like.
pub(super) fn is_one(transaction: &str) -> bool {
    let name = transaction.trim().to_ascii_lowercase();
    if ANYWHERE.iter().any(|word| name.contains(word)) {
        return true;
    }
    let path = name.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    path.rsplit_once('/').is_some_and(|(_, last)| LAST.contains(&last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checks_are_known_by_their_names() {
        for (name, wanted) in [
            ("/health", true),
            ("GET /healthz", true),
            ("/api/v1/ready/", true),
            ("GET /ping?x=1", true),
            ("/livez", true),
            ("/up", true),
            ("app.views.HealthCheckView", true),
            ("/heartbeat/agent", true),
            ("/health/insurance", false),
            ("/shopping", false),
            ("/live/stream", false),
            ("ping", false),
            ("/signup", false),
            ("", false),
        ] {
            assert_eq!(is_one(name), wanted, "{name}");
        }
    }
}
