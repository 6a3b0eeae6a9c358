//! Exceptions and threads.

use serde_json::Value;

use super::databag::DATA;
use super::field::{Errors, Path};
use super::stacktrace::stacktrace;
use crate::protocol::event::{Exception, Mechanism, Thread, ThreadId, Values};

const MAX_TYPE: usize = 256;
const MAX_VALUE: usize = 8192;
/// More than any chain that means something; the outermost are kept.
const MAX_EXCEPTIONS: usize = 50;
const MAX_THREADS: usize = 256;

/// The chain, in any of its three wrappings.
pub(super) fn exceptions(errors: &mut Errors, at: &Path<'_>, value: Value, platform: &str) -> Values<Exception> {
    let mut list = errors.values(at, value);
    let at = at.key("values");
    errors.shortened(&at, list.len(), MAX_EXCEPTIONS);
    let surplus = list.len().saturating_sub(MAX_EXCEPTIONS);
    list.drain(..surplus);
    let values = list
        .into_iter()
        .enumerate()
        .filter_map(|(index, value)| exception(errors, &at.index(index), value, platform))
        .collect();
    Values { values }
}

fn exception(errors: &mut Errors, at: &Path<'_>, value: Value, platform: &str) -> Option<Exception> {
    let mut exception = Exception::default();
    for (key, value) in errors.object(at, value)? {
        if value.is_null() {
            continue;
        }
        let at = at.key(&key);
        match key.as_str() {
            "type" => exception.exception_type = errors.text(&at, value, MAX_TYPE),
            "value" => {
                exception.value = Some(match value {
                    Value::String(text) => errors.cut(&at, text, MAX_VALUE),
                    other => errors.cut(&at, other.to_string(), MAX_VALUE),
                });
            }
            "module" => exception.module = errors.text(&at, value, MAX_TYPE),
            "thread_id" => exception.thread_id = thread_id(errors, &at, value),
            "mechanism" => exception.mechanism = mechanism(errors, &at, value),
            "stacktrace" => exception.stacktrace = stacktrace(errors, &at, value, platform),
            "raw_stacktrace" => exception.raw_stacktrace = stacktrace(errors, &at, value, platform),
            _ => {}
        }
    }
    exception.exception_type = exception.exception_type.filter(|text| !text.is_empty());
    if exception.exception_type.is_none() && !exception.is_synthetic() {
        split_type_from_value(&mut exception);
    }
    let says_something = exception.value.as_deref().is_some_and(|text| !text.is_empty());
    if exception.exception_type.is_none() && !says_something && exception.stacktrace.is_none() {
        errors.note("missing_attribute", &at.key("type"), None);
        return None;
    }
    Some(exception)
}

/// `TypeError: foo` without a type is a `TypeError`.
fn split_type_from_value(exception: &mut Exception) {
    let Some((name, rest)) = exception.value.as_deref().and_then(|value| value.split_once(": ")) else { return };
    let is_type = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.len() <= 128
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    if is_type {
        let (name, rest) = (name.to_owned(), rest.trim_start().to_owned());
        exception.exception_type = Some(name);
        exception.value = Some(rest);
    }
}

