//! Tags made from the event's other fields, so that they can be searched and counted like the client's own.

use serde_json::{Map, Value};

use super::normalise::tidy;
use crate::protocol::Event;

/// Contexts whose name and version make a tag.
const NAMED_CONTEXTS: [&str; 4] = ["runtime", "browser", "os", "client_os"];

/// Adds the derived tags. The event's own attributes replace a client's tag of that name; what is read from
/// contexts and the request does not.
pub(super) fn add(event: &mut Event) {
    let mut tags = Tags(std::mem::take(&mut event.tags));
    tags.set("level", event.level.as_str());
    for (key, value) in [
        ("environment", event.environment.as_deref()),
        ("release", event.release.as_deref()),
        ("dist", event.dist.as_deref()),
        ("transaction", event.transaction.as_deref()),
        ("logger", Some(event.logger.as_str())),
    ] {
        if let Some(value) = value {
            tags.set(key, value);
        }
    }
    if let Some(url) = event.request.as_ref().and_then(|request| request.url.as_deref()) {
        tags.add("url", url);
    }
    add_mechanism(&mut tags, event);
    for name in NAMED_CONTEXTS {
        add_named(&mut tags, &event.contexts, name);
    }
    if let Some(device) = context(&event.contexts, "device") {
        for (key, field) in [("device", "model"), ("device.family", "family")] {
            if let Some(value) = device.get(field).and_then(Value::as_str) {
                tags.add(key, value);
            }
        }
    }
    event.tags = tags.0;
}

fn add_mechanism(tags: &mut Tags, event: &Event) {
    let mechanisms = || event.exception.values.iter().filter_map(|exception| exception.mechanism.as_ref());
    if let Some(main) = mechanisms().next_back() {
        tags.add("mechanism", &main.kind);
    }
    if mechanisms().any(|mechanism| mechanism.handled == Some(false)) {
        tags.add("handled", "no");
    } else if mechanisms().any(|mechanism| mechanism.handled == Some(true)) {
        tags.add("handled", "yes");
    }
}

/// `os`: name and version; `os.name`: the name.
fn add_named(tags: &mut Tags, contexts: &Map<String, Value>, key: &str) {
    let Some(named) = context(contexts, key) else { return };
    let Some(name) = named.get("name").and_then(Value::as_str) else { return };
    match named.get("version").and_then(Value::as_str) {
        Some(version) => tags.add(key, &format!("{name} {version}")),
        None => tags.add(key, name),
    }
    tags.add(&format!("{key}.name"), name);
}

fn context<'a>(contexts: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    contexts.get(name)?.as_object()
}

struct Tags(Vec<(String, String)>);

impl Tags {
    /// Whatever the client says.
    fn set(&mut self, key: &str, value: &str) {
        let Some(value) = tidy(value.to_owned()) else { return };
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Unless the client says something else.
    fn add(&mut self, key: &str, value: &str) {
        if !self.0.iter().any(|(known, _)| known == key)
            && let Some(value) = tidy(value.to_owned())
        {
            self.0.push((key.to_owned(), value));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    fn tag(payload: &serde_json::Value, key: &str) -> Option<String> {
        let tags = crate::process::tests::processed(payload).tags;
        tags.into_iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    #[test]
    fn attributes_interfaces_and_contexts_become_tags() {
        let payload = json!({
            "platform": "java", "level": "warning", "environment": "prod", "release": "a@1", "dist": "7", "logger": "web",
            "server_name": "web-1", "transaction": "/x", "request": {"url": "http://x/y?z=1"},
            "exception": [{"type": "A", "mechanism": {"type": "chained", "handled": true}}, {"type": "B", "mechanism": {"type": "spring", "handled": false}}],
            "contexts": {"runtime": {"name": "JVM", "version": "21"}, "os": {"name": "Linux"}, "browser": {"name": "Chrome", "version": "126"},
                "device": {"model": "Pixel 8", "family": "Pixel"}},
            "tags": {"level": "mine", "os.name": "mine"},
        });
        for (key, value) in [
            ("level", "warning"),
            ("environment", "prod"),
            ("release", "a@1"),
            ("dist", "7"),
            ("logger", "web"),
            ("server_name", "web-1"),
            ("transaction", "/x"),
            ("url", "http://x/y"),
            ("handled", "no"),
            ("mechanism", "spring"),
            ("runtime", "JVM 21"),
            ("runtime.name", "JVM"),
            ("os", "Linux"),
            ("os.name", "mine"),
            ("browser", "Chrome 126"),
            ("browser.name", "Chrome"),
            ("device", "Pixel 8"),
            ("device.family", "Pixel"),
        ] {
            assert_eq!(tag(&payload, key).as_deref(), Some(value), "{key}");
        }
        assert_eq!(tag(&payload, "user"), None);
    }

    #[test]
    fn a_tag_fills_in_the_environment() {
        let processed = crate::process::tests::processed(&json!({"tags": {"environment": "dev"}}));
        assert_eq!(processed.environment.as_deref(), Some("dev"));
        assert_eq!(processed.tags.iter().filter(|(key, _)| key == "environment").count(), 1);
        assert_eq!(
            tag(&json!({"tags": {"environment": "dev"}, "environment": "prod"}), "environment").as_deref(),
            Some("prod")
        );
    }
}
