//! Remarks about what was taken out: in the event's `_meta`, beside those of the client and in their form.

use serde_json::{Map, Value, json};

/// More than this says nothing new.
const MAX_REMARKS: usize = 100;

/// Where in the event we are. Made on the stack, written out only for a remark.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The event.
    Root,
    /// A member of an object.
    Key(&'a Path<'a>, &'a str),
    /// A member of a list.
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    pub(super) fn key<'a>(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    pub(super) fn index(&self, index: usize) -> Path<'_> {
        Path::Index(self, index)
    }

    /// True for a field that holds a version, by its name.
    pub(super) fn is_version(&self) -> bool {
        matches!(self, Self::Key(_, key) if key.to_ascii_lowercase().contains("version"))
    }

    fn segments(&self) -> Vec<String> {
        match self {
            Self::Root => Vec::new(),
            Self::Key(parent, key) => [parent.segments(), vec![(*key).to_owned()]].concat(),
            Self::Index(parent, index) => [parent.segments(), vec![index.to_string()]].concat(),
        }
    }
}

/// What was taken out so far.
#[derive(Default)]
pub(super) struct Remarks {
    list: Vec<(Vec<String>, Value)>,
}

impl Remarks {
    /// The rule that takes addresses out.
    pub(super) const ADDRESS: &str = "@ip";

    /// Notes which rule changed a field, and how many characters it had if it was a text.
    pub(super) fn note(&mut self, at: &Path<'_>, rule: &str, length: Option<usize>) {
        if self.list.len() >= MAX_REMARKS {
            return;
        }
        // `s`: something else stands in its place.
        let mut remark = json!({"rem": [[rule, "s"]]});
        if let (Some(length), Some(map)) = (length, remark.as_object_mut()) {
            map.insert("len".to_owned(), length.into());
        }
        self.list.push((at.segments(), remark));
    }

    /// Adds the remarks to the tree, in which `""` stands for the field itself. A remark that is there stays.
    pub(super) fn write(self, meta: &mut Map<String, Value>) {
        for (path, remark) in self.list {
            place(meta, &path, remark);
        }
    }
}

fn place(node: &mut Map<String, Value>, path: &[String], remark: Value) {
    let Some((segment, rest)) = path.split_first() else {
        node.entry("").or_insert(remark);
        return;
    };
    let child = node.entry(segment.as_str()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(map) = child {
        place(map, rest, remark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_join_those_of_the_client() {
        let mut remarks = Remarks::default();
        let extra = Path::Root.key("extra");
        remarks.note(&extra.key("password"), "@password", Some(7));
        remarks.note(&extra.key("list").index(1), "@token", None);
        remarks.note(&extra.key("cut"), "@token", None);
        remarks.note(&Path::Root.key("odd").key("a"), "@token", None);
        let mut meta = json!({"extra": {"cut": {"": {"len": 9}}}, "odd": 1});
        remarks.write(meta.as_object_mut().unwrap());
        assert_eq!(
            meta,
            json!({
                "extra": {
                    "password": {"": {"rem": [["@password", "s"]], "len": 7}},
                    "list": {"1": {"": {"rem": [["@token", "s"]]}}},
                    "cut": {"": {"len": 9}},
                },
                "odd": 1,
            })
        );
    }
}
