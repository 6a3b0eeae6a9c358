//! Contexts, SDK and debug images.

use serde_json::{Map, Value, json};

use super::databag::{CONTEXT, DATA};
use super::field::{Errors, Path};
use crate::process::user_agent;
use crate::protocol::Event;
use crate::protocol::event::{DebugMeta, Sdk, SdkPackage, SdkSettings};

const MAX_CONTEXTS: usize = 100;
const MAX_IMAGES: usize = 2000;
const MAX_PACKAGES: usize = 100;

/// Objects by name, each with a `type`.
pub(super) fn contexts(errors: &mut Errors, at: &Path<'_>, value: Value) -> Map<String, Value> {
    let mut contexts = Map::new();
    let sent = errors.object(at, value).unwrap_or_default();
    errors.shortened(at, sent.len(), MAX_CONTEXTS);
    for (name, value) in sent.into_iter().take(MAX_CONTEXTS) {
        let Some(mut context) = errors.object(&at.key(&name), value) else { continue };
        context.retain(|_, value| !value.is_null());
        if context.is_empty() {
            continue;
        }
        let mut context = CONTEXT.map(errors, &at.key(&name), context);
        if !context.get("type").is_some_and(Value::is_string) {
            context.insert("type".to_owned(), Value::String(name.clone()));
        }
        contexts.insert(name, Value::Object(context));
    }
    contexts
}

/// Adds what the `User-Agent` tells and no context does.
///
/// On a server the header describes the client, so its system is `client_os` there.
pub(super) fn add_from_user_agent(event: &mut Event, connection: Option<&str>) {
    let is_client = event.platform == "javascript";
    let header = event.request.as_ref().and_then(|request| request.header("User-Agent"));
    let Some(text) = header.or(connection.filter(|_| is_client)) else { return };
    let found = user_agent::parse(text);
    if let Some(browser) = found.browser {
        event.contexts.entry("browser").or_insert_with(|| described("browser", browser.name, browser.version));
    }
    if let Some(system) = found.system {
        let name = if is_client { "os" } else { "client_os" };
        event.contexts.entry(name).or_insert_with(|| described("os", system.name, system.version));
    }
}

fn described(kind: &str, name: &str, version: Option<String>) -> Value {
    let mut context = json!({"type": kind, "name": name});
    if let (Some(version), Some(map)) = (version, context.as_object_mut()) {
        map.insert("version".to_owned(), Value::String(version));
    }
    context
}

