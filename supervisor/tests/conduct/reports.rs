//! Who is told of a restart, and what becomes of it when they do not listen.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::appliance::{Appliance, SUPERVISOR, wait_until};
use super::receiver::Receiver;

const PLAN: &str = "[service.quiet]\nkind = \"exec\"\ncommand = [\"sleep\", \"1000\"]\n";

fn start(variables: &[(&str, &str)]) -> Appliance {
    let appliance = Appliance::start_with(PLAN, &[], variables);
    appliance.until_said("supervisor | ready in");
    appliance
}

/// How far a report has come, by channel: the status and how often it was tried.
fn deliveries(appliance: &Appliance, id: &str) -> BTreeMap<String, String> {
    let shown: Value = serde_json::from_str(&appliance.done(&["report", "show", id, "--json"])).unwrap();
    let text = |row: &Value| (row["channel"].as_str().unwrap().to_owned(), row["status"].as_str().unwrap().to_owned());
    shown["deliveries"].as_array().unwrap().iter().map(text).collect()
}

/// Makes a report; its name.
fn restart(appliance: &Appliance) -> String {
    let report: Value = serde_json::from_str(&appliance.done(&["scheduled-restart", "--json"])).unwrap();
    assert_eq!(report["result"], "ok", "{report}");
    report["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_report_goes_to_each_channel_in_its_form_and_again_when_asked() {
    let (feishu, webhook, mail) = (Receiver::http(&[]), Receiver::http(&[]), Receiver::smtp(&[]));
    let server = format!("smtp://127.0.0.1:{}", mail.port());
    let appliance = start(&[
        ("FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL", &feishu.url("/hook")),
        ("RESTART_WEBHOOK_URL", &webhook.url("/reports")),
        ("RESTART_WEBHOOK_SECRET", "secret-of-the-webhook"),
        ("REPORT_EMAIL_TO", "ops@example.com, dev@example.com"),
        ("REPORT_EMAIL_LANGUAGE", "en"),
        ("DEFAULT_FROM_EMAIL", "Errors <errors@example.com>"),
        ("EMAIL_URL", &server),
        ("GLITCHTIP_DOMAIN", "https://errors.example.com/<b>"),
    ]);
    let id = restart(&appliance);
    let told = || deliveries(&appliance, &id).values().filter(|status| *status == "delivered").count();
    wait_until(|| told() == 3, || format!("{:?}\n{}", deliveries(&appliance, &id), appliance.output()));

    let card: Value = serde_json::from_str(&feishu.all()[0].body).unwrap();
    assert_eq!((&card["msg_type"], &card["card"]["header"]["template"]), (&"interactive".into(), &"green".into()));
    assert!(card.to_string().contains("执行时间"), "{card}");
    let document = &webhook.all()[0];
    assert_eq!(document.header("idempotency-key"), Some(id.as_str()));
    let signature = glitchbox_notify::generic::signature("secret-of-the-webhook", document.body.as_bytes());
    assert_eq!(document.header("x-signature"), Some(signature.as_str()));
    let mails = mail.all();
    assert!(mails[0].head.contains("<ops@example.com>") && mails[1].head.contains("<dev@example.com>"), "{mails:?}");
    let text = &mails[0].body;
    for wanted in [
        "From: Errors <errors@example.com>",
        "To: ops@example.com",
        "multipart/alternative",
        "text/html",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert!(text.contains(&format!("Message-ID: <{id}@errors.example.com>")), "{text}");
    assert!(!text.contains("errors.example.com/<b>") || text.contains("&lt;b&gt;"), "{text}");

    // Once more, where it was taken, and only there.
    let answer = appliance.done(&["report", "resend", "--channel", "webhook"]);
    assert_eq!(answer, format!("{id} goes to webhook; `supervisor report show {id}` says how far it has come.\n"));
    wait_until(|| webhook.all().len() == 2, || appliance.output());
    assert_eq!(webhook.all()[1].header("idempotency-key"), Some(id.as_str()));
    let answer: Value = serde_json::from_str(&appliance.done(&["report", "resend", &id, "--json"])).unwrap();
    assert_eq!(answer, json!({ "report": id, "channels": ["feishu", "email", "webhook"] }));
    wait_until(|| feishu.all().len() == 2 && mail.all().len() == 4, || appliance.output());
    assert!(appliance.refused(&["report", "resend", "restart-0"]).contains("There is no report \"restart-0\"."));
}

#[test]
fn each_service_gets_its_own_form_and_is_left_alone_as_long_as_it_asks() {
    let slow = ["429 Slow down\r\nRetry-After: 2\r\n\r\n"];
    let lark_limit = ["200 OK\r\n\r\n{\"code\":19001,\"msg\":\"param invalid\"}"];
    // The variable, what the address ends in, what the service says first, and what its form has in it.
    let services: [(&str, &str, &[&str], &str); 8] = [
        ("REPORT_LARK_URL", "/hook", &lark_limit, "\"interactive\""),
        ("REPORT_DINGTALK_URL", "/robot/send?access_token=x", &[], "\"markdown\""),
        ("REPORT_WECOM_URL", "/cgi-bin/webhook/send?key=x", &[], "\"markdown\""),
        ("REPORT_SLACK_URL", "/services/T/B/x", &slow, "\"attachments\""),
        ("REPORT_DISCORD_URL", "/api/webhooks/1/x", &[], "\"embeds\""),
        ("REPORT_TEAMS_URL", "/workflows/x", &[], "AdaptiveCard"),
        ("REPORT_TELEGRAM_URL", "/bot1:x/sendMessage?chat_id=-1001", &[], "\"-1001\""),
        ("REPORT_NTFY_URL", "/restarts", &[], "\"restarts\""),
    ];
    let receivers = services.map(|(_, _, moods, _)| Receiver::http(moods));
    let urls: Vec<(&str, String)> =
        services.iter().zip(&receivers).map(|(service, receiver)| (service.0, receiver.url(service.1))).collect();
    let mut variables: Vec<(&str, &str)> = urls.iter().map(|(name, url)| (*name, url.as_str())).collect();
    variables.extend([
        ("REPORT_DINGTALK_SECRET", "secret-of-the-robot"),
        ("REPORT_NTFY_SECRET", "tk_token-of-ntfy"),
        ("REPORT_LANGUAGE", "en"),
    ]);
    let appliance = start(&variables);
    let since = Instant::now();
    let id = restart(&appliance);
    let told = || deliveries(&appliance, &id).values().filter(|status| *status == "delivered").count();
    wait_until(|| told() == 8, || format!("{:?}\n{}", deliveries(&appliance, &id), appliance.output()));
    assert!(since.elapsed() > Duration::from_secs(2), "Slack was not left alone");
    for ((name, _, moods, form), receiver) in services.iter().zip(&receivers) {
        let last = receiver.all().pop().unwrap();
        assert_eq!(receiver.all().len(), 1 + moods.len(), "{name}");
        assert!(last.body.contains(form) && last.body.contains("glitchbox restart report"), "{name}: {last:?}");
        assert!(last.header("content-type").unwrap().starts_with("application/json"), "{name}: {last:?}");
    }
    let [_, dingtalk, .., ntfy] = &receivers;
    assert!(dingtalk.all()[0].head.contains("&sign="), "{:?}", dingtalk.all());
    assert_eq!(ntfy.all()[0].header("authorization"), Some("Bearer tk_token-of-ntfy"));
    assert!(!appliance.output().contains("token-of-ntfy"), "{}", appliance.output());
}

#[test]
fn channels_are_told_always_at_failure_or_at_a_change() {
    let (always, change, mail) = (Receiver::http(&[]), Receiver::http(&[]), Receiver::smtp(&[]));
    let appliance = start(&[
        ("FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL", &change.url("/")),
        ("FEISHU_REPORT_ON", "change"),
        ("RESTART_WEBHOOK_URL", &always.url("/")),
        ("RESTART_WEBHOOK_ON", "always"),
        ("REPORT_ON", "failure"),
        ("REPORT_EMAIL_TO", "ops@example.com"),
        ("EMAIL_URL", &format!("smtp://127.0.0.1:{}", mail.port())),
    ]);
    appliance.done(&["scheduled-restart", "--dry-run"]);
    let names = |id: &str| deliveries(&appliance, id).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&restart(&appliance)), ["feishu", "webhook"], "the first one is a change, and no failure");
    let second = restart(&appliance);
    assert_eq!(names(&second), ["webhook"]);
    wait_until(|| always.all().len() == 2 && change.all().len() == 1, || appliance.output());
    assert!(mail.all().is_empty());
    // As if that one had failed.
    let file = appliance.path(&format!("data/logs/reports/{second}.json"));
    let text = std::fs::read_to_string(&file).unwrap().replace("\"result\": \"ok\"", "\"result\": \"failed\"");
    std::fs::write(&file, text).unwrap();
    assert_eq!(names(&restart(&appliance)), ["feishu", "webhook"], "well again");
    appliance.done(&["report", "resend", &second, "--channel", "email"]);
    wait_until(|| mail.all().len() == 1, || appliance.output());
    assert!(mail.all()[0].body.contains("Subject: "), "{:?}", mail.all());
}

