//! The event as JSON within the limit on what is stored.

use super::normalise::cut;
use crate::protocol::Event;
use crate::protocol::event::{EventError, Frame, Values};

/// Bytes of JSON that an event may take.
const MAX_JSON: usize = 1024 * 1024;

/// What is left out first is what people miss least.
const STEPS: [fn(&mut Event); 8] = [
    |event| for_each_frame(event, |frame| frame.vars.clear()),
    |event| {
        for_each_frame(event, |frame| {
            if frame.in_app != Some(true) {
                frame.pre_context.clear();
                frame.post_context.clear();
            }
        });
    },
    |event| event.breadcrumbs.values.iter_mut().for_each(|breadcrumb| breadcrumb.data.clear()),
    |event| event.extra.clear(),
    |event| {
        event.meta.clear();
        event.modules.clear();
        event.debug_meta = None;
    },
    |event| {
        event.threads = Values::default();
        event.breadcrumbs = Values::default();
    },
    |event| {
        event.contexts.clear();
        event.request = None;
        for_each_frame(event, |frame| *frame = bare(frame));
    },
    keep_the_core,
];

/// Writes the event, leaving things out until it fits; what was left out is noted in `errors`.
pub(super) fn to_json(event: &mut Event) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = serde_json::to_vec(event)?;
    for step in STEPS {
        if json.len() <= MAX_JSON {
            break;
        }
        if !event.errors.iter().any(|error| error.kind == "too_large") {
            let note = EventError { kind: "too_large".to_owned(), name: None, value: Some(json.len().into()) };
            event.errors.insert(0, note);
        }
        step(event);
        json = serde_json::to_vec(event)?;
    }
    Ok(json)
}

/// What is left of an event that is made to be large: bounded so that it fits whatever was sent.
fn keep_the_core(event: &mut Event) {
    let exceptions = &mut event.exception.values;
    exceptions.drain(..exceptions.len().saturating_sub(10));
    for exception in exceptions.iter_mut() {
        exception.raw_stacktrace = None;
        exception.mechanism = None;
        exception.value = exception.value.take().map(|value| cut(value, 1024));
    }
    for stack in
        exceptions.iter_mut().filter_map(|exception| exception.stacktrace.as_mut()).chain(&mut event.stacktrace)
    {
        stack.frames.drain(..stack.frames.len().saturating_sub(20));
        stack.registers.clear();
    }
    for_each_frame(event, |frame| {
        for name in [&mut frame.filename, &mut frame.function, &mut frame.module] {
            *name = name.take().map(|name| cut(name, 128));
        }
    });
    event.template = None;
    event.errors.truncate(10);
}

/// A frame's place, without its surroundings.
fn bare(frame: &Frame) -> Frame {
    Frame {
        filename: frame.filename.clone(),
        function: frame.function.clone(),
        module: frame.module.clone(),
        lineno: frame.lineno,
        colno: frame.colno,
        in_app: frame.in_app,
        ..Frame::default()
    }
}

fn for_each_frame(event: &mut Event, change: impl Fn(&mut Frame)) {
    let of_exceptions = event
        .exception
        .values
        .iter_mut()
        .flat_map(|exception| [exception.stacktrace.as_mut(), exception.raw_stacktrace.as_mut()]);
    let of_threads = event.threads.values.iter_mut().map(|thread| thread.stacktrace.as_mut());
    let stacks = of_exceptions.chain(of_threads).chain([event.stacktrace.as_mut()]).flatten();
    stacks.flat_map(|stack| stack.frames.iter_mut()).for_each(change);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::process::tests::processed;

    #[test]
    fn large_events_lose_what_people_miss_least() {
        let frames: Vec<Value> = (0..250)
            .map(|number| {
                let lines = vec!["x".repeat(400); 5];
                json!({"function": format!("f{number}"), "in_app": number % 2 == 0, "context_line": "y".repeat(2000),
                    "pre_context": lines, "post_context": lines, "vars": {"a": "z".repeat(900)}})
            })
            .collect();
        let payload = json!({"exception": [{"type": "E", "stacktrace": frames}], "extra": {"kept": "?"}});
        let large = processed(&payload);
        assert!(large.json.len() <= MAX_JSON, "{}", large.json.len());
        let frames = &large.event.exception.values[0].stacktrace.as_ref().unwrap().frames;
        assert_eq!(frames.len(), 250);
        assert!(frames.iter().all(|frame| frame.vars.is_empty()));
        assert!(large.event.errors.iter().any(|error| error.kind == "too_large"));
        assert_eq!(serde_json::to_vec(&large.event).unwrap(), large.json);
    }

    #[test]
    fn even_the_largest_event_fits() {
        let frames: Vec<Value> = (0..250)
            .map(|_| json!({"function": "f".repeat(1000), "filename": "x".repeat(1000), "abs_path": "y".repeat(1000)}))
            .collect();
        let exceptions: Vec<Value> =
            (0..4).map(|_| json!({"type": "E", "value": "v".repeat(9000), "stacktrace": frames})).collect();
        let large = processed(&json!({"exception": exceptions}));
        assert!(large.json.len() <= MAX_JSON, "{}", large.json.len());
        assert_eq!(large.event.exception.values.len(), 4);
    }
}
