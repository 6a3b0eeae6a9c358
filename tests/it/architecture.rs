//! Reads the sources and keeps true what the folders promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom. An entry is a module of ours or one path in it; `*` stands for all.
/// A line is changed only together with its reason.
const MAY_IMPORT: &[(&str, &[&str], &str)] = &[
    ("cli", &["*"], "one file per role: wires everything together"),
    (
        "api",
        &["auth", "http", "store", "queue::Producer", "queue::Window", "app", "config", "protocol", "ids", "telemetry"],
        "reads what is stored; whatever takes long is enqueued, never done here",
    ),
    (
        "web",
        &[
            "auth",
            "http",
            "store",
            "queue::Producer",
            "queue::Queue",
            "queue::Window",
            "jobs::Job",
            "jobs::SendTests",
            "app",
            "config",
            "protocol",
            "ids",
            "telemetry",
        ],
        "as api: the same reads, as pages; and what somebody waits for is asked for",
    ),
    (
        "ingest",
        &[
            "protocol",
            "http",
            "auth::api_token",
            "auth::permission",
            "store::organization",
            "store::project",
            "store::project_key",
            "store::rate_limit",
            "queue::Counters",
            "queue::Producer",
            "queue::Queue",
            "queue::QueueError",
            "queue::Shipping",
            "queue::EntryId",
            "queue::Look",
            "queue::Window",
            "app",
            "config",
            "ids",
            "telemetry",
            "shutdown",
        ],
        "answers SDKs in a millisecond: a key, a stamp, the spool, which feeds the queue; what an event means is the \
         worker's business. Users' reports may come with a token, and name their project as the API does",
    ),
    (
        "jobs",
        &[
            "process",
            "alert",
            "store",
            "queue",
            "protocol",
            "app",
            "ids",
            "telemetry",
            "shutdown",
            "config",
            "retention",
        ],
        "the worker: takes from the queue, processes, stores",
    ),
    ("retention", &["store", "protocol", "config", "ids"], "rules: how long what is stored lives"),
    ("alert", &["store", "protocol", "ids"], "rules -> decisions -> messages: the jobs look up, send and note"),
    ("process", &["protocol", "ids"], "pure: the same bytes give the same event, with nothing to connect to"),
    ("auth", &["store", "http", "app", "ids", "config"], "who are you, may you"),
    ("store", &["protocol", "ids", "config"], "all SQL; knows no HTTP and no queue"),
    ("queue", &["config", "telemetry", "shutdown"], "moves bytes; knows nothing of events"),
    ("http", &["app", "config", "telemetry", "shutdown", "ids"], "what every HTTP surface shares"),
    (
        "app",
        &["config", "store::pool", "store::payload_dictionary", "queue", "alert::Signal"],
        "the shared handles, built once",
    ),
    ("telemetry", &["config"], "logs and metrics"),
    ("protocol", &["ids"], "pure: bytes to types"),
    ("config", &[], "settings depend on nothing"),
    ("shutdown", &[], "a signal depends on nothing"),
    ("ids", &[], "numbers depend on nothing"),
];