#[test]
fn a_receiver_that_is_away_gets_its_letters_in_order_and_one_that_lies_is_not_believed() {
    let webhook = Receiver::http(&["503 Busy\r\n\r\n", "302 Found\r\nLocation: /elsewhere\r\n\r\n"]);
    let lying = "200 OK\r\n\r\n{\"code\":19024,\"msg\":\"Key Words Not Found\"}";
    let feishu = Receiver::http(&[lying]);
    let appliance = start(&[
        ("RESTART_WEBHOOK_URL", &webhook.url("/x")),
        ("FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL", &feishu.url("/x")),
    ]);
    let ids = [restart(&appliance), restart(&appliance), restart(&appliance)];
    let told = |channel: &str| {
        ids.iter().all(|id| deliveries(&appliance, id).get(channel).is_some_and(|status| status == "delivered"))
    };
    wait_until(|| told("webhook") && told("feishu"), || appliance.output());
    // Twice in vain, and nothing of the second report before the first one was taken.
    let keys: Vec<String> = webhook.all().iter().map(|it| it.header("idempotency-key").unwrap().to_owned()).collect();
    let place = |id: &String| ids.iter().position(|known| known == id).unwrap();
    assert_eq!(keys.iter().map(place).collect::<Vec<_>>(), [0, 0, 0, 1, 2]);
    assert!(webhook.all().iter().all(|it| it.head.starts_with("POST /x ")), "a redirect was followed");
    assert_eq!(feishu.all().len(), 4);
    let output = appliance.output();
    for wanted in
        ["not taken (attempt 1): HTTP 503", "not taken (attempt 2): HTTP 302", "code 19024: Key Words Not Found"]
    {
        assert!(output.contains(wanted), "{wanted} in {output}");
    }
}

