//! The interfaces of an event as Sentry's API lists them: `{"type": …, "data": …}`, in the order in
//! which they are to be shown.

use serde_json::{Value, json};

use crate::protocol::event::{Breadcrumb, Event, Exception, Frame, LogEntry, Request, Stacktrace, Template, Thread};

/// The parts of the event that are there.
pub(super) fn entries(event: &Event) -> Vec<Value> {
    let list = |values: Vec<Value>| Some(values).filter(|values| !values.is_empty()).map(|v| json!({ "values": v }));
    let parts = [
        ("exception", Some(&event.exception.values).filter(|chain| !chain.is_empty()).map(|chain| exceptions(chain))),
        ("stacktrace", event.stacktrace.as_ref().map(stacktrace)),
        ("message", event.logentry.as_ref().map(logentry)),
        ("template", event.template.as_ref().map(template)),
        ("csp", Some(&event.csp).filter(|csp| !csp.is_empty()).map(|csp| json!(csp))),
        ("threads", list(event.threads.values.iter().map(thread).collect())),
        ("breadcrumbs", list(event.breadcrumbs.values.iter().map(breadcrumb).collect())),
        ("request", event.request.as_ref().map(request)),
        (
            "debugmeta",
            event.debug_meta.as_ref().map(|meta| json!({ "images": meta.images, "sdk_info": meta.sdk_info })),
        ),
    ];
    parts.into_iter().filter_map(|(kind, data)| Some(json!({ "type": kind, "data": data? }))).collect()
}

fn exceptions(chain: &[Exception]) -> Value {
    json!({
        "values": chain.iter().map(exception).collect::<Value>(),
        "hasSystemFrames": chain.iter().filter_map(|one| one.stacktrace.as_ref()).any(has_system_frames),
        "excOmitted": null,
    })
}

fn exception(exception: &Exception) -> Value {
    json!({
        "type": exception.exception_type,
        "value": exception.value,
        "module": exception.module,
        "threadId": exception.thread_id,
        "mechanism": exception.mechanism,
        "stacktrace": exception.stacktrace.as_ref().map(stacktrace),
        "rawStacktrace": exception.raw_stacktrace.as_ref().map(stacktrace),
    })
}

fn has_system_frames(trace: &Stacktrace) -> bool {
    let in_app = trace.frames.iter().filter(|frame| frame.in_app == Some(true)).count();
    in_app > 0 && in_app < trace.frames.len()
}

fn stacktrace(trace: &Stacktrace) -> Value {
    json!({
        "frames": trace.frames.iter().map(frame).collect::<Value>(),
        "framesOmitted": trace.frames_omitted,
        "registers": trace.registers,
        "hasSystemFrames": has_system_frames(trace),
    })
}

fn frame(frame: &Frame) -> Value {
    json!({
        "filename": frame.filename,
        "absPath": frame.abs_path,
        "module": frame.module,
        "package": frame.package,
        "platform": frame.platform,
        "instructionAddr": frame.instruction_addr,
        "symbolAddr": frame.symbol_addr,
        "function": frame.function,
        "rawFunction": frame.raw_function,
        "symbol": frame.symbol,
        "context": context(frame.lineno, &frame.pre_context, frame.context_line.as_deref(), &frame.post_context),
        "lineNo": frame.lineno,
        "colNo": frame.colno,
        "inApp": frame.in_app.unwrap_or(false),
        "trust": frame.trust,
        "vars": frame.vars,
        "lock": frame.lock,
        "data": frame.data,
    })
}

/// Source lines with their numbers: `[[41, "…"], [42, "…"]]`.
fn context(lineno: Option<u64>, pre: &[String], line: Option<&str>, post: &[String]) -> Value {
    let (Some(lineno), Some(line)) = (lineno, line) else { return json!([]) };
    let first = lineno.saturating_sub(u64::try_from(pre.len()).unwrap_or(u64::MAX));
    let lines = pre.iter().map(String::as_str).chain([line]).chain(post.iter().map(String::as_str));
    (first..).zip(lines).map(|(number, text)| json!([number, text])).collect()
}

fn logentry(entry: &LogEntry) -> Value {
    json!({ "formatted": entry.text(), "message": entry.message, "params": entry.params })
}

fn template(template: &Template) -> Value {
    json!({
        "filename": template.filename,
        "absPath": template.abs_path,
        "lineNo": template.lineno,
        "context":
            context(template.lineno, &template.pre_context, template.context_line.as_deref(), &template.post_context),
    })
}

fn thread(thread: &Thread) -> Value {
    json!({
        "id": thread.id,
        "name": thread.name,
        "crashed": thread.crashed.unwrap_or(false),
        "current": thread.current.unwrap_or(false),
        "main": thread.main.unwrap_or(false),
        "state": thread.state,
        "heldLocks": thread.held_locks,
        "stacktrace": thread.stacktrace.as_ref().map(stacktrace),
        "rawStacktrace": null,
    })
}

fn breadcrumb(crumb: &Breadcrumb) -> Value {
    json!({
        "timestamp": crumb.timestamp.map(super::users::time),
        "type": crumb.kind,
        "category": crumb.category,
        "level": crumb.level,
        "message": crumb.message,
        "data": Some(&crumb.data).filter(|data| !data.is_empty()),
        "event_id": crumb.event_id,
    })
}

fn request(request: &Request) -> Value {
    json!({
        "url": request.url,
        "method": request.method,
        "query": request.query_string,
        "fragment": request.fragment,
        "headers": request.headers,
        "cookies": request.cookies,
        "data": request.data,
        "env": request.env,
        "inferredContentType": request.inferred_content_type,
        "apiTarget": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_lines_are_numbered_around_the_line() {
        let pre = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            context(Some(9), &pre, Some("c"), &["d".to_owned()]),
            json!([[7, "a"], [8, "b"], [9, "c"], [10, "d"]])
        );
        assert_eq!(context(None, &pre, Some("c"), &[]), json!([]));
        assert_eq!(context(Some(1), &pre, Some("c"), &[]), json!([[0, "a"], [1, "b"], [2, "c"]]));
    }

    #[test]
    fn only_what_is_there_is_listed() {
        let event = json!({
            "event_id": "fc6d8c0c43fc4630ad850ee518f1b9d0", "type": "error", "level": "error", "platform": "python",
            "timestamp": "2026-01-31T12:00:00Z", "received": "2026-01-31T12:00:00Z",
            "exception": { "values": [{ "type": "ValueError", "stacktrace": { "frames": [
                { "function": "main", "in_app": true }, { "function": "lib", "in_app": false }
            ] } }] },
        });
        let entries = entries(&serde_json::from_value(event).unwrap());
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0]["type"], "exception");
        assert_eq!(entries[0]["data"]["hasSystemFrames"], true);
        assert_eq!(entries[0]["data"]["values"][0]["stacktrace"]["frames"][0]["function"], "main");
    }
}
