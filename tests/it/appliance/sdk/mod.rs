//! Real clients, told nothing but the DSN: every item they send is there afterwards, in its table and in the ledger.

mod browser;
mod cli;
mod long;
mod node;
mod pages;
mod python;
mod rust;
mod shown;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Instance;
use super::instance::describe;
use crate::support::Client;

/// How long it may take from the client's end until all is settled and counted.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);

/// One instance for those of these tests that run at the same time.
static SHARED: Mutex<Weak<Instance>> = Mutex::new(Weak::new());

fn shared() -> Arc<Instance> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let instance = Arc::new(Instance::started());
        *shared = Arc::downgrade(&instance);
        instance
    })
}

/// A project that one client sends to.
pub(super) struct Site {
    pub(super) instance: Arc<Instance>,
    number: u64,
    pub(super) dsn: String,
}

impl Site {
    /// A new project, and where the clients are installed.
    pub(super) fn new(name: &str) -> (Self, PathBuf) {
        Self::of(shared(), name)
    }

    /// A project of an instance whose public address has a path, so that the DSN has it, too.
    pub(super) fn below(path: &str, name: &str) -> (Self, PathBuf) {
        let mut instance = Instance::new();
        instance.set_env("GLITCHTIP_DOMAIN", &format!("http://{}{path}", instance.address()));
        instance.start();
        Self::of(Arc::new(instance), name)
    }

    fn of(instance: Arc<Instance>, name: &str) -> (Self, PathBuf) {
        let sdks = prepared(&[]);
        let project = instance.run_json("glitchbox", &["project", "create", name, "--org", "default", "--json"]);
        let dsn = project["dsn"].as_str().unwrap().replace("localhost", "127.0.0.1");
        (Self { number: project["id"].as_u64().unwrap(), dsn, instance }, sdks)
    }

    /// Runs a client's program to its end, which has to come with this status.
    pub(super) fn run(&self, mut command: Command, status: i32) -> Output {
        let output = command.env("SENTRY_DSN", &self.dsn).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", describe(&output));
        output
    }

    /// The rows of a query as JSON, with the project's number for `$project`.
    pub(super) fn rows(&self, query: &str) -> Value {
        let query = query.replace("$project", &self.number.to_string());
        let rows = self.instance.sql(&format!("select coalesce(jsonb_agg(q), '[]') from ({query}) q"));
        serde_json::from_str(&rows).unwrap()
    }

