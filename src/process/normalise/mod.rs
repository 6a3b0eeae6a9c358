//! JSON -> the normalised event. Tolerant: a field that cannot be kept is dropped with a line in `errors`, never the event.

pub(super) mod attribute;
mod breadcrumb;
pub(super) mod clock;
mod context;
mod databag;
mod exception;
pub(super) mod field;
mod logentry;
mod request;
mod stacktrace;
mod tag;
pub(super) mod user;

use serde_json::{Map, Value};

pub(super) use self::field::cut;
pub(super) use self::tag::tidy;

use self::clock::Clock;
use self::field::{Errors, Path};
use crate::ids::EventId;
use crate::protocol::event::{Metadata, Values};
use crate::protocol::{Event, EventKind, Level, Stamp};

const MAX_LOGGER: usize = 64;
const MAX_TRANSACTION: usize = 200;
const TRANSACTION_SOURCES: [&str; 8] = ["custom", "url", "route", "view", "component", "sanitized", "task", "unknown"];

/// The event in its final form but for the title, the culprit and the derived tags.
pub(super) fn normalise(mut payload: Map<String, Value>, stamp: &Stamp) -> Event {
    rename_legacy(&mut payload);
    let clock = Clock::new(stamp).happened(payload.get("timestamp"));
    let mut errors = Errors::default();
    let mut event = blank(stamp, &clock);
    event.platform = attribute::platform(payload.remove("platform").as_ref());
    let mut loose = Loose::default();
    for (key, value) in payload {
        if !value.is_null() {
            read(&mut event, &mut loose, &mut errors, &clock, &key, value);
        }
    }
    let wants_auto_address = loose.wants_auto_address;
    settle(&mut event, loose, &mut errors);
    user::infer_address(&mut event, wants_auto_address, stamp.client_ip);
    context::add_from_user_agent(&mut event, stamp.user_agent.as_deref());
    event.errors = errors.finish(&mut event.meta);
    event
}

fn blank(stamp: &Stamp, clock: &Clock) -> Event {
    Event {
        event_id: stamp.event_id,
        kind: EventKind::Default,
        level: Level::Error,
        platform: String::new(),
        timestamp: clock.received(),
        received: clock.received(),
        title: String::new(),
        culprit: String::new(),
        metadata: Metadata::default(),
        logger: String::new(),
        transaction: None,
        transaction_source: None,
        release: None,
        dist: None,
        environment: None,
        logentry: None,
        exception: Values::default(),
        stacktrace: None,
        threads: Values::default(),
        breadcrumbs: Values::default(),
        request: None,
        user: None,
        template: None,
        contexts: Map::new(),
        tags: Vec::new(),
        extra: Map::new(),
        modules: std::collections::BTreeMap::new(),
        fingerprint: Vec::new(),
        sdk: None,
        debug_meta: None,
        csp: Map::new(),
        errors: Vec::new(),
        meta: Map::new(),
    }
}

/// What has to wait for other fields.
#[derive(Default)]
struct Loose {
    message: Option<Value>,
    culprit: Option<String>,
    server_name: Option<String>,
    site: Option<String>,
    checksum: Option<String>,
    wants_auto_address: bool,
}

/// Gives interfaces of old clients their present names, unless the present one is there, too.
fn rename_legacy(payload: &mut Map<String, Value>) {
    const PREFIX: &str = "sentry.interfaces.";
    let old: Vec<String> = payload.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect();
    for key in old {
        let Some(value) = payload.remove(&key) else { continue };
        let name = match key.strip_prefix(PREFIX).unwrap_or_default() {
            "Exception" => "exception",
            "Stacktrace" => "stacktrace",
            "Message" => "logentry",
            "Breadcrumbs" => "breadcrumbs",
            "Http" => "request",
            "User" => "user",
            "Template" => "template",
            "Threads" => "threads",
            "Contexts" => "contexts",
            "DebugMeta" => "debug_meta",
            "Csp" => "csp",
            _ => continue,
        };
        if payload.get(name).is_none_or(Value::is_null) {
            payload.insert(name.to_owned(), value);
        }
    }
}

