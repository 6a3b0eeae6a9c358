//! Which of what is sent to a project is not taken in, as the project's settings say. Pure; with everything off, as
//! shipped, nothing is looked at.
//!
//! What is held back is attributed to one filter: the first that applies, in the order of [`Filters::of_event`].

mod browser;
mod crawler;
mod csp_source;
mod extension;
mod glob;
mod health_check;
mod known_error;
mod local;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use self::csp_source::Source;
use self::glob::Globs;
use self::local::Origin;
use crate::protocol::filter_settings::{LegacyBrowser, parse_network};
use crate::protocol::kept_item::Span;
use crate::protocol::{Event, Filter, FilterSettings, KeptItem, Stamp};

/// The filters of a project, made ready. Those of a project without settings hold nothing back.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a filter of its own")]
pub struct Filters {
    is_on: bool,
    localhost: bool,
    browser_extensions: bool,
    web_crawlers: bool,
    health_checks: bool,
    chunk_load_errors: bool,
    hydration_errors: bool,
    legacy_browsers: Vec<&'static LegacyBrowser>,
    error_messages: Globs,
    releases: Globs,
    csp_sources: Vec<Source>,
    client_ips: Vec<IpNet>,
}

/// What several filters look at, wherever an item has it.
#[derive(Default)]
struct Facts<'a> {
    release: Option<&'a str>,
    origin: Origin<'a>,
    user_agent: Option<&'a str>,
}

impl Filters {
    /// As the settings say. An entry that cannot be used is left out: it was refused when it was set.
    pub fn new(settings: &FilterSettings) -> Self {
        let ips = settings.client_ips.iter().filter_map(|text| parse_network(text));
        Self {
            is_on: !settings.is_off(),
            localhost: settings.localhost,
            browser_extensions: settings.browser_extensions,
            web_crawlers: settings.web_crawlers,
            health_checks: settings.health_checks,
            chunk_load_errors: settings.chunk_load_errors,
            hydration_errors: settings.hydration_errors,
            legacy_browsers: settings.legacy_browsers.iter().filter_map(|name| LegacyBrowser::named(name)).collect(),
            error_messages: Globs::new(&settings.error_messages),
            releases: Globs::new(&settings.releases),
            csp_sources: settings.csp_sources.iter().map(|text| Source::new(text)).collect(),
            client_ips: ips.collect(),
        }
    }

    /// By who sent an item, of whatever kind: the filter that holds it back.
    pub fn of_sender(&self, stamp: &Stamp) -> Option<Filter> {
        if self.client_ips.is_empty() {
            return None;
        }
        let ip = stamp.client_ip?.to_canonical();
        let is_among = self.client_ips.iter().any(|net| net.contains(&ip));
        is_among.then_some(Filter::ClientIps)
    }

    /// The filter that holds back an event, normalised and not yet scrubbed.
    pub(super) fn of_event(&self, event: &Event) -> Option<Filter> {
        if !self.is_on {
            return None;
        }
        let request = event.request.as_ref();
        let header = |name: &str| request.and_then(|request| request.header(name));
        let facts = Facts {
            release: event.release.as_deref(),
            origin: Origin {
                ip: event.user.as_ref().and_then(|user| user.ip_address),
                url: request.and_then(|request| request.url.as_deref()),
                forwarded_for: header("X-Forwarded-For"),
                hosts: [header("Host"), header("X-Forwarded-Host")],
            },
            user_agent: header("User-Agent"),
        };
        if self.releases.match_any(facts.release) {
            return Some(Filter::Releases);
        }
        if !self.error_messages.is_empty() && self.has_message(event) {
            return Some(Filter::ErrorMessages);
        }
        if csp_source::is_among(event, &self.csp_sources) {
            return Some(Filter::CspSources);
        }
        if self.localhost && facts.origin.is_local() {
            return Some(Filter::Localhost);
        }
        if self.chunk_load_errors && known_error::is_chunk_load(event) {
            return Some(Filter::ChunkLoadErrors);
        }
        if self.hydration_errors && known_error::is_hydration(event) {
            return Some(Filter::HydrationErrors);
        }
        if self.browser_extensions && extension::is_at_fault(event) {
            return Some(Filter::BrowserExtensions);
        }
        self.by_user_agent(facts.user_agent)
    }

    /// Drops spans that a filter holds back, with what belongs to them; the filter, if none is left.
    pub(super) fn drop_spans(&self, item: &mut KeptItem) -> Option<Filter> {
        let KeptItem::Spans(spans) = item else { return None };
        if !self.is_on {
            return None;
        }
        // A segment decides about the spans in it.
        let mut segments: HashMap<i64, Filter> = HashMap::new();
        for span in spans.iter().filter(|span| span.is_segment) {
            if let Some(filter) = self.of_span(span) {
                segments.insert(span.span_id, filter);
            }
        }
        let mut last = None;
        spans.retain(|span| {
            let of_segment = span.segment_id.and_then(|id| segments.get(&id).copied());
            let filter = if span.is_segment { of_segment } else { of_segment.or_else(|| self.of_span(span)) };
            last = filter.or(last);
            filter.is_none()
        });
        last.filter(|_| spans.is_empty())
    }

    fn of_span(&self, span: &Span) -> Option<Filter> {
        let text = |name: &str| span.attributes.get(name).and_then(Value::as_str);
        let ip = text("user.ip_address").or_else(|| text("client.address"));
        let facts = Facts {
            release: span.release.as_deref(),
            origin: Origin {
                ip: ip.and_then(|text| text.parse::<IpAddr>().ok()),
                // Of a span in a request, the address is another server's.
                url: text("url.full").filter(|_| span.is_segment),
                ..Origin::default()
            },
            user_agent: text("user_agent.original"),
        };
        if self.releases.match_any(facts.release) {
            return Some(Filter::Releases);
        }
        if self.localhost && facts.origin.is_local() {
            return Some(Filter::Localhost);
        }
        if self.health_checks && span.is_segment && health_check::is_one(&span.name) {
            return Some(Filter::HealthChecks);
        }
        self.by_user_agent(facts.user_agent)
    }

    fn by_user_agent(&self, user_agent: Option<&str>) -> Option<Filter> {
        let text = user_agent?;
        if browser::is_among(text, &self.legacy_browsers) {
            return Some(Filter::LegacyBrowsers);
        }
        (self.web_crawlers && crawler::is_one(text)).then_some(Filter::WebCrawlers)
    }

    /// Looks for the patterns in what people read: the message, and `Type: value` of each exception.
    fn has_message(&self, event: &Event) -> bool {
        let message = event.logentry.as_ref().map(|entry| Cow::Borrowed(entry.text()));
        let exceptions = event.exception.values.iter().map(|exception| {
            let parts = (exception.exception_type.as_deref(), exception.value.as_deref());
            match parts {
                (Some(name), Some(value)) => Cow::Owned(format!("{name}: {value}")),
                (one, other) => Cow::Borrowed(one.or(other).unwrap_or_default()),
            }
        });
        message.into_iter().chain(exceptions).any(|text| self.error_messages.match_any(Some(&text)))
    }
}

#[cfg(test)]
mod tests;