    /// Waits until the ledger says exactly this, `CATEGORY OUTCOME [REASON] QUANTITY`, of all that was accepted, and no
    /// less was. A quantity may be `some`: spans travel in as many containers as the client's clock makes.
    pub(super) fn settles(&self, fates: &[&str]) {
        let begun = Instant::now();
        loop {
            let (found, is_balanced) = self.fates();
            if is_balanced
                && found.len() == fates.len()
                && found.iter().zip(fates).all(|(one, wanted)| is_fate(one, wanted))
            {
                return;
            }
            assert!(
                begun.elapsed() < SETTLED_WITHIN,
                "balanced: {is_balanced}; found, wanted:\n{found:#?}\n{fates:#?}\n{}",
                self.instance.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn fates(&self) -> (Vec<String>, bool) {
        let rows = self.rows(
            "select category, outcome, reason, sum(quantity) as n from outcome_hourly where project_id = $project
             group by category, outcome, reason having sum(quantity) <> 0 order by category, outcome, reason",
        );
        let (mut fates, mut accepted, mut settled) = (Vec::new(), 0, 0);
        for row in rows.as_array().unwrap() {
            let text = |key: &str| row[key].as_str().unwrap();
            let (category, outcome, quantity) = (text("category"), text("outcome"), row["n"].as_u64().unwrap());
            match outcome {
                "accepted" => accepted += quantity,
                "discarded" => {}
                _ => settled += quantity,
            }
            if outcome != "accepted" {
                let words = [category, outcome, text("reason"), &quantity.to_string()];
                fates.push(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
            }
        }
        (fates, accepted > 0 && accepted == settled)
    }

    /// The issues that the API lists, by title: what was told of them.
    pub(super) fn issues(&self) -> Vec<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let path = format!("/api/0/organizations/default/issues/?query=&project={}", self.number);
        let list = runtime.block_on(async { self.instance.api().get(&path).await.expect(200).json() });
        let mut issues: Vec<Value> = list.as_array().unwrap().iter().map(as_told).collect();
        issues.sort_by_key(|issue| issue[0].as_str().unwrap().to_owned());
        issues
    }

    /// One event of each issue, by the issue's title, as it is stored.
    pub(super) fn event(&self, title: &str) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ids = self.rows(&format!(
            "select i.id from issue i where project_id = $project and title = '{}'",
            title.replace('\'', "''")
        ));
        let api: Client = self.instance.api();
        let issue = format!("/api/0/organizations/default/issues/{}/events/latest", ids[0]["id"]);
        runtime.block_on(async {
            let event = api.get(&format!("{issue}/")).await.expect(200).json();
            let id = event["eventID"].as_str().unwrap();
            let issue = issue.replace("latest", id);
            api.get(&format!("{issue}/json/")).await.expect(200).json()
        })
    }
}

/// True when this is the line that was wanted, or one of the same kind where the quantity does not matter.
fn is_fate(found: &str, wanted: &str) -> bool {
    let quantity = wanted.strip_suffix("some").and_then(|begin| found.strip_prefix(begin));
    found == wanted || quantity.is_some_and(|quantity| quantity.parse::<u64>().is_ok())
}

/// Title, platform, level, whether nobody handled it, events, users.
fn as_told(issue: &Value) -> Value {
    json!([issue["title"], issue["platform"], issue["level"], issue["isUnhandled"], issue["count"], issue["userCount"]])
}

/// A program with its arguments and nothing in its environment.
fn command<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// A program for Node.js, beside the SDKs of `folder`, where Node.js looks for them.
fn node(sdks: &Path, folder: &str, program: &str) -> Command {
    let beside = sdks.join(folder).join(program);
    std::fs::copy(programs().join(folder).join(program), &beside).unwrap();
    command(sdks.join("runtime/node"), [beside])
}

/// Where the sources of the clients' programs are.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// The folder of the pinned SDKs, installed when they are not there.
fn prepared(arguments: &[&str]) -> PathBuf {
    let output = Command::new(programs().join("prepare")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", describe(&output));
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk")
}

// What the clients' programs have in common is asked for in common.

const RUNS: &str = "select m.slug, m.config, c.environment, c.status, c.release, c.duration_ms is not null as timed,
        c.trace_id is not null as traced
    from check_in c join monitor m on m.id = c.monitor_id
    where m.project_id = $project and c.closed_at is not null order by c.status";

const FILES: &str = "select name, content_type, kind, convert_from(content, 'latin1') as content,
        case when exists (select from event e where e.project_id = a.project_id and e.event_id = a.event_id) then 'event'
            when exists (select from user_feedback f where f.project_id = a.project_id and f.id = a.event_id)
            then 'feedback' end as of
    from attachment a where project_id = $project order by name";

const WRITTEN: &str = "select f.kind, f.message, f.name, f.email, f.url, i.title as about
    from user_feedback f left join event e on e.project_id = f.project_id and e.event_id = f.event_id
        left join issue i on i.project_id = e.project_id and i.id = e.issue_id
    where f.project_id = $project order by f.kind, f.message";

const SESSIONS: &str = "select release, environment, status, errors, user_hash is not null as of_a_user
    from release_session where project_id = $project";

const SESSION_COUNTS: &str = "select release, environment, exited, errored, unhandled, abnormal, crashed
    from release_session_count where project_id = $project";

const LOGS: &str =
    "select l.body, l.severity, l.release, l.environment, l.trace_id is not null as traced, s.name as within
    from log_record l left join span s
        on s.project_id = l.project_id and s.trace_id = l.trace_id and s.span_id = l.span_id
    where l.project_id = $project order by l.severity";

const SPANS: &str = "select s.name, s.op, s.status, s.release, s.environment, s.is_segment, p.name as within
    from span s left join span p
        on p.project_id = s.project_id and p.trace_id = s.trace_id and p.span_id = s.parent_span_id
    where s.project_id = $project order by s.is_segment desc, s.name, s.status";