fn thread_id(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<ThreadId> {
    if let Some(number) = value.as_i64() {
        return Some(ThreadId::Number(number));
    }
    errors.text(at, value, 128).map(ThreadId::Name)
}

fn mechanism(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<Mechanism> {
    let mut mechanism = Mechanism::default();
    for (key, value) in errors.object(at, value)? {
        if value.is_null() {
            continue;
        }
        let at = at.key(&key);
        match key.as_str() {
            "type" => mechanism.kind = errors.word(&at, value, 128).unwrap_or_default(),
            "handled" => mechanism.handled = errors.flag(&at, value),
            "synthetic" => mechanism.synthetic = errors.flag(&at, value).unwrap_or_default(),
            "description" => mechanism.description = errors.text(&at, value, 1024),
            "help_link" => mechanism.help_link = errors.text(&at, value, 1024),
            "data" => mechanism.data = DATA.read(errors, &at, value),
            "meta" => mechanism.meta = DATA.read(errors, &at, value),
            "exception_id" => mechanism.exception_id = errors.signed(&at, value),
            "parent_id" => mechanism.parent_id = errors.signed(&at, value),
            "is_exception_group" => mechanism.is_exception_group = errors.flag(&at, value).unwrap_or_default(),
            "source" => mechanism.source = errors.text(&at, value, 256),
            _ => {}
        }
    }
    if mechanism == Mechanism::default() {
        return None;
    }
    if mechanism.kind.is_empty() {
        "generic".clone_into(&mut mechanism.kind);
    }
    Some(mechanism)
}

/// All threads, as a list or wrapped. Of too many, those that tell something are kept.
pub(super) fn threads(
    errors: &mut Errors,
    at: &Path<'_>,
    value: Value,
    platform: &str,
    exceptions: &[Exception],
) -> Values<Thread> {
    let mut list = errors.values(at, value);
    let at = at.key("values");
    if list.len() > MAX_THREADS {
        errors.shortened(&at, list.len(), MAX_THREADS);
        let named: Vec<&ThreadId> = exceptions.iter().filter_map(|exception| exception.thread_id.as_ref()).collect();
        keep_telling(&mut list, &named);
    }
    let values = list
        .into_iter()
        .enumerate()
        .filter_map(|(index, value)| thread(errors, &at.index(index), value, platform))
        .collect();
    Values { values }
}

/// The crashed, current and main threads and those that exceptions name, and as many others as there is room for.
fn keep_telling(list: &mut Vec<Value>, named: &[&ThreadId]) {
    let is_telling = |thread: &Value| {
        ["crashed", "current", "main"].iter().any(|flag| thread.get(flag) == Some(&Value::Bool(true)))
            || thread.get("id").is_some_and(|id| named.iter().any(|named| is_id(named, id)))
    };
    let telling = list.iter().filter(|thread| is_telling(thread)).count().min(MAX_THREADS);
    let mut room = [MAX_THREADS - telling, telling];
    list.retain(|thread| {
        let [others, telling] = &mut room;
        let left = if is_telling(thread) { telling } else { others };
        let fits = *left > 0;
        *left = left.saturating_sub(1);
        fits
    });
}

fn is_id(id: &ThreadId, value: &Value) -> bool {
    match id {
        ThreadId::Number(number) => value.as_i64() == Some(*number),
        ThreadId::Name(name) => value.as_str() == Some(name),
    }
}

fn thread(errors: &mut Errors, at: &Path<'_>, value: Value, platform: &str) -> Option<Thread> {
    let mut thread = Thread::default();
    for (key, value) in errors.object(at, value)? {
        let at = at.key(&key);
        match key.as_str() {
            "id" => thread.id = thread_id(errors, &at, value),
            "name" => thread.name = errors.text(&at, value, 1024),
            "crashed" => thread.crashed = errors.flag(&at, value),
            "current" => thread.current = errors.flag(&at, value),
            "main" => thread.main = errors.flag(&at, value),
            "state" => thread.state = errors.word(&at, value, 64),
            "stacktrace" => thread.stacktrace = stacktrace(errors, &at, value, platform),
            "held_locks" => thread.held_locks = DATA.read(errors, &at, value),
            _ => {}
        }
    }
    (thread != Thread::default()).then_some(thread)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> (Vec<Exception>, Errors) {
        let mut errors = Errors::default();
        let list = exceptions(&mut errors, &Path::Root.key("exception"), value, "python");
        (list.values, errors)
    }

    #[test]
    fn every_wrapping_is_read() {
        for (value, count) in [
            (json!({"values": [{"type": "A"}, null, {"value": "b"}]}), 2),
            (json!([{"type": "A"}]), 1),
            (json!({"type": "A"}), 1),
            (json!({"values": []}), 0),
            (json!({}), 0),
            (json!(null), 0),
        ] {
            let (list, errors) = read(value.clone());
            assert_eq!(list.len(), count, "{value}");
            assert!(errors.list.is_empty());
        }
    }

    #[test]
    fn types_and_values_come_in_several_forms() {
        for (sent, exception_type, value) in [
            (json!({"value": "TypeError: foo"}), Some("TypeError"), Some("foo")),
            (json!({"value": "not: a type"}), None, Some("not: a type")),
            (json!({"value": "Note: x", "mechanism": {"synthetic": true}}), None, Some("Note: x")),
            (json!({"type": "A", "value": 42}), Some("A"), Some("42")),
            (json!({"type": "A", "value": {"b": 1}}), Some("A"), Some("{\"b\":1}")),
            (json!({"type": "A", "value": null}), Some("A"), None),
        ] {
            let (list, _) = read(json!([sent.clone()]));
            assert_eq!(
                (list[0].exception_type.as_deref(), list[0].value.as_deref()),
                (exception_type, value),
                "{sent}"
            );
        }
    }

    #[test]
    fn an_exception_that_says_nothing_is_dropped_with_a_note() {
        let (list, errors) = read(json!([{"module": "m"}, {"type": "A"}]));
        assert_eq!(list.len(), 1);
        assert_eq!(errors.list[0].kind, "missing_attribute");
        assert_eq!(errors.list[0].name.as_deref(), Some("exception.values.0.type"));
    }

    #[test]
    fn mechanisms_are_read_field_by_field() {
        let of = |value: Value| read(json!([{"type": "A", "mechanism": value}])).0.remove(0).mechanism;
        assert_eq!(of(json!("generic")), None);
        assert_eq!(of(json!({})), None);
        let generic = of(json!({"handled": true})).unwrap();
        assert_eq!((generic.kind.as_str(), generic.handled), ("generic", Some(true)));
        assert_eq!(of(json!({"type": "x", "handled": "false"})).unwrap().handled, None);
        let group = of(json!({"type": "chained", "exception_id": 1, "parent_id": 0, "is_exception_group": true, "source": "__cause__"})).unwrap();
        assert_eq!((group.exception_id, group.parent_id, group.is_exception_group), (Some(1), Some(0), true));
    }

    #[test]
    fn thread_ids_are_numbers_or_names() {
        let mut errors = Errors::default();
        let list =
            threads(&mut errors, &Path::Root, json!([{"id": 1, "crashed": true}, {"id": "main"}, {}]), "java", &[])
                .values;
        assert_eq!(list.len(), 2);
        assert_eq!(
            (list[0].id.clone(), list[1].id.clone()),
            (Some(ThreadId::Number(1)), Some(ThreadId::Name("main".to_owned())))
        );
    }

    #[test]
    fn of_too_many_threads_the_telling_ones_are_kept() {
        let mut list: Vec<Value> = (0..400).map(|id| json!({"id": id})).collect();
        list[300]["crashed"] = true.into();
        list[310]["current"] = true.into();
        list[320]["main"] = true.into();
        list[330]["crashed"] = false.into();
        list[340]["id"] = "worker".into();
        let payload = json!({"exception": [{"type": "A", "thread_id": 399}, {"type": "B", "thread_id": "worker"}],
            "threads": {"values": list}});
        let kept = crate::process::tests::event(&payload).threads.values;
        assert_eq!(kept.len(), MAX_THREADS);
        let ids: Vec<_> = kept.iter().rev().take(6).filter_map(|thread| thread.id.clone()).collect();
        let number = ThreadId::Number;
        let wanted =
            [number(399), ThreadId::Name("worker".to_owned()), number(320), number(310), number(300), number(250)];
        assert_eq!(ids, wanted);
        let all: Vec<Value> = (0..400).map(|id| json!({"id": id, "current": true})).collect();
        assert_eq!(crate::process::tests::event(&json!({"threads": all})).threads.values.len(), MAX_THREADS);
    }
}
