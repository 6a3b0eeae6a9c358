//! Ten thousand reports with secrets in every text, in every guise, by every channel: none comes out.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::Utc;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::forms::with_lower_codes;
use super::letters::letters_for;
use super::model::{Outcome, Report};
use super::page::Page;
use super::redact::Redactor;
use super::restart::redact;
use super::send::forms_of_all;
use crate::channels::{Channel, Channels, Language, Receiver};
use crate::settings::Secret;
use crate::task::{BackupRules, Place, PostgresPlace, RedisPlace};

const REPORTS: usize = 10_000;
/// Reports about an appliance with the same secrets.
const A_HOUSE: usize = 100;
const THREADS: usize = 2;

/// Members that hold words of ours, and so no secret.
const OURS: [&str; 9] =
    ["kind", "id", "trigger", "scheduled_for", "started_at", "finished_at", "mode", "result", "status"];

fn pick<'a, T: ?Sized>(random: &mut StdRng, among: &[&'a T]) -> &'a T {
    among[random.random_range(0..among.len())]
}

fn word(random: &mut StdRng, letters: &[char], least: usize, most: usize) -> String {
    let length = random.random_range(least..=most);
    (0..length).map(|_| letters[random.random_range(0..letters.len())]).collect()
}

/// Secrets of several kinds, and the parts of them that may not show either.
fn secrets(random: &mut StdRng) -> (Vec<Secret>, Vec<String>) {
    let plain: Vec<char> = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789".chars().collect();
    // Whatever some service takes as markup, and what encodings change.
    let odd: Vec<char> = "aB3*_~`|<>&\"'\\[](){}#+-=.!?/:;,@$%^é密".chars().collect();
    let hidden = vec![
        word(random, &plain, 8, 64),
        word(random, &odd, 10, 30).trim().to_owned(),
        word(random, &plain, 12, 20),
        word(random, &plain, 20, 36),
    ];
    let given = vec![
        Secret::new(hidden[0].as_str()),
        Secret::new(hidden[1].as_str()),
        Secret::new(format!("smtp+tls://me:{}@mail.example.com:587", hidden[2])),
        Secret::new(format!("https://open.feishu.cn/open-apis/bot/v2/hook/{}", hidden[3])),
    ];
    (given, hidden)
}

/// The secret as some program may have written it.
fn disguised(random: &mut StdRng, secret: &str) -> String {
    match random.random_range(0..8) {
        0 => url_encoded(secret),
        1 => with_lower_codes(&url_encoded(secret)),
        2 => serde_json::to_string(&json!({ "a": secret })).unwrap(),
        3 => STANDARD.encode(format!("user:{secret}")),
        4 => URL_SAFE_NO_PAD.encode(format!("{secret}:x")),
        5 => secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"),
        _ => secret.to_owned(),
    }
}

fn url_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A report with a text wherever there can be one.
fn template() -> Value {
    json!({
        "schema": 1, "kind": "restart.report", "id": "restart-20261120T030100000Z-0001", "instance": "t", "domain": "t",
        "version": "t", "trigger": "schedule", "scheduled_for": "2026-11-20T03:01:00Z", "tz": "t",
        "started_at": "2026-11-20T03:01:00Z", "finished_at": "2026-11-20T03:01:05Z", "mode": "recycle",
        "result": "degraded", "reason": "t",
        "checks_before": [{"name": "t", "status": "failed", "ms": 1, "detail": "t"}],
        "checks_after": [{"name": "t", "status": "ok", "ms": 1, "detail": "t"}],
        "actions": [{"service": "t", "ok": false, "message": "t", "old_pid": 1, "new_pid": 2, "old_rss": 1, "new_rss": 2,
            "ready_ms": 3, "drain_ms": 4, "inflight_at_drain": 1, "killed": false}],
        "requests": {"served": 1, "failed": 0, "max_latency_ms": 1}, "queue": {"before": null, "after": null},
        "system": {"mem": {"total": 2, "used": 1}, "swap": {"total": 2, "used": 1}, "cpu_percent": 1.0,
            "disk": [{"path": "t", "total": 2, "free": 1, "used_percent": 50.0}],
            "load": [0.0, 0.0, 0.0], "connections": 0, "fds": 0, "psi": [0.0, 0.0, 0.0]},
        "pg": {"version": "t", "size": 1, "wal": 1, "conns": 1, "max_conns": 2, "xid_age": 3, "checksum_failures": 1,
            "stale": ["t"]},
        "backup": {"file": null, "size": null, "verified": false, "ms": 1, "error": "t"},
        "warnings": ["t", "t"], "log_tail": ["t", "t"],
    })
}

