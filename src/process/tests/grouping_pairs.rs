//! How well bugs are told apart, and one bug kept together: pairs of events that people have labelled.
//!
//! Each file in `tests/fixtures/grouping` holds events as SDKs send them and pairs: an event and the same event after a
//! small edit (or another of the file's events), with what they are, the `same` bug or `different` ones, and why.
//! Labels were written before the grouping was run on them; a pair that comes out wrong stays, with its label. The pairs
//! of `held_out.json` were written when the rules stood, those of `held_out_later.json` after what the former had shown was
//! mended, and those of `held_out_last.json` by somebody who did not know the rules: none has been made for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::captures::incoming;
use super::*;

const MIN_PRECISION: f64 = 0.95;
const MIN_RECALL: f64 = 0.90;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    platform: String,
    events: BTreeMap<String, Value>,
    pairs: Vec<Pair>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Label {
    Same,
    Different,
}

/// An event and its fellow. The edits are made in the order of their fields; each must change something.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    of: String,
    /// The fellow is another event of the file.
    and: Option<String>,
    is: Label,
    why: String,
    /// Fields of frames of the crash's stack, by number; from the crash's end if negative. `null` takes a field away.
    #[serde(default)]
    frame: BTreeMap<i64, Value>,
    /// Frames taken away, the last named first.
    #[serde(default)]
    drop: Vec<usize>,
    /// Frames put in front of a number.
    #[serde(default)]
    insert: BTreeMap<usize, Vec<Value>>,
    /// Added to every line and column.
    #[serde(default)]
    shift: u64,
    /// Of the last exception.
    value: Option<String>,
    /// Of the last exception.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Replaced in every text of the event.
    #[serde(default)]
    text: BTreeMap<String, String>,
    /// Merged into the event; `null` takes a field away, a list replaces a list.
    event: Option<Value>,
}

type Edit<'a> = Box<dyn Fn(&mut Value) + 'a>;

impl Corpus {
    fn payload(&self, name: &str) -> Value {
        let mut event = self.events[name].clone();
        if let Some(file) = event["capture"].as_str() {
            return serde_json::from_slice(&incoming(file).1).unwrap();
        }
        let fields = event.as_object_mut().unwrap();
        fields.entry("platform").or_insert_with(|| self.platform.clone().into());
        event
    }
}

impl Corpus {
    /// The events that are the same bug as one, by a pair or by several in a row.
    fn same_as<'c>(&'c self, name: &'c str) -> BTreeSet<&'c str> {
        let mut found = BTreeSet::from([name]);
        let same = || self.pairs.iter().filter(|pair| pair.is == Label::Same);
        loop {
            let known = found.len();
            for pair in same() {
                let Some(other) = pair.and.as_deref() else { continue };
                if found.contains(other) || found.contains(pair.of.as_str()) {
                    found.extend([other, pair.of.as_str()]);
                }
            }
            if found.len() == known {
                return found;
            }
        }
    }
}

impl Pair {
    fn fellow(&self, corpus: &Corpus) -> Value {
        let mut event = corpus.payload(self.and.as_ref().unwrap_or(&self.of));
        let mut edits: Vec<Edit<'_>> = Vec::new();
        for (index, patch) in &self.frame {
            edits.push(Box::new(move |event: &mut Value| {
                let frames = frames(event);
                let index = if *index < 0 { i64::try_from(frames.len()).unwrap() + index } else { *index };
                merge(&mut frames[usize::try_from(index).unwrap()], patch);
            }));
        }
        for index in self.drop.iter().rev() {
            edits.push(Box::new(move |event: &mut Value| drop(frames(event).remove(*index))));
        }
        for (index, more) in &self.insert {
            edits.push(Box::new(move |event: &mut Value| {
                drop(frames(event).splice(*index..*index, more.iter().cloned()));
            }));
        }
        if self.shift > 0 {
            edits.push(Box::new(move |event: &mut Value| shift(event, self.shift)));
        }
        for (key, text) in [("value", &self.value), ("type", &self.kind)] {
            if let Some(text) = text {
                edits.push(Box::new(move |event: &mut Value| {
                    exceptions(event).last_mut().unwrap()[key] = text.as_str().into();
                }));
            }
        }
        for (old, new) in &self.text {
            edits.push(Box::new(move |event: &mut Value| replace(event, old, new)));
        }
        if let Some(patch) = &self.event {
            edits.push(Box::new(move |event: &mut Value| merge(event, patch)));
        }
        assert_eq!(self.and.is_none(), !edits.is_empty(), "{}: {}", self.of, self.why);
        for edit in edits {
            let before = event.clone();
            edit(&mut event);
            assert_ne!(before, event, "an edit of this pair changes nothing: {}: {}", self.of, self.why);
        }
        event
    }
}

fn exceptions(event: &mut Value) -> &mut Vec<Value> {
    let name = if event["exception"].is_null() { "sentry.interfaces.Exception" } else { "exception" };
    event[name]["values"].as_array_mut().unwrap()
}

