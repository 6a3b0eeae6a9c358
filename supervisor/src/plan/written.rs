//! The plan file's settings as they are written there, one by one: what a reload compares and shows.

use toml::de::{DeTable, DeValue};

/// Settings with their values, tables within tables joined by dots: `backoff.max_s` is `5`.
pub(super) type Written = Vec<(String, String)>;

/// All settings of a table.
pub(super) fn written(table: &DeTable<'_>) -> Written {
    let mut all = Vec::new();
    gather("", table, &mut all);
    all.sort();
    all
}

fn gather(path: &str, table: &DeTable<'_>, all: &mut Written) {
    for (key, value) in table {
        let key = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(table) => gather(&key, table, all),
            value => all.push((key, shown(value))),
        }
    }
}

/// A value, the same for the same meaning, whatever space or kind of quote it is written with.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(answer) => answer.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| shown(value.get_ref())).collect();
            format!("[{}]", values.join(", "))
        }
        DeValue::Table(table) => {
            let members: Vec<String> =
                table.iter().map(|(key, value)| format!("{} = {}", key.get_ref(), shown(value.get_ref()))).collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}
