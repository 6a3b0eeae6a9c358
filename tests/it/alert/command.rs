//! `glitchbox mail test`, and what settings for mail are refused.

use std::process::{Command, Output};

use crate::support::MailSink;

/// Runs the program with nothing but these variables.
async fn glitchbox(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glitchbox"));
    command.args(arguments).env_clear().envs(environment.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn mail_can_be_tried() {
    let sink = MailSink::start().await;
    let url = format!("smtp://me:pa55%20word-1@127.0.0.1:{}", sink.port());
    let arguments = ["mail", "test", "--to", "Dev@localhost"];
    let output = glitchbox(&arguments, &[("EMAIL_URL", &url)]).await;
    assert!(output.status.success(), "{}", said(&output.stderr));
    let mail = sink.wait_for("dev@localhost", 1).await.remove(0);
    assert_eq!(
        (mail.from.as_str(), mail.header("Subject").as_str()),
        ("glitchbox@localhost", "[glitchbox] Mail from glitchbox arrives")
    );

    let output = glitchbox(&arguments, &[("EMAIL_URL", "consolemail://")]).await;
    assert!(said(&output.stdout).contains("Mail from glitchbox arrives"));

    drop(sink);
    for (url, wanted) in [(url.as_str(), "onnection refused"), ("", "EMAIL_URL is not set")] {
        let output = glitchbox(&arguments, &[("EMAIL_URL", url)]).await;
        assert_eq!(output.status.code(), Some(1));
        let text = said(&output.stderr);
        assert!(text.contains(wanted) && text.lines().count() == 1 && !text.contains("pa55"), "{text}");
    }
}

#[tokio::test]
async fn settings_for_mail_that_cannot_be_right_prevent_the_start() {
    for (name, value) in [
        ("EMAIL_URL", "smtp://me:pa55/word@mail:25"),
        ("EMAIL_URL", "mail.example.com:25 pa55word"),
        ("EMAIL_URL", "filemail:///tmp/pa55word"),
        ("DEFAULT_FROM_EMAIL", "errors@example.com\nBcc: all@example.com"),
        ("DEFAULT_FROM_EMAIL", "Errors errors@example.com>"),
        ("ADMIN_EMAIL", "admin@example.com\r\nBcc: all@example.com"),
    ] {
        let output = glitchbox(&["check"], &[(name, value)]).await;
        let text = said(&output.stderr);
        assert_eq!(output.status.code(), Some(15), "{name}={value}");
        assert!(text.starts_with(&format!("{name}: expected ")) && text.lines().count() == 1, "{text}");
        assert!(!text.contains("pa55"), "{text}");
    }
}