#[test]
fn a_reader_the_mail_server_refuses_does_not_keep_the_mail_from_others() {
    // The first reader is unknown for good, the second one not now.
    let mail = Receiver::smtp(&["550 no such user", "250 fine", "450 not now", "550 no such user"]);
    let appliance = start(&[
        ("REPORT_EMAIL_TO", "gone@example.com, a@example.com, b@example.com"),
        ("EMAIL_URL", &format!("smtp://127.0.0.1:{}", mail.port())),
    ]);
    let id = restart(&appliance);
    wait_until(|| mail.all().len() == 3, || appliance.output());
    wait_until(|| deliveries(&appliance, &id)["email"] == "delivered", || appliance.output());
    let mails = mail.all();
    let readers: Vec<&str> = ["a@", "b@", "gone@"]
        .into_iter()
        .filter(|reader| mails.iter().filter(|mail| mail.head.contains(&format!("<{reader}"))).count() == 1)
        .collect();
    assert_eq!(readers, ["a@", "b@", "gone@"], "each had it once");
    assert!(appliance.output().contains("gone@example.com: the mail server: "), "{}", appliance.output());
}

#[test]
fn a_test_message_tells_what_each_channel_answers() {
    let appliance = start(&[]);
    assert!(appliance.refused(&["report", "test"]).contains("No channel is set up: set one of FEISHU_GROUP"));
    drop(appliance);
    let (feishu, webhook) = (Receiver::http(&[]), Receiver::http(&["500 Broken\r\n\r\n"]));
    let appliance = start(&[
        ("FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL", &feishu.url("/token-of-the-robot")),
        ("RESTART_WEBHOOK_URL", &webhook.url("/")),
    ]);
    let output = appliance.command(&["report", "test"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("feishu: taken after ") && text.contains("webhook: NOT TAKEN: HTTP 500\n"), "{text}");
    assert!(feishu.all()[0].body.contains("测试消息"), "{:?}", feishu.all());
    let document: Value = serde_json::from_str(&webhook.all()[0].body).unwrap();
    assert_eq!(document["kind"], "report.test");
    // It is tried once, and is no report.
    let all: Value =
        serde_json::from_str(&appliance.done(&["report", "test", "--channel", "webhook", "--json"])).unwrap();
    assert_eq!((&all["channels"][0]["channel"], &all["channels"][0]["ok"]), (&"webhook".into(), &true.into()));
    assert_eq!(appliance.done(&["report", "list"]), "There are no reports yet.\n");
    assert!(appliance.refused(&["report", "test", "--channel", "email"]).contains("REPORT_EMAIL_TO is not set"));
    let unknown = appliance.command(&["report", "test", "--channel", "pigeon"]);
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("there are these channels: feishu"));
}

