//! The front: a message as the request that a service wants, and the service's answer as a verdict.

use crate::fit::clean;
use crate::verdict::{Answer, Verdict};
use crate::{
    Kind, Message, dingtalk, discord, feishu, fit, generic, is_service, limits, ntfy, slack, teams, telegram, wecom,
};

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The form to use.
    pub kind: Kind,
    /// As the service shows it; of Telegram with `?chat_id=` at its end, of ntfy with the topic. It may be a secret: for
    /// most services whoever knows it can send.
    pub url: &'a str,
    /// What messages are signed with ([`Kind::takes_secret`]), or ntfy's access token.
    pub secret: Option<&'a str>,
}

/// A POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to. It may have a secret or a signature in it.
    pub url: String,
    /// `Content-Type` and what else the service wants.
    pub headers: Vec<(&'static str, String)>,
    /// JSON, within the service's [`limits`].
    pub body: Vec<u8>,
}

/// Makes the request: within the service's size, shortened with a mark where need be, calling nobody, and with no
/// markup in it that came from the message. `id` is the same whenever the same message is sent again, and `word` says
/// what it is to programs (`restart.report`, `test`); both reach programs only. `now_ms` is in milliseconds
/// since 1970: signatures are good for about an hour.
///
/// # Errors
/// What is wrong with the address, without repeating it.
pub fn request(target: &Target<'_>, message: &Message, id: &str, word: &str, now_ms: i64) -> Result<Request, String> {
    let Target { kind, url, secret } = *target;
    let limit = limits(kind).bytes;
    let message = clean(message, limit);
    let secret = secret.filter(|secret| !secret.is_empty() && kind.takes_secret());
    // An address that is none is refused for each kind alike.
    crate::address::split(url)?;
    let content_type = if kind == Kind::Generic { "application/json" } else { "application/json; charset=utf-8" };
    let mut headers = vec![("Content-Type", content_type.to_owned())];
    let (url, body) = match kind {
        Kind::Feishu | Kind::Lark => {
            let signed = secret.map(|secret| (secret, now_ms.div_euclid(1_000)));
            (url.to_owned(), feishu::body(&message, signed)?)
        }
        Kind::DingTalk => (dingtalk::address(url, secret, now_ms)?, dingtalk::body(&message)?),
        Kind::WeCom => (url.to_owned(), wecom::body(&message)?),
        Kind::Slack => {
            // Of those that take Slack's form some are programs of people's own.
            headers.push((generic::IDEMPOTENCY_HEADER, id.to_owned()));
            (url.to_owned(), slack::body(url, &message)?)
        }
        Kind::Discord => (discord::address(url)?, discord::body(&message)?),
        Kind::Teams => (url.to_owned(), teams::body(&message)?),
        Kind::Telegram => (telegram::address(url)?, telegram::body(url, &message)?),
        Kind::Ntfy => {
            headers.extend(secret.map(|secret| ("Authorization", ntfy::authorization(secret))));
            (ntfy::address(url)?, ntfy::body(url, &message)?)
        }
        Kind::Generic => {
            let within = |message: &Message| Some(generic::body(message, word)).filter(|body| body.len() <= limit);
            let body = fit(&message, within)?;
            headers.extend(generic::headers(secret, id, &body));
            (url.to_owned(), body)
        }
    };
    Ok(Request { url, headers, body })
}

/// Whether messages of this kind can be sent to this address, as far as it shows.
///
/// # Errors
/// What is wrong with it, without repeating it.
pub fn check(kind: Kind, url: &str) -> Result<(), String> {
    match kind {
        Kind::Telegram => telegram::address(url).map(drop),
        Kind::Ntfy => ntfy::address(url).map(drop),
        _ => crate::address::split(url).map(drop),
    }
}