/// Of the last exception that has any.
fn frames(event: &mut Value) -> &mut Vec<Value> {
    let with_frames = exceptions(event).iter_mut().rev().find(|exception| !exception["stacktrace"].is_null());
    with_frames.unwrap()["stacktrace"]["frames"].as_array_mut().unwrap()
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Map::new().into();
    }
    let fields = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn shift(value: &mut Value, by: u64) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| shift(value, by)),
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_u64() {
                    Some(number) if matches!(key.as_str(), "lineno" | "colno") => *value = (number + by).into(),
                    _ => shift(value, by),
                }
            }
        }
        _ => {}
    }
}

fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) => *text = text.replace(old, new),
        Value::Array(list) => list.iter_mut().for_each(|value| replace(value, old, new)),
        Value::Object(map) => map.values_mut().for_each(|value| replace(value, old, new)),
        _ => {}
    }
}

fn corpora() -> Vec<(String, Corpus)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/grouping");
    let mut corpora: Vec<(String, Corpus)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let corpus = serde_json::from_slice(&fs::read(&path).unwrap());
            (name, corpus.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect();
    corpora.sort_by(|(first, _), (second, _)| first.cmp(second));
    corpora
}

#[derive(Debug, Default, Clone, Copy)]
struct Score {
    same_as_same: u32,
    same_as_different: u32,
    different_as_same: u32,
    different_as_different: u32,
}

impl Score {
    fn count(&mut self, label: Label, is_one_issue: bool) {
        *match (label, is_one_issue) {
            (Label::Same, true) => &mut self.same_as_same,
            (Label::Same, false) => &mut self.same_as_different,
            (Label::Different, true) => &mut self.different_as_same,
            (Label::Different, false) => &mut self.different_as_different,
        } += 1;
    }

    fn add(&mut self, other: Self) {
        self.same_as_same += other.same_as_same;
        self.same_as_different += other.same_as_different;
        self.different_as_same += other.different_as_same;
        self.different_as_different += other.different_as_different;
    }

    /// Of what became one issue, the part that is one bug.
    fn precision(self) -> f64 {
        part(self.same_as_same, self.different_as_same)
    }

    /// Of what is one bug, the part that became one issue.
    fn recall(self) -> f64 {
        part(self.same_as_same, self.same_as_different)
    }

    fn row(self, name: &str) -> String {
        let same = self.same_as_same + self.same_as_different;
        let different = self.different_as_same + self.different_as_different;
        let (precision, recall) = (self.precision(), self.recall());
        format!("{name:<12} {same:>5} {different:>10} {precision:>10.3} {recall:>7.3}\n")
    }
}

fn part(right: u32, wrong: u32) -> f64 {
    if right + wrong == 0 { 1.0 } else { f64::from(right) / f64::from(right + wrong) }
}

#[test]
fn one_bug_is_one_issue() {
    let mut table = "platform      same  different  precision  recall\n".to_owned();
    let mut wrong = String::new();
    let mut all = Score::default();
    for (name, corpus) in corpora() {
        let mut score = Score::default();
        for pair in &corpus.pairs {
            let (first, second) = (processed(&corpus.payload(&pair.of)), processed(&pair.fellow(&corpus)));
            let is_one_issue = first.hash == second.hash;
            score.count(pair.is, is_one_issue);
            if is_one_issue != (pair.is == Label::Same) {
                let kind = if is_one_issue { "one issue, two bugs" } else { "one bug, two issues" };
                writeln!(wrong, "{kind}: {name}/{}: {}", pair.of, pair.why).unwrap();
            }
        }
        table += &score.row(&name);
        all.add(score);
    }
    table += &all.row("all");
    println!("{table}\n{wrong}");
    insta::assert_snapshot!("table", format!("{table}\n{wrong}"));
    assert!(all.precision() >= MIN_PRECISION, "precision {:.3}", all.precision());
    assert!(all.recall() >= MIN_RECALL, "recall {:.3}", all.recall());
}

/// The events of all files are different bugs, unless a pair says that two are the same.
#[test]
fn no_two_events_of_the_corpus_meet_by_chance() {
    let mut known: BTreeMap<[u8; 32], String> = BTreeMap::new();
    for (file, corpus) in corpora() {
        for name in corpus.events.keys() {
            let full_name = format!("{file}/{name}");
            if let Some(other) = known.insert(processed(&corpus.payload(name)).hash, full_name.clone()) {
                let other_name = other.strip_prefix(&format!("{file}/")).unwrap_or_default();
                assert!(corpus.same_as(name).contains(other_name), "{full_name} and {other} are one issue");
            }
        }
    }
}

#[test]
fn explanations_are_of_the_hash() {
    for (file, corpus) in corpora() {
        for name in corpus.events.keys() {
            let processed = processed(&corpus.payload(name));
            let explanation = explain(&processed.event);
            assert_eq!(explanation.hash, hex::encode(processed.hash), "{file}/{name}");
            assert!(explanation.components.iter().any(|part| part.contributes), "{file}/{name}");
        }
    }
}

#[test]
fn titles_and_culprits_read_well() {
    let mut table = String::new();
    for (file, corpus) in corpora() {
        for name in corpus.events.keys() {
            let Processed { title, culprit, .. } = processed(&corpus.payload(name));
            writeln!(table, "{:<28} {title} | {culprit}", format!("{file}/{name}")).unwrap();
        }
    }
    insta::assert_snapshot!("titles", table);
}