#[test]
fn a_receiver_that_hangs_delays_no_restart() {
    let webhook = Receiver::http(&["hang", "hang", "hang"]);
    let appliance = start(&[("RESTART_WEBHOOK_URL", &webhook.url("/"))]);
    restart(&appliance);
    wait_until(|| !webhook.all().is_empty(), || appliance.output());
    let since = Instant::now();
    restart(&appliance);
    assert!(since.elapsed() < Duration::from_secs(9), "the restart waited for its receiver");
}

#[test]
fn a_delivery_killed_again_and_again_loses_no_letter() {
    let webhook = Receiver::http(&[]);
    let data = tempfile::tempdir().unwrap();
    for folder in ["logs", "spool", "spool/reports"] {
        std::fs::create_dir(data.path().join(folder)).unwrap();
    }
    let mut wanted: Vec<String> = (0..60).map(|number| format!("restart-{number:03}")).collect();
    for id in &wanted {
        let letter = json!({
            "report": id, "channel": "webhook", "created_at": "2026-11-20T03:01:00Z", "attempts": 0,
            "posting": 7, "next_at": "2026-11-20T03:01:00Z", "last_error": null, "body": { "n": id },
        });
        std::fs::write(data.path().join(format!("spool/reports/{id}.webhook.json")), letter.to_string()).unwrap();
    }
    let request = json!({
        "task": { "kind": "deliver" },
        "place": {
            "shown": "/data", "version": "1", "supervisor": 1, "port": 1, "public_url": "http://h", "timezone": null,
            "app": null, "postgres": "absent", "redis": "absent", "app_owner": null, "secrets": [],
            "backup": { "nightly": false, "keep": 1, "max_age_days": 1, "within_s": 60 },
            "channels": { "receivers": [{ "channel": "webhook", "address": webhook.url("/"), "secret": null, "on": "always", "language": null }], "webhook_secret": null, "mail": null },
        },
    });
    let deliver = || {
        let mut command = Command::new(SUPERVISOR);
        command.env_clear().arg("task").current_dir(data.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
        child
    };
    // Each is killed at some moment of its work, which ends with the receiver's answer or with the note of it.
    let mut kills = 0;
    while webhook.all().len() < 40 {
        let (mut child, before) = (deliver(), webhook.all().len());
        let more = 1 + kills % 3;
        wait_until(|| webhook.all().len() >= before + more, || format!("{kills} kills"));
        std::thread::sleep(Duration::from_micros(300 * u64::try_from(kills).unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(deliver().wait().unwrap().success());
    let mut had: BTreeMap<String, usize> = BTreeMap::new();
    for received in webhook.all() {
        *had.entry(received.header("idempotency-key").unwrap().to_owned()).or_default() += 1;
    }
    wanted.retain(|id| !had.contains_key(id));
    assert!(wanted.is_empty(), "lost: {wanted:?}");
    // A kill between the answer and the note costs one repetition, which the receiver knows by its key; never more.
    assert!(had.values().sum::<usize>() <= 60 + kills, "{kills} kills: {had:?}");
    let left = std::fs::read_dir(data.path().join("spool/reports")).unwrap();
    let left: Vec<_> =
        left.map(|entry| entry.unwrap().file_name()).filter(|name| !name.to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
    for id in had.keys() {
        let note = std::fs::read_to_string(data.path().join(format!("logs/reports/{id}.webhook.delivery"))).unwrap();
        assert!(note.contains("\"delivered\""), "{note}");
    }
}
