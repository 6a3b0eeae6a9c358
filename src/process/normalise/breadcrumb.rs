//! Breadcrumbs.

use serde_json::Value;

use super::attribute::level;
use super::clock::Clock;
use super::databag::DATA;
use super::field::{Errors, Path};
use crate::protocol::Level;
use crate::protocol::event::{Breadcrumb, Values};

/// The last ones are kept.
const MAX_BREADCRUMBS: usize = 100;
const MAX_MESSAGE: usize = 8192;

/// A list, bare or wrapped; oldest first as sent.
pub(super) fn breadcrumbs(errors: &mut Errors, at: &Path<'_>, value: Value, clock: &Clock) -> Values<Breadcrumb> {
    let mut list = errors.values(at, value);
    let at = at.key("values");
    errors.shortened(&at, list.len(), MAX_BREADCRUMBS);
    let surplus = list.len().saturating_sub(MAX_BREADCRUMBS);
    list.drain(..surplus);
    let values = list
        .into_iter()
        .enumerate()
        .filter_map(|(index, value)| breadcrumb(errors, &at.index(index), value, clock))
        .collect();
    Values { values }
}

fn breadcrumb(errors: &mut Errors, at: &Path<'_>, value: Value, clock: &Clock) -> Option<Breadcrumb> {
    let map = errors.object(at, value)?;
    if map.is_empty() {
        return None;
    }
    let mut breadcrumb = Breadcrumb {
        timestamp: None,
        kind: String::new(),
        category: None,
        level: Level::Info,
        message: None,
        data: serde_json::Map::new(),
        event_id: None,
    };
    for (key, value) in map {
        if value.is_null() {
            continue;
        }
        let at = at.key(&key);
        match key.as_str() {
            "timestamp" => breadcrumb.timestamp = clock.time(errors, &at, value),
            "type" => breadcrumb.kind = errors.word(&at, value, 128).unwrap_or_default(),
            "category" => breadcrumb.category = errors.text(&at, value, 256),
            "level" => breadcrumb.level = level(errors, &at, value).unwrap_or(Level::Info),
            "message" => breadcrumb.message = errors.text(&at, value, MAX_MESSAGE),
            "data" => breadcrumb.data = DATA.read(errors, &at, value),
            "event_id" => breadcrumb.event_id = errors.word(&at, value, 36),
            _ => {}
        }
    }
    if breadcrumb.kind.is_empty() {
        "default".clone_into(&mut breadcrumb.kind);
    }
    Some(breadcrumb)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_read_in_both_wrappings_and_members_are_mended() {
        let clock = Clock::new(&crate::process::tests::stamp());
        for wrapped in [false, true] {
            let list = json!([
                {"timestamp": 1_763_649_094.5, "type": "http", "level": "warn", "data": {"url": "/"}, "category": "xhr"},
                {"message": 7, "level": "loud", "data": []},
                null,
                "junk",
                {},
            ]);
            let value = if wrapped { json!({"values": list}) } else { list };
            let mut errors = Errors::default();
            let crumbs = breadcrumbs(&mut errors, &Path::Root.key("breadcrumbs"), value, &clock).values;
            assert_eq!(crumbs.len(), 2);
            assert_eq!((crumbs[0].kind.as_str(), crumbs[0].level), ("http", Level::Warning));
            assert!(crumbs[0].timestamp.is_some());
            assert_eq!(
                (crumbs[1].kind.as_str(), crumbs[1].level, crumbs[1].message.as_deref()),
                ("default", Level::Info, Some("7"))
            );
            assert_eq!(errors.list[0].name.as_deref(), Some("breadcrumbs.values.1.level"));
            assert_eq!(errors.list[1].name.as_deref(), Some("breadcrumbs.values.3"));
        }
    }

    #[test]
    fn the_last_hundred_are_kept() {
        let clock = Clock::new(&crate::process::tests::stamp());
        let list: Vec<Value> = (0..150).map(|number| json!({"message": number.to_string()})).collect();
        let crumbs = breadcrumbs(&mut Errors::default(), &Path::Root, json!(list), &clock).values;
        assert_eq!((crumbs.len(), crumbs[0].message.as_deref()), (100, Some("50")));
    }
}
