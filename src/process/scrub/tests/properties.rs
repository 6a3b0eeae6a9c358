//! For any text: scrubbing it again changes nothing, and hostile ones cost no more than their length.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::super::scrub;
use super::super::text::{self, Extent, Style};
use crate::process::ScrubRules;
use crate::process::tests::processed;

fn once(text: &str, style: Style) -> String {
    text::scrub(text, &ScrubRules::default(), style, Extent::All)
        .map_or_else(|| text.to_owned(), |(scrubbed, _)| scrubbed)
}

/// Parts of secrets and of what stands around them.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(
            &[
                "password",
                "token",
                "api_key",
                "--password ",
                "--",
                "=",
                ":",
                ": ",
                " = ",
                "=>",
                "\"",
                "'",
                "\\\"",
                "{",
                "}",
                "[",
                "]",
                "(",
                ")",
                ",",
                "&",
                ";",
                " ",
                "\n",
                "\\n",
                "Bearer ",
                "Basic ",
                "dXNlcjpwYXNz",
                "Authorization",
                "Cookie",
                "https://",
                "user:",
                "@host",
                "/",
                "@",
                "4111 1111 1111 1111",
                "4111111111111111",
                "378282246310005",
                "DE89370400440532013000",
                "078-05-1120",
                "-",
                ".",
                "1111",
                "-----BEGIN PRIVATE KEY-----",
                "-----END PRIVATE KEY-----",
                "eyJhbGciOi.eyJzdWIi.c2ln",
                "AKIAABCDEFGHIJKLMNOP",
                "ghp_abcdefghijABCDEFGHIJ0123",
                "[Filtered]",
                "[creditcard]",
                "[bearer]",
                "None",
                "hunter2",
                "é",
                "密码",
                "x",
                "?",
                "$1",
                "dsn",
                "key",
                "secret",
                "pw",
                "b'",
                "sk_live_0123456789ab",
                "xoxb-0123456789",
                "password is ",
                "token '",
                "AUTH ",
                "IDENTIFIED BY ",
                "curl -u ",
                "mysql -p",
                " -",
                "</password>",
                "<password>",
                "('password', '",
                "')",
                "%3D",
                "令牌为",
                "value=",
                "?sig=",
                "Some(",
            ][..]
        )
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn scrubbing_twice_is_scrubbing_once(text in pieces()) {
        for style in [Style::Plain, Style::Labelled] {
            let first = once(&text, style);
            prop_assert_eq!(once(&first, style), first);
        }
    }

    #[test]
    fn events_are_sound_and_settled(text in pieces(), name in "[a-zA-Z_.-]{0,12}") {
        let payload = json!({
            "message": text, "transaction": text, "tags": {"t": text}, "extra": {name.clone(): text, "n": [text, {"a": text}]},
            "request": {"url": text, "headers": {"X": text}, "data": text}, "exception": [{"type": "E", "value": text}],
        });
        let processed = processed(&payload);
        let _: Value = serde_json::from_slice(&processed.json).unwrap();
        let mut again = processed.event.clone();
        scrub(&mut again, payload.to_string().as_bytes(), &ScrubRules::default());
        prop_assert_eq!(&again.exception, &processed.event.exception);
        prop_assert_eq!(&again.extra, &processed.event.extra);
        prop_assert_eq!(&again.logentry, &processed.event.logentry);
        prop_assert_eq!(&again.request, &processed.event.request);
    }
}

/// What finders begin to read at, over and over.
const HOSTILE: &[&str] = &[
    "pass:",
    "dsn=",
    "cookie:",
    "password:'",
    "password=(",
    "password=[",
    "a://x:y",
    "://",
    "4111 ",
    "1-",
    "eyJ",
    "eyJa.",
    "sk-",
    "_live_",
    "Bearer ",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "DE89",
    "=",
    ":",
    "\\\"",
    "\"",
    "'key':",
    "password: a,",
    "token=\\",
    "@",
    "ghp_",
    "password is ",
    "password '",
    "token ",
    "token",
    "AUTH ",
    "IDENTIFIED BY '",
    " -p",
    " -u a:b",
    "curl -u ",
    "mysqli('",
    "PDO('a','b',",
    "</",
    "<password>",
    "x</password",
    "x</password>",
    "('password','",
    "'--password','",
    "password%3D",
    "%3D",
    "密码",
    "密码：",
    "user:p1@",
    "value=",
    "'password' value=",
    "?sig=",
    "hooks.slack.com/services/",
    "/hook/",
    "/webhook/send?key=",
    "1//0",
    "4%2F0",
    "$2y$10$",
    "*0A",
    "{SSHA}",
    "scrypt:1:",
    "aB1_",
    "a_aB1",
    "LTAI",
    ":AA",
    "insert into t(password) values ('a',",
    "insert into (",
    "user x password '",
    "net use a",
    "schtasks /",
    "pgpass a:1:b:",
    "sqlplus a/",
    "Passwort ",
    "mot de passe ist ",
    "пароль",
    "パスワード",
    "code is 1 ",
    "my password is ",
    "name=\"password\"\r\n\r\n",
    "!a ",
    "password: !a/b ",
    "arn:password:",
    "password=\"bearer bearer ",
];

#[test]
fn hostile_texts_cost_no_more_than_their_length() {
    let size = 64 * 1024;
    for piece in HOSTILE {
        let text = piece.repeat(size / piece.len());
        let start = Instant::now();
        once(&text, Style::Plain);
        let taken = start.elapsed();
        // A debug build on a busy machine; quadratic work would take minutes.
        assert!(taken < Duration::from_secs(2), "{piece}: {taken:?}");
    }
}
