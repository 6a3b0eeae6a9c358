//! Where a text, or a named value, may be in an event.

use serde_json::{Map, Value, json};

/// An event with a text at some place.
type PlantText = fn(&str) -> Value;
/// An event with a named value at some place.
type PlantNamed = fn(&str, &Value) -> Value;

/// An event with a text in each place but one: the names of the places, and how the text gets there.
pub(super) const TEXTS: [(&str, PlantText); 22] = [
    ("exception value", |text| json!({"exception": [{"type": "E", "value": text}]})),
    ("exception type", |text| json!({"exception": [{"type": text, "value": "v"}]})),
    ("message", |text| json!({"message": text})),
    ("logentry", |text| json!({"logentry": {"formatted": text, "message": "template"}})),
    ("parameter", |text| json!({"logentry": {"message": "failed: %s", "params": [text]}})),
    ("transaction", |text| json!({"transaction": text})),
    ("breadcrumb message", |text| json!({"breadcrumbs": [{"message": text}]})),
    ("breadcrumb data", |text| json!({"breadcrumbs": [{"data": {"note": text}}]})),
    ("extra", |text| json!({"extra": {"note": text}})),
    ("deep in extra", |text| json!({"extra": {"a": {"b": [{"c": [text]}]}}})),
    ("as JSON in extra", |text| json!({"extra": {"a": {"b": {"c": {"d": {"e": {"f": {"g": [text]}}}}}}}})),
    ("context", |text| json!({"contexts": {"state": {"note": text}}})),
    (
        "frame variable",
        |text| json!({"exception": [{"type": "E", "stacktrace": {"frames": [{"function": "f", "vars": {"x": text}}]}}]}),
    ),
    (
        "thread's frame",
        |text| json!({"threads": [{"id": 1, "stacktrace": {"frames": [{"function": "f", "vars": {"x": text}}]}}]}),
    ),
    (
        "mechanism",
        |text| json!({"exception": [{"type": "E", "mechanism": {"type": "m", "description": text, "data": {"x": text}}}]}),
    ),
    ("tag", |text| json!({"tags": {"note": text}})),
    ("header", |text| json!({"request": {"url": "/", "headers": {"X-Note": text}}})),
    ("query", |text| json!({"request": {"url": "/", "query_string": {"note": text}}})),
    ("fragment", |text| json!({"request": {"url": "/", "fragment": text}})),
    ("body", |text| json!({"request": {"url": "/", "data": {"note": text}}})),
    ("user", |text| json!({"user": {"username": text, "data": {"note": text}}})),
    ("fingerprint", |text| json!({"fingerprint": [text], "message": "m"})),
];

fn one(name: &str, value: &Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value.clone())]))
}

/// The same for a named value.
pub(super) const NAMES: [(&str, PlantNamed); 18] = [
    ("extra", |name, value| json!({"extra": one(name, value)})),
    ("environment of the process", |name, value| json!({"extra": {"environ": one(name, value)}})),
    ("list in extra", |name, value| json!({"extra": {"list": [one(name, value)]}})),
    ("pairs in extra", |name, value| json!({"extra": {"pairs": [[name, value]]}})),
    ("name and value in extra", |name, value| json!({"extra": {"list": [{"name": name, "value": value}]}})),
    ("context", |name, value| json!({"contexts": {"state": one(name, value)}})),
    ("span data", |name, value| json!({"contexts": {"trace": {"data": one(name, value)}}})),
    (
        "frame variables",
        |name, value| json!({"exception": [{"type": "E", "stacktrace": {"frames": [{"function": "f", "vars": one(name, value)}]}}]}),
    ),
    (
        "mechanism data",
        |name, value| json!({"exception": [{"type": "E", "mechanism": {"type": "m", "data": one(name, value)}}]}),
    ),
    ("breadcrumb data", |name, value| json!({"breadcrumbs": [{"data": one(name, value)}]})),
    ("tags", |name, value| json!({"tags": one(name, value)})),
    ("tag pairs", |name, value| json!({"tags": [[name, value]]})),
    ("query", |name, value| json!({"request": {"url": "/", "query_string": one(name, value)}})),
    ("body", |name, value| json!({"request": {"url": "/", "data": one(name, value)}})),
    ("body as text", |name, value| json!({"request": {"url": "/", "data": one(name, value).to_string()}})),
    ("server's variables", |name, value| json!({"request": {"url": "/", "env": one(name, value)}})),
    ("user data", |name, value| json!({"user": {"id": "7", "data": one(name, value)}})),
    (
        "named parameter",
        |name, value| json!({"logentry": {"message": "got %(x)s", "formatted": "got it", "params": one(name, value)}}),
    ),
];

/// Places whose names have a form of their own.
pub(super) const SPECIAL_NAMES: [(&str, PlantNamed); 2] = [
    ("cookies", |name, value| json!({"request": {"url": "/", "cookies": one(name, value)}})),
    ("headers", |name, value| json!({"request": {"url": "/", "headers": one(name, value)}})),
];
