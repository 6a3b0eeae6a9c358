//! The shape of a log line.

use std::fmt;

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// `TIME LEVEL SERVICE: message key=value`, or `{"ts","level","svc","msg",...}`.
pub(super) struct LineFormat {
    pub(super) service: &'static str,
    pub(super) json: bool,
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let level = event.metadata().level();
        if self.json {
            let mut line = Map::new();
            line.insert("ts".to_owned(), time.into());
            line.insert("level".to_owned(), level.as_str().to_ascii_lowercase().into());
            line.insert("svc".to_owned(), self.service.into());
            line.insert("msg".to_owned(), fields.message.into());
            line.extend(fields.others);
            return writeln!(writer, "{}", Value::Object(line));
        }
        write!(writer, "{time} {level:5} {}: {}", self.service, one_line(&fields.message))?;
        for (name, value) in fields.others {
            match value {
                Value::String(text) => write!(writer, " {name}={}", one_line(&text))?,
                other => write!(writer, " {name}={other}")?,
            }
        }
        writeln!(writer)
    }
}

/// Line ends would tear a line apart, and other control characters could deceive a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
