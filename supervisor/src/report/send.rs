//! Sends one message by one channel, once.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use glitchbox_notify::{
    Kind, Language as Tongue, Request, Target, Verdict, feishu, generic, kind_of, request, verdict,
};
use reqwest::Url;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use serde_json::Value;

use super::card::card;
use super::mail;
use super::page::Page;
use super::redact::Redactor;
#[cfg(test)]
use crate::channels::Channel;
use crate::channels::{Language, Receiver};
use crate::settings::Secret;
use crate::task::Place;

/// A receiver has this long to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Longest answer read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What is sent.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    /// The same at each attempt: by it a receiver knows a repetition.
    pub(super) id: String,
    /// For programs; people get the [`Page`] of it.
    pub(super) document: Value,
    /// Mail only: who has it already.
    pub(super) reached: Vec<String>,
}

/// Why a receiver did not take it.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: String,
    /// How long it wants to be left alone.
    pub(super) wish: Option<Duration>,
    pub(super) how: Refusal,
}

/// What an attempt that failed says about others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing is taken there at the moment: whatever comes next waits too.
    Away,
    /// This one is not taken, for what it is or for how we are set up; another one may be.
    ThisOne,
    /// There is nobody to send it to, or nothing that could be sent.
    ForGood,
}

impl Refused {
    pub(super) fn away(error: impl Into<String>) -> Self {
        Self { error: error.into(), wish: None, how: Refusal::Away }
    }

    pub(super) fn this_one(error: impl Into<String>) -> Self {
        Self { how: Refusal::ThisOne, ..Self::away(error) }
    }

    pub(super) fn for_good(error: impl Into<String>) -> Self {
        Self { how: Refusal::ForGood, ..Self::away(error) }
    }
}

impl From<reqwest::Error> for Refused {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::away(format!("no answer within {} s", LIMIT.as_secs()));
        }
        // Its address may be a password, and its own words say little: the causes tell what happened.
        Self::away(causes(&error.without_url()))
    }
}

/// An error's words and those of what caused it.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.dedup();
    words.join(": ")
}

/// Sends it. `parcel.reached` grows with those who have taken it, also when others have not.
///
/// # Errors
/// Why it was not taken. The words may hold secrets.
pub(super) async fn send(
    place: &Place,
    redactor: &Redactor,
    receiver: &Receiver,
    parcel: &mut Parcel,
) -> Result<(), Refused> {
    let Some(kind) = receiver.channel.kind() else {
        return mail::send(place, receiver, &page(redactor, receiver, &parcel.document)?, parcel).await;
    };
    let url = receiver.address.expose();
    // Signed at each attempt: a signature is good for an hour.
    let now = Utc::now();
    let secret = receiver.secret.as_ref().map(Secret::expose);
    let request = match kind {
        Kind::Generic => {
            let body = serde_json::to_vec(&parcel.document).unwrap_or_default();
            let secret = place.channels.webhook_secret.as_ref().map(Secret::expose);
            let mut headers = generic::headers(secret, &parcel.id, &body);
            headers.push(json());
            Request { url: url.to_owned(), headers, body }
        }
        Kind::Feishu | Kind::Lark => {
            let page = page(redactor, receiver, &parcel.document)?;
            let signed = secret.map(|secret| (secret, now.timestamp()));
            let body = feishu::card_body(&card(&page), signed).to_string().into_bytes();
            Request { url: url.to_owned(), headers: vec![json()], body }
        }
        _ => {
            let message = page(redactor, receiver, &parcel.document)?.message();
            let target = Target { kind, url, secret };
            let word = parcel.document.get("kind").and_then(Value::as_str).unwrap_or_default();
            request(&target, &message, &parcel.id, word, now.timestamp_millis()).map_err(Refused::for_good)?
        }
    };
    let (status, retry_after, answer) = post(place, request).await?;
    match verdict(kind, url, status, retry_after.as_deref(), &answer) {
        Verdict::Taken => Ok(()),
        Verdict::Later { why, after } => Err(Refused { wish: after, ..Refused::away(why) }),
        Verdict::Refused { why, .. } => Err(Refused::this_one(why)),
    }
}

fn json() -> (&'static str, String) {
    ("Content-Type", "application/json; charset=utf-8".to_owned())
}

fn page(redactor: &Redactor, receiver: &Receiver, document: &Value) -> Result<Page, Refused> {
    let page = Page::read(document, language(receiver));
    Ok(page.ok_or_else(|| Refused::for_good("it is not understood"))?.cleaned(redactor))
}