/// The SDK's description of itself.
pub(super) fn sdk(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<Sdk> {
    let mut sdk = Sdk::default();
    for (key, value) in errors.object(at, value)? {
        let at = at.key(&key);
        match key.as_str() {
            "name" => sdk.name = errors.word(&at, value, 128),
            "version" => sdk.version = errors.word(&at, value, 128),
            "packages" => sdk.packages = packages(errors, &at, value),
            "integrations" => sdk.integrations = errors.texts(&at, value, 128),
            "features" => sdk.features = errors.texts(&at, value, 128),
            "settings" => {
                let mut settings = errors.object(&at, value).unwrap_or_default();
                let infer_ip = settings.remove("infer_ip").unwrap_or_default();
                if let Some(infer_ip) = errors.word(&at.key("infer_ip"), infer_ip, 32) {
                    sdk.settings = Some(SdkSettings { infer_ip: Some(infer_ip) });
                }
            }
            _ => {}
        }
    }
    (sdk != Sdk::default()).then_some(sdk)
}

/// A list of objects; some SDKs send one object, or one below each name.
fn packages(errors: &mut Errors, at: &Path<'_>, value: Value) -> Vec<SdkPackage> {
    let list = match value {
        Value::Object(map) if map.contains_key("name") => vec![Value::Object(map)],
        Value::Object(map) => map.into_iter().map(|(_, package)| package).collect(),
        value => errors.list(at, value),
    };
    list.into_iter()
        .take(MAX_PACKAGES)
        .enumerate()
        .filter_map(|(index, value)| {
            let at = at.index(index);
            let mut map = errors.object(&at, value)?;
            let mut word = |key: &str| errors.word(&at.key(key), map.remove(key).unwrap_or_default(), 128);
            let package = SdkPackage { name: word("name"), version: word("version") };
            (package != SdkPackage::default()).then_some(package)
        })
        .collect()
}

/// Images one by one; those without a type are dropped.
pub(super) fn debug_meta(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<DebugMeta> {
    let mut meta = DebugMeta::default();
    for (key, value) in errors.object(at, value)? {
        let at = at.key(&key);
        match key.as_str() {
            "images" => {
                let list = errors.list(&at, value);
                errors.shortened(&at, list.len(), MAX_IMAGES);
                for (index, value) in list.into_iter().take(MAX_IMAGES).enumerate() {
                    let at = at.index(index);
                    let Some(mut image) = errors.object(&at, value) else { continue };
                    image.retain(|_, value| !value.is_null());
                    if image.get("type").is_some_and(Value::is_string) {
                        meta.images.push(DATA.map(errors, &at, image));
                    } else {
                        errors.note("missing_attribute", &at.key("type"), None);
                    }
                }
            }
            "sdk_info" => meta.sdk_info = DATA.read(errors, &at, value),
            _ => {}
        }
    }
    (meta != DebugMeta::default()).then_some(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_objects_with_a_type() {
        let mut errors = Errors::default();
        let read = contexts(
            &mut errors,
            &Path::Root.key("contexts"),
            json!({"runtime": {"name": "CPython"}, "mine": {"type": "x", "a": null}, "bad": 7, "list": [1], "empty": {}, "none": null}),
        );
        assert_eq!(
            Value::Object(read),
            json!({"runtime": {"name": "CPython", "type": "runtime"}, "mine": {"type": "x"}})
        );
        assert_eq!(errors.list.len(), 2);
    }

    #[test]
    fn sdk_packages_come_in_several_forms() {
        let wanted = vec![SdkPackage { name: Some("a".to_owned()), version: Some("1".to_owned()) }];
        for value in [
            json!([{"name": "a", "version": "1"}]),
            json!({"name": "a", "version": 1}),
            json!({"0": {"name": "a", "version": "1"}}),
        ] {
            let read = sdk(&mut Errors::default(), &Path::Root, json!({"name": "s", "packages": value})).unwrap();
            assert_eq!(read.packages, wanted);
        }
        assert_eq!(sdk(&mut Errors::default(), &Path::Root, json!("sentry.python")), None);
    }

    #[test]
    fn images_without_a_type_are_dropped_one_by_one() {
        let mut errors = Errors::default();
        let value = json!({"images": [{"type": "sourcemap", "code_file": "http://x/a.js", "debug_id": "d"}, {"debug_id": "e"}, null]});
        let read = debug_meta(&mut errors, &Path::Root.key("debug_meta"), value).unwrap();
        assert_eq!(read.images.len(), 1);
        assert_eq!(errors.list[0].name.as_deref(), Some("debug_meta.images.1.type"));
    }

    #[test]
    fn the_user_agent_fills_what_is_missing() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
        let request = json!({"url": "/", "headers": {"user-agent": chrome}});
        let server = crate::process::tests::event(
            &json!({"platform": "python", "request": request, "contexts": {"os": {"name": "Debian"}}}),
        );
        assert_eq!(server.contexts["browser"]["name"], "Chrome");
        assert_eq!(server.contexts["client_os"]["name"], "Linux");
        assert_eq!(server.contexts["os"]["name"], "Debian");
        let page = crate::process::tests::event(
            &json!({"platform": "javascript", "request": request, "contexts": {"browser": {"name": "Mine"}}}),
        );
        assert_eq!(page.contexts["browser"]["name"], "Mine");
        assert_eq!(page.contexts["os"]["name"], "Linux");
    }
}
