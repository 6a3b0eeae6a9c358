//! One JSON object a line: `ts`, `level`, `svc`, `msg`, then whatever else the service said.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::format::{Stamp, guess_level};
use crate::state::Level;

/// The members of an object, in their order and as they were written.
struct Fields<'l>(Vec<(String, &'l RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'l> Fields<'l> {
    fn of(text: &'l str) -> Option<Self> {
        if text.starts_with('{') { serde_json::from_str(text).ok() } else { None }
    }

    /// Takes out the first of these that is there and a text.
    fn text(&mut self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| {
            let place = self.0.iter().position(|(key, value)| key == name && value.get().starts_with('"'))?;
            serde_json::from_str(self.0.remove(place).1.get()).ok()
        })
    }

    /// Takes out a level: a text, or one of the numbers that bunyan and pino write.
    fn level(&mut self) -> Option<String> {
        if let Some(word) = self.text(&["level"]) {
            return Some(word.to_ascii_lowercase());
        }
        let place = self.0.iter().position(|(key, _)| key == "level")?;
        let name = match self.0.get(place)?.1.get() {
            "10" => "trace",
            "20" => "debug",
            "30" => "info",
            "40" => "warn",
            "50" => "error",
            "60" => "fatal",
            _ => return None,
        };
        self.0.remove(place);
        Some(name.to_owned())
    }

    /// What `tracing` nests beside its message stands with the rest.
    fn flatten(&mut self) {
        let Some(place) = self.0.iter().position(|(key, _)| key == "fields") else { return };
        let nested = self.0.get(place).and_then(|(_, value)| Fields::of(value.get()));
        if let Some(nested) = nested.filter(|nested| nested.0.iter().any(|(key, _)| key == "message")) {
            self.0.splice(place..=place, nested.0);
        }
    }
}

/// Appends a line of the supervisor's output, end included. A service that logs JSON itself keeps its fields; what is
/// missing is added; what it has under a name of ours that cannot stand there gets `svc_` before its name. `level` is known of our own lines and guessed for the others.
pub(super) fn json_line(to: &mut Vec<u8>, stamp: &Stamp, service: &str, level: Option<Level>, text: &str) {
    let own = Fields::of(text);
    let mut fields = own.unwrap_or(Fields(Vec::new()));
    let is_plain = fields.0.is_empty();
    fields.flatten();
    let time = fields.text(&["ts", "timestamp", "time"]);
    let word = fields.level();
    let message = if is_plain { None } else { Some(fields.text(&["msg", "message"]).unwrap_or_default()) };
    let word = word.unwrap_or_else(|| level.unwrap_or_else(|| guess_level(text)).name().to_owned());
    let texts = [
        ("{\"ts\":", time.as_deref().unwrap_or(stamp.as_str())),
        (",\"level\":", &word),
        (",\"svc\":", service),
        (",\"msg\":", message.as_deref().unwrap_or(text)),
    ];
    for (name, value) in texts {
        to.extend_from_slice(name.as_bytes());
        put_text(to, value);
    }
    for (name, value) in fields.0 {
        let is_ours = ["ts", "level", "svc", "msg"].contains(&name.as_str());
        to.push(b',');
        put_text(to, &if is_ours { format!("svc_{name}") } else { name });
        to.push(b':');
        to.extend_from_slice(value.get().as_bytes());
    }
    to.extend_from_slice(b"}\n");
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    // Writing a text into memory cannot fail.
    let _ = serde_json::to_writer(to, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        let mut line = Vec::new();
        json_line(&mut line, &Stamp::of_millis(1_795_191_600_123), "web", Some(Level::Warn), text);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_plain_line_becomes_an_object() {
        let expected = r#"{"ts":"2026-11-20T16:20:00.123Z","level":"warn","svc":"web","msg":"say \"hi\"\u0000"}"#;
        assert_eq!(line("say \"hi\"\0"), format!("{expected}\n"));
        for text in ["{broken", "{}", "{\"a\":1} and more", ""] {
            let value: serde_json::Value = serde_json::from_str(&line(text)).unwrap();
            assert_eq!(value["msg"], text);
        }
    }

    #[test]
    fn an_object_keeps_its_fields_in_their_order_after_the_four_that_all_have() {
        assert_eq!(
            line(r#"{"z":1e400,"message":"m","level":"ERROR","svc":"x","a":{"b":[1, 2]},"time":5,"ts":"T"}"#),
            "{\"ts\":\"T\",\"level\":\"error\",\"svc\":\"web\",\"msg\":\"m\",\"z\":1e400,\"svc_svc\":\"x\",\"a\":{\"b\":[1, 2]},\"time\":5}\n"
        );
        assert_eq!(
            line(r#"{"timestamp":"T","level":"INFO","fields":{"message":"m","project.id":1},"target":"x"}"#),
            "{\"ts\":\"T\",\"level\":\"info\",\"svc\":\"web\",\"msg\":\"m\",\"project.id\":1,\"target\":\"x\"}\n"
        );
        assert_eq!(
            line(r#"{"level":50,"time":1532081790743,"ts":1.5,"msg":{"a":1}}"#),
            "{\"ts\":\"2026-11-20T16:20:00.123Z\",\"level\":\"error\",\"svc\":\"web\",\"msg\":\"\",\"time\":1532081790743,\"svc_ts\":1.5,\"svc_msg\":{\"a\":1}}\n"
        );
        let value: serde_json::Value = serde_json::from_str(&line(r#"{"level":7,"message":"m"}"#)).unwrap();
        assert_eq!((&value["level"], &value["svc_level"], &value["msg"]), (&"warn".into(), &7.into(), &"m".into()));
        let value: serde_json::Value = serde_json::from_str(&line(r#"{"n":1}"#)).unwrap();
        assert_eq!((&value["msg"], &value["n"]), (&"".into(), &1.into()));
    }
}
