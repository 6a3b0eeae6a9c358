//! How a client is told that it sends too much: `X-Sentry-Rate-Limits` and `Retry-After`.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::protocol::Category;

const RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::ingest) enum Scope {
    /// One key's.
    Key,
    /// A project's.
    Project,
    /// An organization's, or the whole instance's.
    Organization,
}

impl Scope {
    /// The protocol's name.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Project => "project",
            Self::Organization => "organization",
        }
    }
}

/// A limit that is exhausted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct Limited {
    pub(in crate::ingest) scope: Scope,
    /// What it covers; empty: everything.
    pub(in crate::ingest) categories: &'static [Category],
    /// Which limit, for people and for the ledger.
    pub(in crate::ingest) reason: &'static str,
    /// Seconds until it is worth trying again.
    pub(in crate::ingest) retry_after: u64,
}

impl fmt::Display for Limited {
    /// `60:default;error:key:key_quota`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.retry_after)?;
        for (index, category) in self.categories.iter().enumerate() {
            write!(f, "{}{category}", if index > 0 { ";" } else { "" })?;
        }
        write!(f, ":{}:{}", self.scope.as_str(), self.reason)
    }
}

/// The limits that a request has met, each once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct RateLimits(Vec<Limited>);

impl RateLimits {
    pub(in crate::ingest) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a limit, unless it is known already.
    pub(in crate::ingest) fn add(&mut self, limited: Limited) {
        if !self.0.contains(&limited) {
            self.0.push(limited);
        }
    }

    /// The one met first.
    pub(in crate::ingest) fn first(&self) -> Option<&Limited> {
        self.0.first()
    }

    /// Tells of the limits, on an answer of any status.
    pub(in crate::ingest) fn write_to(&self, headers: &mut HeaderMap) {
        let texts: Vec<String> = self.0.iter().map(Limited::to_string).collect();
        if let (false, Ok(value)) = (texts.is_empty(), HeaderValue::from_str(&texts.join(", "))) {
            headers.insert(RATE_LIMITS, value);
        }
    }

    /// Also tells when to come back, for clients that know nothing of categories.
    pub(in crate::ingest) fn write_retry_after(&self, headers: &mut HeaderMap) {
        if let Some(longest) = self.0.iter().map(|limited| limited.retry_after).max() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(longest));
        }
    }
}

impl From<Limited> for RateLimits {
    fn from(limited: Limited) -> Self {
        Self(vec![limited])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_are_as_clients_read_them() {
        let mut limits = RateLimits::default();
        let mut headers = HeaderMap::new();
        limits.write_to(&mut headers);
        limits.write_retry_after(&mut headers);
        assert!(headers.is_empty());
        let errors = Limited {
            scope: Scope::Key,
            categories: &[Category::Default, Category::Error],
            reason: "key_quota",
            retry_after: 60,
        };
        limits.add(errors.clone());
        limits.add(errors);
        limits.add(Limited { scope: Scope::Organization, categories: &[], reason: "org_quota", retry_after: 2700 });
        limits.write_to(&mut headers);
        limits.write_retry_after(&mut headers);
        assert_eq!(headers[RATE_LIMITS], "60:default;error:key:key_quota, 2700::organization:org_quota");
        assert_eq!(headers[header::RETRY_AFTER], "2700");
    }
}
