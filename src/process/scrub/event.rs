//! The fields of an event that may hold secrets.
//!
//! Not read: what symbolication needs (`debug_meta`, names of files, addresses), lists of packages, and the client's
//! browser. In source code, a name is followed by a variable, and only what is written out there counts.

use serde_json::Value;

use super::FILTERED;
use super::remark::{Path, Remarks};
use super::rules::ScrubRules;
use super::text::{Extent, Style};
use super::value::Scrubber;
use crate::process::normalise::cut;
use crate::protocol::Event;
use crate::protocol::event::{Breadcrumb, Exception, Frame, LogEntry, Request, Stacktrace, Template, User};

const MAX_TAG: usize = 200;
const MAX_TRANSACTION: usize = 200;

/// Takes out what the rules name of an event that was read from `payload`.
pub(in crate::process) fn scrub(event: &mut Event, payload: &[u8], rules: &ScrubRules) {
    let scrubber = &mut Scrubber::new(rules);
    if rules.takes_ip_addresses() {
        remove_addresses(event, scrubber);
    }
    if rules.reads_texts() {
        read(event, scrubber);
        read_values(event, scrubber);
        // What was a secret in one place is none the less in another.
        if scrubber.starts_hiding(payload) {
            read(event, scrubber);
            read_values(event, scrubber);
        }
    }
    std::mem::take(&mut scrubber.remarks).write(&mut event.meta);
}

fn read(event: &mut Event, scrubber: &mut Scrubber<'_>) {
    let root = Path::Root;
    if let Some(transaction) = &mut event.transaction {
        scrubber.plain(&root.key("transaction"), transaction);
        *transaction = cut(std::mem::take(transaction), MAX_TRANSACTION);
    }
    if let Some(entry) = &mut event.logentry {
        logentry(scrubber, &root.key("logentry"), entry);
    }
    let at = root.key("exception");
    let at = &at.key("values");
    for (index, exception) in event.exception.values.iter_mut().enumerate() {
        read_exception(scrubber, &at.index(index), exception);
    }
    if let Some(stack) = &mut event.stacktrace {
        stacktrace(scrubber, &root.key("stacktrace"), stack);
    }
    let at = root.key("threads");
    let at = &at.key("values");
    for (index, thread) in event.threads.values.iter_mut().enumerate() {
        let at = &at.index(index);
        scrubber.optional(&at.key("name"), &mut thread.name);
        if let Some(stack) = &mut thread.stacktrace {
            stacktrace(scrubber, &at.key("stacktrace"), stack);
        }
    }
    let at = root.key("breadcrumbs");
    let at = &at.key("values");
    for (index, breadcrumb) in event.breadcrumbs.values.iter_mut().enumerate() {
        read_breadcrumb(scrubber, &at.index(index), breadcrumb);
    }
    if let Some(template) = &mut event.template {
        read_template(scrubber, &root.key("template"), template);
    }
    let at = &root.key("tags");
    scrubber.pairs(at, &mut event.tags);
    for (_, value) in &mut event.tags {
        *value = cut(std::mem::take(value), MAX_TAG);
    }
    for (index, entry) in event.fingerprint.iter_mut().enumerate() {
        scrubber.plain(&root.key("fingerprint").index(index), entry);
    }
    errors(event, scrubber);
}

/// What the client filled in as it pleased.
fn read_values(event: &mut Event, scrubber: &mut Scrubber<'_>) {
    let root = Path::Root;
    if let Some(request) = &mut event.request {
        read_request(scrubber, &root.key("request"), request);
    }
    if let Some(user) = &mut event.user {
        read_user(scrubber, &root.key("user"), user);
    }
    scrubber.contexts(&root.key("contexts"), &mut event.contexts);
    scrubber.map(&root.key("extra"), &mut event.extra);
    scrubber.map(&root.key("csp"), &mut event.csp);
    // Remarks on remarks would help nobody.
    Scrubber::new(scrubber.rules).meta(&mut event.meta, false);
}