/// Reads one field; names that nobody knows are dropped.
fn read(event: &mut Event, loose: &mut Loose, errors: &mut Errors, clock: &Clock, key: &str, value: Value) {
    let at = &Path::Root.key(key);
    match key {
        "event_id" if value.as_str().and_then(EventId::parse).is_none() => errors.invalid(at, value, "an event id"),
        "timestamp" => event.timestamp = clock.event_time(errors, at, value),
        "level" => event.level = attribute::level(errors, at, value).unwrap_or(Level::Error),
        "logger" => event.logger = errors.word(at, value, MAX_LOGGER).filter(|name| name != "-").unwrap_or_default(),
        "transaction" => event.transaction = errors.word(at, value, MAX_TRANSACTION),
        "transaction_info" => event.transaction_source = transaction_source(errors, at, value),
        "culprit" => loose.culprit = errors.word(at, value, MAX_TRANSACTION),
        "release" => event.release = attribute::release(errors, at, value),
        "dist" => event.dist = attribute::dist(errors, at, value),
        "environment" => event.environment = attribute::environment(errors, at, value),
        "server_name" => loose.server_name = errors.word(at, value, 200),
        "site" => loose.site = errors.word(at, value, 200),
        "checksum" => loose.checksum = errors.word(at, value, 200),
        "fingerprint" => event.fingerprint = attribute::fingerprint(errors, at, value),
        "modules" => event.modules = attribute::modules(errors, at, value),
        "errors" => attribute::client_errors(errors, at, value),
        "tags" => event.tags = tag::tags(errors, at, value),
        "extra" => event.extra = databag::EXTRA.read(errors, at, value),
        // Remarks on remarks would help nobody.
        "_meta" => event.meta = databag::META.read(&mut Errors::default(), at, value),
        "csp" => {
            let report = databag::DATA.read(errors, at, value);
            event.csp = super::csp::normalise(report);
        }
        "contexts" => event.contexts = context::contexts(errors, at, value),
        "sdk" => event.sdk = context::sdk(errors, at, value),
        "debug_meta" => event.debug_meta = context::debug_meta(errors, at, value),
        "message" => loose.message = Some(value),
        "logentry" => event.logentry = logentry::logentry(errors, at, value),
        "exception" => event.exception = exception::exceptions(errors, at, value, &event.platform),
        // Behind the exceptions, as the names are sorted.
        "threads" => {
            event.threads = exception::threads(errors, at, value, &event.platform, &event.exception.values);
        }
        "stacktrace" => event.stacktrace = stacktrace::stacktrace(errors, at, value, &event.platform),
        "template" => event.template = stacktrace::template(errors, at, value),
        "breadcrumbs" => event.breadcrumbs = breadcrumb::breadcrumbs(errors, at, value, clock),
        "request" => event.request = request::request(errors, at, value),
        "user" => (event.user, loose.wants_auto_address) = user::user(errors, at, value),
        _ => {}
    }
}

fn transaction_source(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<String> {
    let source = errors.object(at, value)?.remove("source")?;
    let source = errors.word(&at.key("source"), source, 32)?;
    Some(if TRANSACTION_SOURCES.contains(&source.as_str()) { source } else { "unknown".to_owned() })
}

/// Puts together what came in several fields.
fn settle(event: &mut Event, loose: Loose, errors: &mut Errors) {
    if event.logentry.is_none()
        && let Some(message) = loose.message
    {
        event.logentry = logentry::logentry(errors, &Path::Root.key("message"), message);
    }
    if event.transaction.is_none() {
        event.transaction = loose.culprit;
    }
    // A stack trace beside one exception without its own is that exception's.
    if let [exception] = event.exception.values.as_mut_slice()
        && exception.stacktrace.is_none()
    {
        exception.stacktrace = event.stacktrace.take();
    }
    if let Some(name) = loose.server_name {
        event.tags.retain(|(key, _)| key != "server_name");
        event.tags.push(("server_name".to_owned(), name));
    }
    // Old clients tell of both; a tag that the program set has the last word.
    if let Some(site) = loose.site
        && !event.tags.iter().any(|(key, _)| key == "site")
    {
        event.tags.push(("site".to_owned(), site));
    }
    if let Some(at) = event.tags.iter().position(|(key, _)| key == "environment") {
        let (_, value) = event.tags.remove(at);
        if event.environment.is_none() {
            event.environment =
                attribute::environment(errors, &Path::Root.key("tags").key("environment"), Value::String(value));
        }
    }
    // The custom hash of old clients.
    if event.fingerprint.is_empty()
        && let Some(checksum) = loose.checksum
    {
        event.fingerprint = vec![checksum];
    }
    event.kind = if !event.csp.is_empty() {
        EventKind::Csp
    } else if event.exception.is_empty() {
        EventKind::Default
    } else {
        EventKind::Error
    };
}
