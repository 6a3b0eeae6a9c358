//! `supervisor scheduled-restart` and `supervisor report`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::Place;
use crate::channels::Channel;
use crate::control::{Client, Failure};
use crate::report::{Delivery, Outbox, Report, Store, block, headline};
use crate::task::{RestartRules, Task, Trigger};

/// What to do with reports.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the reports that are kept, the latest first
    List {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one report, and how far it has come to its receivers
    Show {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// Its name [default: the latest]
        id: Option<String>,
        /// As JSON: the report, with its deliveries in the member "deliveries"
        #[arg(long)]
        json: bool,
    },
    /// Send a report again, now, also where it was taken; what still waits for the same channels is tried now too
    Resend {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// Its name [default: the latest]
        id: Option<String>,
        /// Only by this channel [default: by all that are set up]
        #[arg(long, value_name = "NAME", value_parser = channel)]
        channel: Option<Channel>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test message by each channel that is set up, and say what became of it; the exit code is 0 if all took it
    Test {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// Only by this channel
        #[arg(long, value_name = "NAME", value_parser = channel)]
        channel: Option<Channel>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether the answer is to be JSON, also when it is a refusal.
    pub(super) fn is_json(&self) -> bool {
        match self {
            Self::List { json, .. } | Self::Show { json, .. } | Self::Resend { json, .. } | Self::Test { json, .. } => {
                *json
            }
        }
    }
}

fn channel(name: &str) -> Result<Channel, String> {
    Channel::named(name).ok_or_else(|| {
        let names: Vec<&str> = Channel::ALL.into_iter().map(Channel::name).collect();
        format!("there are these channels: {}", names.join(", "))
    })
}

/// Has the supervisor restart web and worker; progress goes to standard error.
pub(super) async fn restart(data_dir: PathBuf, dry_run: bool, json: bool) -> Result<u8, Failure> {
    let task = Task::ScheduledRestart {
        trigger: Trigger::Manual,
        scheduled_for: None,
        dry_run,
        rules: RestartRules::default(),
    };
    let mut client = Client::connect(&data_dir).await?;
    let (exit, result) = client.run_task(&task, |line| drop(writeln!(io::stderr(), "{line}"))).await?;
    if json {
        print(&result.to_string());
    } else if let Ok(report) = serde_json::from_value::<Report>(result.clone()) {
        print(&headline(&report));
    } else {
        print(result.get("error").and_then(Value::as_str).unwrap_or("The restart ended without a report."));
    }
    Ok(exit)
}

pub(super) async fn report(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Resend { place, id, channel, json } => {
            let (exit, result) = ask(place, &Task::ReportResend { id, channel }).await?;
            told_of_task(exit, &result, json, |result| {
                let channels: Vec<&str> = rows(result, "channels").iter().filter_map(Value::as_str).collect();
                let report = member(result, "report");
                print(&format!(
                    "{report} goes to {}; `supervisor report show {report}` says how far it has come.",
                    channels.join(", ")
                ));
            })
        }
        Command::Test { place, channel, json } => {
            let (exit, result) = ask(place, &Task::ReportTest { channel }).await?;
            told_of_task(exit, &result, json, |result| {
                for row in rows(result, "channels") {
                    let error = row.get("error").and_then(Value::as_str);
                    let ms = row.get("ms").and_then(Value::as_u64).unwrap_or(0);
                    let became =
                        error.map_or_else(|| format!("taken after {ms} ms"), |error| format!("NOT TAKEN: {error}"));
                    print(&format!("{}: {became}", member(row, "channel")));
                }
            })
        }
        Command::List { place, json } => list(&place.path(), json),
        Command::Show { place, id, json } => show(&place.path(), id, json),
    }
}

async fn ask(place: Place, task: &Task) -> Result<(u8, Value), Failure> {
    Client::connect(&place.path()).await?.run_task(task, |_| ()).await
}

/// Shows the result of a task, or the sentence that says why there is none.
fn told_of_task(exit: u8, result: &Value, json: bool, show: impl FnOnce(&Value)) -> Result<u8, Failure> {
    match result.get("error").and_then(Value::as_str) {
        Some(error) if !json => return Err(Failure(error.to_owned())),
        _ if json => print(&result.to_string()),
        _ => show(result),
    }
    Ok(exit)
}

fn rows<'a>(result: &'a Value, name: &str) -> &'a [Value] {
    result.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn member<'a>(result: &'a Value, name: &str) -> &'a str {
    result.get(name).and_then(Value::as_str).unwrap_or("-")
}