/// Fills every text that is not ours.
fn fill(value: &mut Value, text: &mut impl FnMut() -> String) {
    match value {
        Value::String(old) => *old = text(),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, text)),
        Value::Object(members) => {
            members
                .iter_mut()
                .filter(|(name, _)| !OURS.contains(&name.as_str()))
                .for_each(|(_, item)| fill(item, text));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn place(secrets: Vec<Secret>) -> Place {
    let receiver = |channel| Receiver {
        channel,
        address: Secret::new("https://receiver.example.com/x"),
        secret: Some(Secret::new("signing-secret")),
        on: crate::channels::On::Always,
        language: None,
    };
    Place {
        shown: "/data".into(),
        version: "1".to_owned(),
        supervisor: 1,
        port: 8000,
        public_url: "https://errors.example.com".to_owned(),
        timezone: None,
        app: None,
        postgres: PostgresPlace::Absent,
        redis: RedisPlace::Absent,
        app_owner: None,
        channels: Channels { receivers: Channel::ALL.map(receiver).to_vec(), webhook_secret: None, mail: None },
        secrets,
        backup: BackupRules::default(),
    }
}

/// What a reader sees in the end: the escapes of JSON, HTML and Markdown undone.
fn read_by_people(text: &str) -> String {
    let mut text = text.to_owned();
    for (escape, letter) in [
        ("\\\\", "\\"),
        ("\\\"", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#42;", "*"),
        ("&#96;", "`"),
        ("&#91;", "["),
        ("&#93;", "]"),
        ("&sim;", "~"),
        ("&amp;", "&"),
        ("\u{200b}", ""),
    ] {
        if text.contains(escape) {
            text = text.replace(escape, letter);
        }
    }
    text
}

fn assert_hidden(hidden: &[String], text: &str, what: &str) {
    let read = read_by_people(text);
    let bare = read.replace('\\', "");
    for secret in hidden {
        assert!(!text.contains(secret.as_str()), "{secret:?} is in {what}: {text}");
        assert!(!read.contains(secret.as_str()), "{secret:?} is to be read in {what}: {text}");
        assert!(!bare.contains(&secret.replace('\\', "")), "{secret:?} is to be read in {what}: {text}");
        assert!(!text.contains(&url_encoded(secret)), "{secret:?} is in {what}, percent-encoded: {text}");
    }
}

fn look_at_reports(seed: u64, count: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let noise: Vec<char> = "ab 09-_.:/=<>&*`[]\n\"'".chars().collect();
    let template = template();
    for _ in 0..count / A_HOUSE {
        let (given, hidden) = secrets(&mut random);
        let (place, redactor) = (place(given.clone()), Redactor::new(&given));
        for number in 0..A_HOUSE {
            let mut report = template.clone();
            fill(&mut report, &mut || {
                let secret = hidden[random.random_range(0..hidden.len())].clone();
                let guise = disguised(&mut random, &secret);
                format!("{}{guise}{}", word(&mut random, &noise, 0, 12), word(&mut random, &noise, 0, 12))
            });
            let report: Report = serde_json::from_value(report).unwrap();
            let report = redact(report, &redactor);
            let channel = Channel::ALL[number % Channel::ALL.len()];
            let letter = letters_for(&place, &report, &[channel]).remove(0);
            assert_hidden(&hidden, &letter.body.to_string(), "the letter");
            let language = pick(&mut random, &[&Language::English, &Language::Chinese]);
            for (what, body) in forms_of_all(&redactor, channel, &letter.body, *language) {
                assert_hidden(&hidden, &body, what);
            }
        }
    }
}

#[test]
fn no_secret_leaves_in_ten_thousand_reports() {
    let threads: Vec<_> =
        (0..THREADS as u64).map(|seed| std::thread::spawn(move || look_at_reports(seed, REPORTS / THREADS))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_report_whose_words_are_somebodys_secret_is_still_understood() {
    let mut value = template();
    fill(&mut value, &mut || "web".to_owned());
    let report: Report = serde_json::from_value(value).unwrap();
    let secrets = ["schedule", "degraded", "restart.report", "2026-11-20T03:01:00Z"].map(Secret::new).to_vec();
    let letter = letters_for(&place(secrets), &report, &[Channel::Webhook]).remove(0);
    let page = Page::read(&letter.body, Language::English).unwrap();
    assert_eq!(report.result, Outcome::Degraded);
    assert!(page.head.iter().any(|fact| fact.value.contains("degraded")), "{page:?}");
    assert!(letter.created_at <= Utc::now());
}
