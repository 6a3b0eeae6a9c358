//! The scheduled restart: nobody notices, and everybody is told.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::Instance;
use super::load::Load;
use super::receiver::{Mood, receiver};

const HOOK: &str = "/open-apis/bot/v2/hook/5b0f6f1c-3a7e-4c55-9d52-token-of-the-robot";
const SIGNING_SECRET: &str = "signing-secret-of-the-robot";

/// A green card in Chinese, signed, that names old and new processes.
fn assert_card(card: &Value, before: &[Value; 2], after: &[Value; 2]) {
    assert!(card.to_string().len() < 20_000);
    assert_eq!((&card["msg_type"], &card["card"]["schema"]), (&"interactive".into(), &"2.0".into()));
    assert_eq!(card["card"]["header"]["template"], "green");
    let timestamp: i64 = card["timestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(card["sign"], glitchbox_notify::feishu::signature(SIGNING_SECRET, timestamp));
    let words = card["card"]["body"]["elements"].to_string();
    for wanted in ["重启前健康检查", "重启后健康检查", "Asia/Shanghai", &format!("PID: {} → {}", before[0], after[0])]
    {
        assert!(words.contains(wanted), "{wanted} is not in {words}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_fails_no_event_is_lost_and_one_report_goes_to_each_receiver() {
    let (feishu, cards) = receiver(Vec::new()).await;
    let (webhook, documents) = receiver(Vec::new()).await;
    let mut instance = Instance::new();
    instance.set_env("FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL", &format!("http://{feishu}{HOOK}"));
    instance.set_env("FEISHU_WEBHOOK_SECRET", SIGNING_SECRET);
    instance.set_env("RESTART_WEBHOOK_URL", &format!("http://{webhook}/reports"));
    instance.set_env("TZ", "Asia/Shanghai");
    instance.set_env("ADMIN_PASSWORD", "password-of-the-admin");
    let instance = in_background(move || {
        instance.start();
        instance
    })
    .await;
    let before = pids(&instance);

    let load = Load::start(instance.address(), &instance.public_key());
    sleep(Duration::from_secs(3)).await;
    let begun = Instant::now();
    let (instance, output) = in_background(move || {
        let output = instance.command("supervisor", &["scheduled-restart", "--json"]).output().unwrap();
        (instance, output)
    })
    .await;
    let took = begun.elapsed();
    // Idle connections of the old generation are closed 9 s after the drain began; their owners come later.
    sleep(Duration::from_secs(9)).await;
    let told = load.end().await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", instance.log());
    let report: Value = serde_json::from_str(&text).unwrap();
    println!(
        "{} requests answered 200, {} failed; the restart took {took:?}, meanwhile {}",
        told.acknowledged.len(),
        told.failures.len(),
        report["requests"]
    );
    assert!(told.failures.is_empty(), "{} requests failed: {:?}", told.failures.len(), told.failures);
    assert!(told.acknowledged.len() > 1_500, "only {} requests: no load", told.acknowledged.len());

    // Web and worker are new, and the report says so.
    let after = pids(&instance);
    for (index, service) in ["web", "worker"].iter().enumerate() {
        assert_ne!(before[index], after[index], "{service} is the same process");
        let action = &report["actions"][index];
        assert_eq!(action["service"], *service);
        assert_eq!((&action["old_pid"], &action["new_pid"]), (&before[index], &after[index]));
        assert_eq!((&action["ok"], &action["killed"]), (&true.into(), &false.into()), "{action}");
    }
    assert_eq!((&report["result"], &report["trigger"]), (&"ok".into(), &"manual".into()));
    assert_eq!(report["requests"]["failed"], 0);
    assert!(report["requests"]["served"].as_u64().unwrap() > 100, "{}", report["requests"]);
    for checks in ["checks_before", "checks_after"] {
        let names: Vec<&str> =
            report[checks].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["postgres", "redis", "web", "worker"]);
        assert!(report[checks].as_array().unwrap().iter().all(|check| check["status"] == "ok"), "{report}");
    }

    // Every acknowledged event is there, once.
    let count = told.acknowledged.len();
    let (instance, stored) = in_background(move || {
        instance.wait_for_events(count);
        let rows = instance.sql("select replace(event_id::text, '-', '') from event");
        let stored: Vec<String> = rows.lines().map(str::to_owned).collect();
        (instance, stored)
    })
    .await;
    let distinct: BTreeSet<String> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), distinct.len(), "some event is stored twice");
    assert_eq!(told.acknowledged.difference(&distinct).count(), 0, "acknowledged events are missing");

    // One card.
    let (_, card) = cards.first().await;
    let card: Value = serde_json::from_slice(&card).unwrap();
    assert_card(&card, &before, &after);

    // One document, signed.
    let (headers, document) = documents.first().await;
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let key = std::fs::read_to_string(instance.data().join("secrets/webhook-secret")).unwrap();
    assert_eq!(header("x-signature"), glitchbox_notify::generic::signature(key.trim(), &document));
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document, report);
    assert_eq!(
        (document["kind"].as_str(), header("idempotency-key").as_str()),
        (Some("restart.report"), report["id"].as_str().unwrap())
    );

    let instance = until_settled(instance, &["delivered", "delivered"]).await;
    assert_eq!((cards.all().len(), documents.all().len()), (1, 1));
    let shown = instance.run_json("supervisor", &["report", "show", report["id"].as_str().unwrap(), "--json"]);
    assert_eq!(shown["actions"], report["actions"]);
    assert_eq!(instance.run_json("supervisor", &["report", "list", "--json"]).as_array().unwrap().len(), 1);
    let log = std::fs::read_to_string(instance.data().join("logs/scheduled-restart.log")).unwrap();
    assert!(log.contains(report["id"].as_str().unwrap()), "{log}");
    let told = [card.to_string(), document.to_string(), text, String::from_utf8_lossy(&output.stderr).into_owned()];
    assert_no_secret(&instance, &told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_refuses_or_hangs_shows_as_failed_and_gets_the_report_later() {
    let refusal =
        Mood::Answers(200, "{\"code\":19021,\"msg\":\"sign match fail or timestamp is not within one hour\"}");
    let (feishu, cards) = receiver(vec![refusal.clone(), refusal]).await;
    let (webhook, documents) = receiver(vec![Mood::Hangs]).await;
    let mut instance = Instance::new();
    instance.set_env("FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL", &format!("http://{feishu}{HOOK}"));
    instance.set_env("RESTART_WEBHOOK_URL", &format!("http://user:password-of-a-user@{webhook}/reports"));
    instance.set_env("REPORT_LANGUAGE", "en");
    let instance = in_background(move || {
        instance.start();
        let dry = instance.run_json("supervisor", &["scheduled-restart", "--dry-run", "--json"]);
        assert_eq!((&dry["mode"], &dry["result"]), (&"dry-run".into(), &"ok".into()));
        let begun = std::time::Instant::now();
        instance.run("supervisor", &["scheduled-restart"]);
        assert!(begun.elapsed() < Duration::from_secs(9), "the restart waited for its receivers");
        instance
    })
    .await;
    // Each channel has its own pace: one that hangs holds nobody else up.
    let (instance, refused) = until_shown(instance, ["feishu: failed", "code 19021: sign match fail"]).await;
    let (instance, silent) = until_shown(instance, ["webhook: failed", "no answer within 10 s"]).await;
    let instance = until_settled(instance, &["delivered", "delivered"]).await;
    // Nothing of the dry run was sent, and every attempt is the same report.
    assert_eq!(cards.all().len(), 3);
    let keys: BTreeSet<String> =
        documents.all().iter().map(|(headers, _)| headers["idempotency-key"].to_str().unwrap().to_owned()).collect();
    assert_eq!((documents.all().len(), keys.len()), (2, 1));
    let (_, card) = cards.first().await;
    let card = String::from_utf8(card.to_vec()).unwrap();
    assert!(card.contains("Checks after the restart") && !card.contains("\"sign\""), "{card}");
    assert_no_secret(&instance, &[card, refused, silent]);
}

#[test]
fn the_schedule_backs_up_and_stays_away_from_what_is_not_well_or_was_stopped() {
    let instance = Instance::started();
    let [web, _] = pids(&instance);
    let (exit, report) = by_schedule(&instance);
    assert_eq!(exit, 0, "{report}");
    let backup = report["backup"]["file"].as_str().unwrap_or_else(|| panic!("{report}"));
    assert!(instance.data().join("backups").join(backup).is_file(), "{report}");
    assert_ne!(pids(&instance)[0], web);

    let [web, worker] = pids(&instance);
    instance.run("supervisor", &["stop", "redis"]);
    let (exit, report) = by_schedule(&instance);
    assert_eq!((exit, &report["result"]), (3, &"skipped".into()), "{report}");
    assert_eq!(report["reason"], "Redis is not well: it is not running");
    assert_eq!(report["checks_before"][1]["status"], "failed");
    assert_eq!(report["actions"], Value::Array(Vec::new()));
    let backup = report["backup"]["file"].as_str().unwrap_or_else(|| panic!("{report}"));
    assert!(instance.data().join("backups").join(backup).is_file(), "a night without a restart has its backup");
    assert_eq!(pids(&instance), [web.clone(), worker]);
    instance.run("supervisor", &["start", "redis"]);
    let list = instance.run_json("supervisor", &["report", "list", "--json"]);
    let results: Vec<&str> = list.as_array().unwrap().iter().map(|row| row["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["skipped", "ok"], "the latest first");

    // What an operator has stopped stays stopped.
    instance.run("supervisor", &["stop", "worker"]);
    let (exit, report) = by_schedule(&instance);
    assert_eq!(exit, 0, "{report}");
    assert_eq!(report["actions"].as_array().unwrap().len(), 1, "{report}");
    assert!(report["warnings"].to_string().contains("worker is stopped: it is left as it is"), "{report}");
    let [new, worker] = pids(&instance);
    assert_ne!(new, web);
    assert_eq!(worker, Value::Null);
}

#[test]
fn a_second_restart_at_the_same_time_is_refused() {
    let instance = Instance::started();
    let mut first = instance.command("supervisor", &["scheduled-restart"]);
    // Held in the middle of a slow upload, the old generation drains and the first restart goes on.
    let mut upload = std::net::TcpStream::connect(instance.address()).unwrap();
    let head = format!(
        "POST /api/1/store/?sentry_key={} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{",
        instance.public_key()
    );
    upload.write_all(head.as_bytes()).unwrap();
    let mut child = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(progress.any(|line| line.unwrap() == "restarting worker"));
    let second = instance.command("supervisor", &["scheduled-restart"]).output().unwrap();
    assert_eq!(second.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&second.stdout).contains("Busy: "), "{second:?}");
    upload.write_all(b"}").unwrap();
    for _ in progress {}
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", instance.log());
}

/// What the schedule would have done now: the exit code and the report.
fn by_schedule(instance: &Instance) -> (u64, Value) {
    let body = r#"{"kind":"scheduled-restart","trigger":"schedule"}"#;
    let mut socket = UnixStream::connect(instance.data().join("run/supervisor.sock")).unwrap();
    let head = format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: supervisor\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let last = answer.lines().rfind(|line| line.starts_with("{\"exit\"")).unwrap_or_else(|| panic!("{answer}"));
    let last: Value = serde_json::from_str(last).unwrap();
    (last["exit"].as_u64().unwrap(), last["result"].clone())
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Of web and worker.
fn pids(instance: &Instance) -> [Value; 2] {
    let output = instance.command("supervisor", &["status", "--json"]).output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let services = status["services"].as_array().unwrap();
    ["web", "worker"].map(|name| services.iter().find(|service| service["name"] == name).unwrap()["pid"].clone())
}

/// Waits until `report show` says all of this; what it says then.
async fn until_shown(instance: Instance, wanted: [&'static str; 2]) -> (Instance, String) {
    in_background(move || {
        let deadline = std::time::Instant::now() + Duration::from_secs(40);
        loop {
            let shown = instance.run("supervisor", &["report", "show"]);
            if wanted.iter().all(|text| shown.contains(text)) {
                return (instance, shown);
            }
            assert!(std::time::Instant::now() < deadline, "{wanted:?} is not in {shown}\n{}", instance.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    })
    .await
}

/// Waits until each channel of the latest report has had this status, not necessarily at the same time.
async fn until_settled(instance: Instance, wanted: &[&str; 2]) -> Instance {
    let wanted = wanted.map(str::to_owned);
    in_background(move || {
        let deadline = std::time::Instant::now() + Duration::from_secs(40);
        let mut seen = [false; 2];
        while seen != [true; 2] {
            let shown = instance.run_json("supervisor", &["report", "show", "--json"]);
            for index in 0..2 {
                seen[index] |= shown["deliveries"][index]["status"] == wanted[index].as_str();
            }
            assert!(std::time::Instant::now() < deadline, "{}\n{}", shown["deliveries"], instance.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        instance
    })
    .await
}

/// No secret of the instance is in these texts, its logs or its reports.
fn assert_no_secret(instance: &Instance, texts: &[String]) {
    let mut secrets: Vec<String> =
        ["password-of-the-admin", "password-of-a-user", SIGNING_SECRET, "token-of-the-robot"]
            .map(str::to_owned)
            .to_vec();
    for entry in std::fs::read_dir(instance.data().join("secrets")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        secrets.push(text.trim().to_owned());
    }
    let mut texts: Vec<(String, String)> = texts.iter().map(|text| ("a text".to_owned(), text.clone())).collect();
    texts.push(("the supervisor's output".to_owned(), instance.log()));
    read_all(&instance.data().join("logs"), &mut texts);
    read_all(&instance.data().join("spool/reports"), &mut texts);
    for secret in secrets.iter().filter(|secret| secret.len() >= 8) {
        for (name, text) in &texts {
            assert!(!text.contains(secret.as_str()), "{secret} is in {name}:\n{text}");
        }
    }
}

fn read_all(folder: &Path, texts: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, texts);
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            texts.push((path.display().to_string(), text));
        }
    }
}