/// What a channel would be sent, in all its forms, before it is signed.
#[cfg(test)]
pub(super) fn forms_of_all(
    redactor: &Redactor,
    channel: Channel,
    document: &Value,
    language: Language,
) -> Vec<(&'static str, String)> {
    if channel == Channel::Webhook {
        return vec![("the document", document.to_string())];
    }
    let page = Page::read(document, language).unwrap_or_else(|| panic!("not understood: {document}")).cleaned(redactor);
    match channel {
        Channel::Email => vec![("the mail's text", page.plain()), ("the mail's HTML", super::html::document(&page))],
        Channel::Feishu | Channel::Lark => vec![("the card", feishu::card_body(&card(&page), None).to_string())],
        _ => {
            let kind = channel.kind().unwrap_or(Kind::Generic);
            let url = "https://receiver.example.com/bot1:x/sendMessage?chat_id=1";
            let made = request(&Target { kind, url, secret: None }, &page.message(), "id", "restart.report", 0);
            vec![(channel.name(), String::from_utf8_lossy(&made.unwrap().body).into_owned())]
        }
    }
}

/// As told, else that of the service's users.
fn language(receiver: &Receiver) -> Language {
    // Both names are good for both services.
    let abroad = kind_of(receiver.address.expose()) == Some(Kind::Lark);
    let theirs = receiver.channel.kind().filter(|_| !abroad).map(Kind::language);
    receiver.language.unwrap_or(match theirs {
        Some(Tongue::Chinese) => Language::Chinese,
        _ => Language::English,
    })
}

/// The status, how long the receiver wants to be left alone, in seconds, and the beginning of the answer.
async fn post(place: &Place, request: Request) -> Result<(u16, Option<String>, Vec<u8>), Refused> {
    let url: Url = request.url.parse().map_err(|_| Refused::for_good("its address is not one"))?;
    let mut client = reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(LIMIT)
        .user_agent(format!("glitchbox-supervisor/{}", place.version));
    // What runs on this machine is not behind a proxy.
    if is_loopback(&url) {
        client = client.no_proxy();
    }
    let mut post = client.build()?.post(url).body(request.body);
    for (name, value) in request.headers {
        post = post.header(name, value);
    }
    let mut response = post.send().await?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.map(|text| in_seconds(text, Utc::now()));
    let mut answer = Vec::new();
    while let Some(piece) = response.chunk().await? {
        answer.extend_from_slice(&piece);
        if answer.len() > LONGEST_ANSWER {
            break;
        }
    }
    Ok((status, retry_after, answer))
}

/// `Retry-After` may be a date.
fn in_seconds(text: &str, now: DateTime<Utc>) -> String {
    match DateTime::parse_from_rfc2822(text.trim()) {
        Ok(date) => (date.with_timezone(&Utc) - now).num_seconds().max(0).to_string(),
        Err(_) => text.to_owned(),
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_a_number_of_seconds_or_a_date() {
        let now = DateTime::from_timestamp(1_784_000_000, 0).unwrap();
        assert_eq!(in_seconds(" 7 ", now), " 7 ");
        assert_eq!(in_seconds(&(now + chrono::TimeDelta::seconds(30)).to_rfc2822(), now), "30");
        assert_eq!(in_seconds(&(now - chrono::TimeDelta::seconds(30)).to_rfc2822(), now), "0");
        assert_eq!(in_seconds("soon", now), "soon");
    }

    #[test]
    fn a_receiver_is_told_in_its_own_language_or_that_of_its_services_users() {
        let spoken = |channel, url: &str, language| {
            let address = Secret::new(url);
            super::language(&Receiver { channel, address, secret: None, on: crate::channels::On::Always, language })
        };
        assert_eq!(spoken(Channel::Feishu, "https://open.feishu.cn/x", None), Language::Chinese);
        assert_eq!(spoken(Channel::Feishu, "https://open.larksuite.com/x", None), Language::English);
        assert_eq!(spoken(Channel::DingTalk, "https://oapi.dingtalk.com/x", None), Language::Chinese);
        assert_eq!(spoken(Channel::Slack, "https://hooks.slack.com/x", None), Language::English);
        assert_eq!(spoken(Channel::Email, "ops@example.com", Some(Language::Chinese)), Language::Chinese);
    }

    #[test]
    fn what_runs_here_is_known_by_its_address() {
        for (url, local) in [
            ("http://127.0.0.1:9/x", true),
            ("http://[::1]:9/x", true),
            ("http://localhost/", true),
            ("https://open.feishu.cn/", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), local, "{url}");
        }
    }
}