#[test]
fn modules_import_only_what_the_table_allows() {
    let mut faults = BTreeSet::new();
    for (path, text) in sources("src") {
        let module = top_module(&path);
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let Some((_, allowed, reason)) = MAY_IMPORT.iter().find(|(name, ..)| *name == module) else {
            faults.insert(format!("{} belongs to no module of the table", path.display()));
            continue;
        };
        for used in imports(&code(&text)) {
            let own = is_within(&used, &module);
            if !own && !allowed.iter().any(|entry| *entry == "*" || is_within(&used, entry)) {
                faults.insert(format!("{} uses crate::{used}, but {module}: {reason}", path.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn the_programs_share_no_code() {
    let mut faults = BTreeSet::new();
    for (folder, other) in [("src", "glitchbox_supervisor::"), ("supervisor/src", "glitchbox::")] {
        for (path, text) in sources(folder) {
            if code(&text).contains(other) {
                faults.insert(format!("{} names {other}", path.display()));
            }
        }
    }
    for (manifest, other) in [("Cargo.toml", "glitchbox-supervisor"), ("supervisor/Cargo.toml", "glitchbox = ")] {
        if fs::read_to_string(root().join(manifest)).unwrap().contains(&format!("\n{other}")) {
            faults.insert(format!("{manifest} depends on {other}"));
        }
    }
    assert_none(&faults);
}

/// The programs share no code, but the restart's report tells how much is in the application's queue.
#[test]
fn the_report_asks_for_the_queue_by_its_names() {
    let words = |path: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(root().join(path)).unwrap();
        text.split('"').filter(|word| word.starts_with("q:ingest") || *word == "workers").map(str::to_owned).collect()
    };
    let asked = words("supervisor/src/report/queue.rs");
    assert_eq!(asked.len(), 3);
    assert!(asked.is_subset(&words("src/queue/keys.rs")), "{asked:?}");
}

#[test]
fn only_the_store_speaks_sql_and_only_the_queue_speaks_redis() {
    let mut faults = BTreeSet::new();
    let fences: [(&str, &[&str]); 2] =
        [("store", &["sqlx::query", "sqlx::raw_sql", "QueryBuilder", "sqlx::Executor"]), ("queue", &["fred::"])];
    for (path, text) in sources("src") {
        let code = code(&text);
        for (home, words) in fences {
            for word in words.iter().filter(|word| top_module(&path) != home && code.contains(**word)) {
                faults.insert(format!("{} uses {word}, which belongs in {home}/", path.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn every_table_has_a_home_in_the_store() {
    let store: String = sources("src/store").into_iter().map(|(_, text)| text).collect();
    let words: BTreeSet<&str> = store.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut tables = BTreeSet::new();
    for entry in fs::read_dir(root().join("migrations")).unwrap() {
        let sql = fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in sql.lines().filter_map(|line| line.strip_prefix("create table ")) {
            tables.insert(line.split([' ', '(']).next().unwrap().to_owned());
        }
    }
    assert!(tables.contains("issue") && tables.contains("event"), "found {tables:?}");
    tables.retain(|table| !words.contains(table.as_str()));
    assert_none(&tables);
}

#[test]
fn files_stay_short_enough_to_read() {
    let mut faults = BTreeSet::new();
    for folder in ["src", "supervisor", "notify", "tests", "benches"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            if lines > 450 {
                faults.insert(format!("{} has {lines} lines: split it by meaning", path.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn import_reader_follows_groups() {
    let text = "use crate::store::{issue::Issue, event};\nlet x = crate::http::ApiError::Gone; pub(crate) fn f() {}\n\
                use crate::{ids, queue::{Producer, Queue}};";
    let found: Vec<String> = imports(text).into_iter().collect();
    let expected = ["http::ApiError::Gone", "ids", "queue::Producer", "queue::Queue", "store::event"];
    assert_eq!(found, [&expected[..], &["store::issue::Issue"]].concat());
}

fn assert_none(faults: &BTreeSet<String>) {
    let lines: Vec<&str> = faults.iter().map(String::as_str).collect();
    assert!(lines.is_empty(), "\n  {}\n", lines.join("\n  "));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under `folder`, by its path from the root.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn visit(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_path_buf(), text));
            }
        }
    }
    let mut found = Vec::new();
    visit(&root().join(folder), &mut found);
    found
}

#[test]
fn every_migration_has_a_number_of_its_own() {
    let names: Vec<String> = std::fs::read_dir(root().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let numbers: BTreeSet<&str> = names.iter().map(|name| name.split('_').next().unwrap()).collect();
    assert_eq!(numbers.len(), names.len(), "an appliance with two of one number does not start: {names:?}");
}

/// `web` for `src/web/page/issue.rs`, `app` for `src/app.rs`.
fn top_module(path: &Path) -> String {
    let part = path.iter().nth(1).unwrap().to_str().unwrap();
    part.trim_end_matches(".rs").to_owned()
}

/// The text without comments and without the unit tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect()
}

/// True for `path` itself and for everything in it.
fn is_within(used: &str, path: &str) -> bool {
    used.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every path after `crate::`, groups expanded.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for tail in code.split("crate::").skip(1) {
        expand("", tail, &mut found);
    }
    found
}

/// Reads one path or group at the start of `text`; gives back what follows it.
fn expand<'a>(prefix: &str, text: &'a str, found: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = expand(prefix, rest, found).trim_start();
            rest = match rest.strip_prefix(',') {
                Some(more) if !more.trim_start().starts_with('}') => more,
                Some(more) => return more.trim_start().strip_prefix('}').unwrap_or(more),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            };
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match rest.strip_prefix("::") {
        Some(deeper) if deeper.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => {
            expand(&format!("{prefix}{name}::"), deeper, found)
        }
        _ => {
            let path =
                if name == "self" { prefix.trim_end_matches("::").to_owned() } else { format!("{prefix}{name}") };
            found.insert(path);
            rest.trim_start_matches(|c: char| !matches!(c, ',' | '}' | ';'))
        }
    }
}
