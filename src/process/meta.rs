//! The event's `_meta`: a tree of the names of fields, in which `""` stands for the field itself and holds what there is to
//! say of it. `err` are reasons why a value is missing, `val` what it was, `rem` what changed it, `len` how long it was.

use serde_json::{Map, Value};

/// Entries of one list of reasons or changes; more say nothing new.
const MAX_ENTRIES: usize = 20;
/// Bytes of a path. Names that are longer are made up.
const MAX_PATH: usize = 1024;

/// Adds a remark to the tree. What another one, perhaps of the client, says already stays; lists grow.
pub(super) fn add(meta: &mut Map<String, Value>, path: &[String], remark: Map<String, Value>) {
    let is_possible = path.iter().all(|segment| !segment.is_empty());
    if is_possible && path.iter().map(String::len).sum::<usize>() <= MAX_PATH {
        place(meta, path, remark);
    }
}

fn place(node: &mut Map<String, Value>, path: &[String], remark: Map<String, Value>) {
    let segment = path.first().map_or("", String::as_str);
    let child = node.entry(segment).or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(child) = child else { return };
    match path.split_first() {
        Some((_, rest)) => place(child, rest, remark),
        None => merge(child, remark),
    }
}

fn merge(known: &mut Map<String, Value>, remark: Map<String, Value>) {
    for (key, value) in remark {
        match (known.get_mut(&key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => {
                list.extend(more.into_iter().take(MAX_ENTRIES.saturating_sub(list.len())));
            }
            (Some(known), _) if !known.is_null() => {}
            (_, value) => {
                known.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("{value}") };
        map
    }

    #[test]
    fn remarks_join_those_of_the_client() {
        let mut meta =
            object(json!({"a": {"": {"err": ["theirs"], "val": 1, "len": null}}, "odd": 1, "text": {"": "x"}}));
        for path in [vec!["a"], vec!["a", "b"], vec!["odd", "a"], vec!["text"], vec![""], vec!["x", "", "y"]] {
            let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
            add(&mut meta, &path, object(json!({"err": ["ours"], "val": 2, "len": 3})));
        }
        let ours = json!({"err": ["ours"], "val": 2, "len": 3});
        assert_eq!(
            Value::Object(meta),
            json!({
                "a": {"": {"err": ["theirs", "ours"], "val": 1, "len": 3}, "b": {"": ours}},
                "odd": 1,
                "text": {"": "x"},
            })
        );
    }

    #[test]
    fn remarks_are_bounded() {
        let mut meta = Map::new();
        for _ in 0..100 {
            add(&mut meta, &["a".to_owned()], object(json!({"rem": [["!limit", "x"]]})));
        }
        assert_eq!(meta["a"][""]["rem"].as_array().unwrap().len(), MAX_ENTRIES);
        add(&mut meta, &["b".repeat(MAX_PATH + 1)], object(json!({"len": 1})));
        assert_eq!(meta.len(), 1);
    }
}
