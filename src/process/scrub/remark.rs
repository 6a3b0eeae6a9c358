//! Remarks about what was taken out: in the event's `_meta`, beside those of the client and in their form.

use serde_json::{Map, Value, json};

use crate::process::meta;
pub(super) use crate::process::path::Path;

/// More than this says nothing new.
const MAX_REMARKS: usize = 100;

/// What was taken out so far.
#[derive(Default)]
pub(super) struct Remarks {
    list: Vec<(Vec<String>, Map<String, Value>)>,
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
        let mut remark = Map::from_iter([("rem".to_owned(), json!([[rule, "s"]]))]);
        if let Some(length) = length {
            remark.insert("len".to_owned(), length.into());
        }
        self.list.push((at.segments(), remark));
    }

    /// Adds the remarks to the tree.
    pub(super) fn write(self, meta: &mut Map<String, Value>) {
        for (path, remark) in self.list {
            meta::add(meta, &path, remark);
        }
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
                    "cut": {"": {"len": 9, "rem": [["@token", "s"]]}},
                },
                "odd": 1,
            })
        );
    }
}