/// What an answer from `url` means: its status, its `Retry-After` in seconds, and the beginning of its body. Services that
/// answer 200 whatever happens are asked what they say in it.
pub fn verdict(kind: Kind, url: &str, status: u16, retry_after: Option<&str>, body: &[u8]) -> Verdict {
    let answer = Answer { is_own: is_service(url), ..Answer::new(status, retry_after, body) };
    match kind {
        Kind::Feishu | Kind::Lark => feishu::verdict(&answer),
        Kind::DingTalk => dingtalk::verdict(&answer),
        Kind::WeCom => wecom::verdict(&answer),
        Kind::Slack => slack::verdict(&answer),
        Kind::Discord => discord::verdict(&answer),
        Kind::Teams => teams::verdict(&answer),
        Kind::Telegram => telegram::verdict(&answer),
        Kind::Ntfy => ntfy::verdict(&answer),
        Kind::Generic => generic::verdict(&answer),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::tests::message;
    use crate::{Language, Level};

    fn url(kind: Kind) -> &'static str {
        match kind {
            Kind::Telegram => "https://api.telegram.org/bot1:x/sendMessage?chat_id=1",
            Kind::Ntfy => "https://ntfy.sh/topic",
            _ => "https://example.org/hook?key=x",
        }
    }

    fn made(kind: Kind, secret: Option<&str>, message: &Message) -> Request {
        let target = Target { kind, url: url(kind), secret };
        request(&target, message, "id", "test", 1_599_360_473_000).unwrap()
    }

    fn texts(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::String(text) => out.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
            Value::Object(fields) => fields.values().for_each(|field| texts(field, out)),
            _ => {}
        }
    }

    /// What must hold of a request whatever the message says.
    fn check(kind: Kind, request: &Request) {
        assert!(request.body.len() <= limits(kind).bytes, "{kind:?}: {} bytes", request.body.len());
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        // Titles in which the service itself looks for no markup.
        for plain in ["/card/header/title", "/markdown/title", "/summary"] {
            body.pointer_mut(plain).map(Value::take);
        }
        let mut all = Vec::new();
        texts(&body, &mut all);
        for text in &all {
            assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{kind:?}: {text:?}");
            // Programs, Discord (told below) and ntfy take all for plain text.
            let tags: &[&str] = match kind {
                Kind::Feishu | Kind::Lark | Kind::DingTalk | Kind::WeCom | Kind::Slack | Kind::Telegram => {
                    &["<at", "<!", "<@", "<img"]
                }
                Kind::Teams => &["<at>", "</at>", "{{"],
                Kind::Discord | Kind::Ntfy | Kind::Generic => &[],
            };
            for tag in tags {
                assert!(!text.contains(tag), "{kind:?}: {tag}: {text:?}");
            }
            if matches!(kind, Kind::DingTalk | Kind::WeCom | Kind::Slack | Kind::Telegram) {
                // Within a word it is a mail address.
                let mut words = text.split('@').zip(text.split('@').skip(1));
                let is_call = |(before, after): (&str, &str)| {
                    !before.ends_with(|letter: char| letter.is_ascii_alphanumeric())
                        && after.starts_with(char::is_alphanumeric)
                };
                assert!(!words.any(is_call), "{kind:?}: {text:?}");
            }
            if kind == Kind::Slack {
                for mark in ["](", "][", "]:"] {
                    assert!(!text.contains(mark), "{kind:?}: {mark}: {text:?}");
                }
            }
            if matches!(kind, Kind::DingTalk | Kind::WeCom) {
                let own = text.matches("[View](https://").count() + text.matches("[查看](https://").count();
                assert!(text.matches("](").count() <= own.min(1), "{kind:?}: {text:?}");
            }
        }
        match kind {
            Kind::Discord => assert_eq!(body["allowed_mentions"]["parse"], serde_json::json!([])),
            Kind::DingTalk => assert_eq!(body["at"]["isAtAll"], false),
            _ => {}
        }
    }

    fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("@all ".to_owned()),
            Just("@everyone".to_owned()),
            Just("<!channel>".to_owned()),
            Just("<@all>".to_owned()),
            Just("<at id=all></at>".to_owned()),
            Just("[x](https://evil.example/)".to_owned()),
            Just("![x](https://evil.example/p.png)<img src=x>".to_owned()),
            Just("\u{1b}[31m\u{0}\u{7}\u{202e}".to_owned()),
            Just("\n# > **`_~|{{DATE(x)}}\\\"".to_owned()),
            Just("错误：空指针异常\n".to_owned()),
            Just("😀👩‍👩‍👧".to_owned()),
            any::<char>().prop_map(String::from),
            "[ -~]{0,12}",
        ];
        (prop::collection::vec(piece, 0..12), prop_oneof![4 => Just(1_usize), 1 => Just(300)])
            .prop_map(|(pieces, times)| pieces.concat().repeat(times))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_message_says_its_request_is_within_bounds_and_calls_nobody(
            title in nasty(),
            facts in prop::collection::vec((nasty(), nasty()), 0..6),
            body in nasty(),
            link in prop_oneof![Just(None), Just(Some("https://a.example/(b)".to_owned())), nasty().prop_map(Some)],
            is_chinese in any::<bool>(),
        ) {
            let language = if is_chinese { Language::Chinese } else { Language::English };
            let message = Message { title, level: Level::Error, facts, body, link, language };
            for kind in Kind::ALL {
                check(kind, &made(kind, Some("secret"), &message));
            }
        }

        #[test]
        fn whatever_an_answer_says_there_is_a_verdict(status in 100_u16..600, after in ".{0,12}", body in ".{0,200}") {
            for kind in Kind::ALL {
                let read = verdict(kind, url(kind), status, Some(&after), body.as_bytes());
                prop_assert!(read != Verdict::Taken || (200..300).contains(&status), "{kind:?} {status}");
            }
        }
    }

    #[test]
    fn a_hundred_kilobytes_of_chinese_are_shortened_with_a_mark_and_stay_worth_reading() {
        for text in ["错误：空指针异常。", "\"\\\u{1}<&*_"] {
            let long = text.repeat(100 * 1024 / text.len());
            let facts = (0..60).map(|number| (format!("名称{number}"), long.clone())).collect();
            let message = Message { title: long.clone(), facts, body: long.clone(), ..message() };
            for kind in Kind::ALL {
                let request = made(kind, Some("secret"), &message);
                check(kind, &request);
                assert!(String::from_utf8(request.body.clone()).unwrap().contains('…'), "{kind:?}");
                assert!(request.body.len() > limits(kind).bytes / 6, "{kind:?}: {}", request.body.len());
            }
        }
    }

    #[test]
    fn only_those_that_sign_sign() {
        let names = |kind: Kind, secret| -> Vec<&str> {
            made(kind, secret, &message()).headers.iter().map(|(name, _)| *name).collect()
        };
        for kind in Kind::ALL {
            let (bare, signed) = (made(kind, None, &message()), made(kind, Some("secret"), &message()));
            assert_eq!(bare != signed, kind.takes_secret(), "{kind:?}");
            assert_eq!(made(kind, Some(""), &message()), bare, "{kind:?}");
        }
        assert_eq!(names(Kind::Ntfy, Some("tk")), ["Content-Type", "Authorization"]);
        let generic = ["Content-Type", "Idempotency-Key", "X-Signature", "X-Signature-256"];
        assert_eq!(names(Kind::Generic, Some("s")), generic);
        assert_eq!(names(Kind::Slack, Some("s")), ["Content-Type", "Idempotency-Key"]);
        assert_eq!(names(Kind::DingTalk, Some("s")), ["Content-Type"]);
    }

    #[test]
    fn an_address_that_is_none_is_refused_for_each_kind() {
        for kind in Kind::ALL {
            let target = Target { kind, url: "hooks.example/secret", secret: None };
            let why = request(&target, &message(), "id", "test", 0).unwrap_err();
            assert!(!why.contains("secret"), "{kind:?}: {why}");
            assert_eq!(super::check(kind, target.url), Err(why));
            assert_eq!(super::check(kind, url(kind)), Ok(()));
        }
    }

    #[test]
    fn nothing_found_at_a_server_of_ones_own_may_be_there_soon() {
        for status in [404, 405] {
            for (kind, own, foreign) in [
                (Kind::Slack, "https://hooks.slack.com/services/x", "https://chat.example.org/hooks/x"),
                (Kind::Ntfy, "https://ntfy.sh/topic", "https://push.example.org/topic"),
            ] {
                let read = |url| verdict(kind, url, status, None, b"");
                assert!(matches!(read(own), Verdict::Refused { is_message: false, .. }), "{kind:?} {status}");
                assert!(matches!(read(foreign), Verdict::Later { .. }), "{kind:?} {status}");
            }
        }
        let read = verdict(Kind::Slack, "https://discord.com/api/webhooks/1/x/slack", 404, None, b"");
        assert!(matches!(read, Verdict::Refused { .. }), "{read:?}");
    }

    #[test]
    fn a_yes_that_is_a_no_is_seen_by_all_that_lie() {
        for (kind, body) in [
            (Kind::Feishu, r#"{"code":19001,"msg":"x"}"#),
            (Kind::Lark, r#"{"code":19001,"msg":"x"}"#),
            (Kind::DingTalk, r#"{"errcode":310000}"#),
            (Kind::WeCom, r#"{"errcode":93000}"#),
        ] {
            let read = verdict(kind, url(kind), 200, None, body.as_bytes());
            assert!(matches!(read, Verdict::Refused { .. }), "{kind:?}: {read:?}");
        }
    }
}
