//! Attributes of logs and spans: names with plain values.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::process::normalise::attribute;
use crate::process::normalise::field::{Errors, Path, cut};
use crate::protocol::Stamp;

/// Attributes of one record or span.
const MAX_ATTRIBUTES: usize = 256;

/// Characters of a name.
const MAX_NAME: usize = 200;

/// Characters of a text, and entries of a list.
const MAX_TEXT: usize = 4_096;
const MAX_LIST: usize = 100;

/// Attributes being collected, at most so many and so long.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    map: Map<String, Value>,
}

impl Attributes {
    /// From `{name: {"type", "value"}}`.
    pub(super) fn of_typed(object: Map<String, Value>) -> Self {
        let mut attributes = Self::default();
        for (name, mut typed) in object {
            // Some SDKs of old send the value itself.
            let value =
                if typed.is_object() { typed.get_mut("value").map(Value::take).unwrap_or_default() } else { typed };
            attributes.set(&name, value);
        }
        attributes
    }

    /// Adds one unless it is there, or there are enough. Objects and `null` are none.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        let name = name.trim();
        if name.is_empty() || self.map.len() >= MAX_ATTRIBUTES || self.map.contains_key(name) {
            return;
        }
        if let Some(value) = plain(value) {
            self.map.insert(cut(name.to_owned(), MAX_NAME), value);
        }
    }

    /// Adds all members of an object, their names behind `prefix`.
    pub(super) fn set_all(&mut self, prefix: &str, object: Value) {
        if let Value::Object(object) = object {
            for (name, value) in object {
                self.set(&format!("{prefix}{name}"), value);
            }
        }
    }

    /// Takes a text out.
    pub(super) fn take_word(&mut self, name: &str) -> Option<String> {
        let value = self.map.remove(name)?;
        Errors::default().word(&Path::Root, value, MAX_TEXT)
    }

    /// Takes the release out.
    pub(super) fn take_release(&mut self) -> Option<String> {
        let value = self.map.remove("sentry.release")?;
        attribute::release(&mut Errors::default(), &Path::Root, value)
    }

    /// Takes the environment out.
    pub(super) fn take_environment(&mut self) -> Option<String> {
        let value = self.map.remove("sentry.environment")?;
        attribute::environment(&mut Errors::default(), &Path::Root, value)
    }

    /// Fills in what only the server knows, as far as the SDK wants that (`ingest_settings`), and takes out what stands for
    /// it (`{{auto}}`) where it is not known or not wanted. `ip` is whose address is taken for the user's.
    pub(super) fn infer(&mut self, settings: &Map<String, Value>, stamp: &Stamp, ip: Option<IpAddr>) {
        let is_auto = |key: &str| settings.get(key).and_then(Value::as_str) == Some("auto");
        let may_stand = settings.get("infer_ip").is_none_or(Value::is_null) || is_auto("infer_ip");
        let mut wants_ip = is_auto("infer_ip");
        for name in ["user.ip_address", "client.address"] {
            if self.map.get(name).and_then(Value::as_str) == Some("{{auto}}") {
                self.map.remove(name);
                wants_ip |= may_stand;
            }
        }
        if wants_ip && let Some(ip) = ip {
            self.set("user.ip_address", ip.to_string().into());
        }
        if is_auto("infer_user_agent")
            && let Some(agent) = &stamp.user_agent
        {
            self.set("user_agent.original", agent.clone().into());
        }
    }

    /// What has been collected.
    pub(super) fn into_map(self) -> Map<String, Value> {
        self.map
    }
}

/// A scalar, or a list of such, within the limits.
fn plain(value: Value) -> Option<Value> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::String(text) => Some(cut(text, MAX_TEXT).into()),
        Value::Array(list) => {
            let scalars = list.into_iter().take(MAX_LIST).filter(|one| !one.is_array() && !one.is_object());
            Some(scalars.filter_map(plain).collect())
        }
        scalar => Some(scalar),
    }
}