/// Lines about what was wrong with a field quote what was sent.
fn errors(event: &mut Event, scrubber: &mut Scrubber<'_>) {
    for (index, error) in event.errors.iter_mut().enumerate() {
        let Some(value) = &mut error.value else { continue };
        let field = error.name.as_deref().and_then(|name| name.rsplit('.').next()).unwrap_or_default();
        let at = Path::Root.key("errors");
        scrubber.member(&at.index(index).key("value"), field, value);
    }
}

fn logentry(scrubber: &mut Scrubber<'_>, at: &Path<'_>, entry: &mut LogEntry) {
    if let Some(message) = &mut entry.message {
        scrubber.text(&at.key("message"), message, Style::Labelled, Extent::All);
    }
    let Some(params) = &mut entry.params else {
        if let Some(formatted) = &mut entry.formatted {
            scrubber.text(&at.key("formatted"), formatted, Style::Labelled, Extent::All);
        }
        return;
    };
    let before = params.clone();
    scrubber.value(&at.key("params"), params);
    let Some(formatted) = &mut entry.formatted else { return };
    // A parameter that has the name of a secret is in the message without it.
    for secret in replaced(&before, params) {
        if formatted.contains(&secret) {
            *formatted = formatted.replace(&secret, FILTERED);
        }
    }
    let shown = formatted.clone();
    if scrubber.text(&at.key("formatted"), formatted, Style::Labelled, Extent::All) {
        // And one that was taken out of the message is still among the parameters.
        hide(params, &shown, formatted);
    }
}

/// Texts that are in the parameters no more.
fn replaced(before: &Value, after: &Value) -> Vec<String> {
    match (before, after) {
        (Value::Array(before), Value::Array(after)) => {
            before.iter().zip(after).flat_map(|(before, after)| replaced(before, after)).collect()
        }
        (Value::Object(before), Value::Object(after)) => {
            let pairs = before.iter().filter_map(|(key, value)| Some((value, after.get(key)?)));
            pairs.flat_map(|(before, after)| replaced(before, after)).collect()
        }
        // A short text may be in the message for another reason.
        (Value::String(text), Value::String(filtered))
            if filtered == FILTERED && text.len() >= 4 && text != filtered =>
        {
            vec![text.clone()]
        }
        (Value::Number(number), Value::String(_)) => vec![number.to_string()],
        _ => Vec::new(),
    }
}

/// Takes parameters out that were in the message and are not any longer.
fn hide(params: &mut Value, shown: &str, now: &str) {
    let is_gone = |text: &str| !text.is_empty() && shown.contains(text) && !now.contains(text);
    match params {
        Value::Array(list) => list.iter_mut().for_each(|member| hide(member, shown, now)),
        Value::Object(map) => map.values_mut().for_each(|member| hide(member, shown, now)),
        Value::String(text) if is_gone(text) => FILTERED.clone_into(text),
        Value::Number(number) if is_gone(&number.to_string()) => *params = Value::String(FILTERED.to_owned()),
        _ => {}
    }
}

fn read_exception(scrubber: &mut Scrubber<'_>, at: &Path<'_>, exception: &mut Exception) {
    scrubber.optional(&at.key("type"), &mut exception.exception_type);
    if scrubber.rules.reads_exception_values() {
        scrubber.optional(&at.key("value"), &mut exception.value);
    } else if let Some(value) = &mut exception.value {
        scrubber.addresses(&at.key("value"), value);
    }
    if let Some(mechanism) = &mut exception.mechanism {
        let at = &at.key("mechanism");
        scrubber.optional(&at.key("description"), &mut mechanism.description);
        scrubber.optional(&at.key("help_link"), &mut mechanism.help_link);
        scrubber.map(&at.key("data"), &mut mechanism.data);
        scrubber.map(&at.key("meta"), &mut mechanism.meta);
    }
    for (name, stack) in [("stacktrace", &mut exception.stacktrace), ("raw_stacktrace", &mut exception.raw_stacktrace)]
    {
        if let Some(stack) = stack {
            stacktrace(scrubber, &at.key(name), stack);
        }
    }
}