fn list(data_dir: &Path, json: bool) -> Result<u8, Failure> {
    let reports = match Store::open(data_dir) {
        Ok(store) => store.list().map_err(|error| unreadable(&error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(unreadable(&error)),
    };
    let outbox = Outbox::open(data_dir);
    let deliveries = |report: &Report| outbox.as_ref().map(|outbox| outbox.deliveries(&report.id)).unwrap_or_default();
    if json {
        let rows: Vec<Value> = reports
            .iter()
            .map(|report| {
                json!({
                    "id": report.id, "started_at": report.started_at, "finished_at": report.finished_at,
                    "trigger": report.trigger, "result": report.result, "reason": report.reason,
                    "deliveries": deliveries(report),
                })
            })
            .collect();
        print(&Value::from(rows).to_string());
    } else if reports.is_empty() {
        print("There are no reports yet.");
    } else {
        for report in &reports {
            let told: Vec<String> =
                deliveries(report).iter().map(|it| format!("{} {}", it.channel.name(), it.status)).collect();
            let told = if told.is_empty() { String::new() } else { format!(" [{}]", told.join(", ")) };
            print(&format!("{}{told}", headline(report)));
        }
    }
    Ok(0)
}

fn show(data_dir: &Path, id: Option<String>, json: bool) -> Result<u8, Failure> {
    let none = || Failure("There are no reports yet.".to_owned());
    let store = Store::open(data_dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => none(),
        _ => unreadable(&error),
    })?;
    let report = match id {
        Some(id) => {
            let found = store.find(&id).map_err(|error| unreadable(&error))?;
            found.ok_or_else(|| Failure(format!("There is no report {id:?}; `supervisor report list` shows all.")))?
        }
        None => store.list().map_err(|error| unreadable(&error))?.into_iter().next().ok_or_else(none)?,
    };
    let deliveries = Outbox::open(data_dir).map_err(|error| unreadable(&error))?.deliveries(&report.id);
    if json {
        let mut shown = json!(report);
        if let Some(members) = shown.as_object_mut() {
            members.insert("deliveries".to_owned(), json!(deliveries));
        }
        print(&shown.to_string());
        return Ok(0);
    }
    for line in block(&report) {
        print(line.trim_start_matches("WARN ").trim_start_matches("ERROR "));
    }
    for delivery in &deliveries {
        print(&told(delivery));
    }
    Ok(0)
}

fn told(delivery: &Delivery) -> String {
    let error = delivery.last_error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    let next = match (delivery.status.as_str(), delivery.next_attempt_at) {
        ("failed", Some(at)) => format!("; next attempt at {}", at.format("%Y-%m-%d %H:%M:%S UTC")),
        ("failed", None) => "; given up".to_owned(),
        _ => String::new(),
    };
    let error = if delivery.status == "delivered" { String::new() } else { error };
    format!("  {}: {} ({} attempts){error}{next}", delivery.channel.name(), delivery.status, delivery.attempts)
}

fn unreadable(error: &io::Error) -> Failure {
    Failure(match error.kind() {
        io::ErrorKind::PermissionDenied => "The reports belong to another user: try again with sudo.".to_owned(),
        _ => format!("The reports cannot be read: {error}."),
    })
}

/// To a reader who may have gone.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