fn stacktrace(scrubber: &mut Scrubber<'_>, at: &Path<'_>, stack: &mut Stacktrace) {
    let at = &at.key("frames");
    for (index, frame) in stack.frames.iter_mut().enumerate() {
        read_frame(scrubber, &at.index(index), frame);
    }
}

fn read_frame(scrubber: &mut Scrubber<'_>, at: &Path<'_>, frame: &mut Frame) {
    scrubber.map(&at.key("vars"), &mut frame.vars);
    scrubber.map(&at.key("data"), &mut frame.data);
    source(scrubber, at, &mut frame.pre_context, &mut frame.context_line, &mut frame.post_context);
}

fn read_template(scrubber: &mut Scrubber<'_>, at: &Path<'_>, template: &mut Template) {
    source(scrubber, at, &mut template.pre_context, &mut template.context_line, &mut template.post_context);
}

fn source(
    scrubber: &mut Scrubber<'_>,
    at: &Path<'_>,
    before: &mut [String],
    line: &mut Option<String>,
    behind: &mut [String],
) {
    if let Some(line) = line {
        scrubber.text(&at.key("context_line"), line, Style::Plain, Extent::Source);
    }
    for (name, lines) in [("pre_context", before), ("post_context", behind)] {
        let at = &at.key(name);
        for (index, line) in lines.iter_mut().enumerate() {
            scrubber.text(&at.index(index), line, Style::Plain, Extent::Source);
        }
    }
}

fn read_breadcrumb(scrubber: &mut Scrubber<'_>, at: &Path<'_>, breadcrumb: &mut Breadcrumb) {
    scrubber.optional(&at.key("message"), &mut breadcrumb.message);
    scrubber.map(&at.key("data"), &mut breadcrumb.data);
}

fn read_request(scrubber: &mut Scrubber<'_>, at: &Path<'_>, request: &mut Request) {
    scrubber.optional(&at.key("url"), &mut request.url);
    scrubber.optional(&at.key("fragment"), &mut request.fragment);
    scrubber.query(&at.key("query_string"), &mut request.query_string);
    scrubber.cookies(&at.key("cookies"), &mut request.cookies);
    let headers = &at.key("headers");
    for (index, (field, value)) in request.headers.iter_mut().enumerate() {
        let at = headers.index(index);
        let at = &at.index(1);
        if field != "User-Agent" {
            scrubber.named(at, field, value);
        }
        if scrubber.rules.takes_ip_addresses() && super::address::names_clients(field) {
            scrubber.ips(at, value);
        }
    }
    if let Some(data) = &mut request.data {
        scrubber.value(&at.key("data"), data);
    }
    scrubber.map(&at.key("env"), &mut request.env);
}

fn read_user(scrubber: &mut Scrubber<'_>, at: &Path<'_>, user: &mut User) {
    for (name, text, limit) in [
        ("id", &mut user.id, 128),
        ("email", &mut user.email, 75),
        ("username", &mut user.username, 128),
        ("name", &mut user.name, 128),
        ("segment", &mut user.segment, 128),
    ] {
        if let Some(text) = text {
            scrubber.plain(&at.key(name), text);
            *text = cut(std::mem::take(text), limit);
        }
    }
    scrubber.map(&at.key("data"), &mut user.data);
}

/// Addresses of people, and of their connections.
fn remove_addresses(event: &mut Event, scrubber: &mut Scrubber<'_>) {
    let root = Path::Root;
    if let Some(user) = &mut event.user
        && user.ip_address.take().is_some()
    {
        scrubber.remarks.note(&root.key("user").key("ip_address"), Remarks::ADDRESS, None);
    }
    if event.user.as_ref().is_some_and(|user| *user == User::default()) {
        event.user = None;
    }
    if let Some(request) = &mut event.request
        && request.env.remove("REMOTE_ADDR").is_some()
    {
        scrubber.remarks.note(&root.key("request").key("env").key("REMOTE_ADDR"), Remarks::ADDRESS, None);
    }
}
