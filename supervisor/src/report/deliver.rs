//! Sends what waits in the outbox, again and again, until nothing is left to send or to hope for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use glitchbox_notify::{feishu, generic};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::outbox::{Channel, Letter, Outbox};
use super::redact::Redactor;
use super::retry;
use super::text::seconds;
use crate::settings::Secret;
use crate::task::{Place, TaskOutcome};

/// A receiver has this long to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Longest answer read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// While something waits for its next attempt, new letters are looked for this often.
const LOOK: Duration = Duration::from_secs(2);

/// Feishu's code for too many messages.
const FEISHU_RATE_LIMIT: &str = "code 11232:";

/// `Task::Deliver`, in a process of its own, whose working directory is the data directory.
pub fn run(place: &Place) -> TaskOutcome {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return TaskOutcome::failed(format!("The delivery cannot be started: {error}.")),
    };
    // A second provider in one process changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(deliver(place))
}

async fn deliver(place: &Place) -> TaskOutcome {
    let outbox = match Outbox::make(Path::new(".")) {
        Ok(outbox) => outbox,
        Err(error) => return TaskOutcome::failed(format!("The folder of reports to send cannot be opened: {error}.")),
    };
    let redactor = Redactor::new(&place.secrets);
    let (mut delivered, mut given_up) = (0_u64, 0_u64);
    // What became of letters and could not be written down: none is settled. The disk may be full for a while.
    let mut unwritten: HashMap<String, Option<Letter>> = HashMap::new();
    loop {
        let letters = match outbox.letters() {
            Ok(letters) => letters,
            Err(error) => return TaskOutcome::failed(format!("The reports to send cannot be read: {error}.")),
        };
        let known = letters.into_iter().filter_map(|letter| match unwritten.get(&letter.file_name()) {
            Some(known) => known.clone(),
            None => Some(letter),
        });
        let letters: Vec<Letter> = known.collect();
        let Some(next) = letters.iter().map(|letter| letter.next_at).min() else { break };
        let now = Utc::now();
        let mut sending = JoinSet::new();
        for letter in letters.into_iter().filter(|letter| retry::is_due(letter.next_at, now)) {
            let place = place.clone();
            sending.spawn(async move { (send(&place, &letter).await, letter) });
        }
        if sending.is_empty() {
            tokio::time::sleep((next - now).to_std().unwrap_or_default().min(LOOK)).await;
            continue;
        }
        while let Some(sent) = sending.join_next().await {
            let Ok((result, mut letter)) = sent else {
                // A fault of ours: this letter is tried again, the others go on.
                tokio::time::sleep(LOOK).await;
                continue;
            };
            let fate = conclude(&redactor, &mut letter, result);
            match fate {
                Fate::Delivered => delivered += 1,
                Fate::GivenUp(_) => given_up += 1,
                Fate::Again => {}
            }
            let (name, is_settled) = (letter.file_name(), !matches!(fate, Fate::Again));
            match write_down(&outbox, &letter, &fate) {
                Ok(()) => drop(unwritten.remove(&name)),
                Err(error) => {
                    eprintln!(
                        "WARN {}: what became of {} cannot be written: {error}",
                        letter.channel.name(),
                        letter.report
                    );
                    unwritten.insert(name, (!is_settled).then_some(letter));
                }
            }
        }
    }
    let result = json!({ "delivered": delivered, "given_up": given_up });
    if given_up == 0 { TaskOutcome::done(result) } else { TaskOutcome { exit: crate::task::exit::FAILED, result } }
}

/// What becomes of a letter after an attempt.
enum Fate {
    Delivered,
    /// For this reason.
    GivenUp(String),
    Again,
}

/// Tells what an attempt came to, and decides when there is another one.
fn conclude(redactor: &Redactor, letter: &mut Letter, result: Result<(), Refused>) -> Fate {
    let now = Utc::now();
    let name = letter.channel.name();
    letter.attempts += 1;
    let Err(refused) = result else {
        eprintln!("{name}: {} delivered (attempt {})", letter.report, letter.attempts);
        return Fate::Delivered;
    };
    let error = redactor.text(&refused.error);
    // The clock may have been set back meanwhile.
    letter.created_at = letter.created_at.min(now);
    let next = retry::next(letter.created_at, now, letter.attempts, refused.wish, rand::random());
    let Some(next) = next.filter(|_| !refused.for_good) else {
        eprintln!("ERROR {name}: {} given up after attempt {}: {error}", letter.report, letter.attempts);
        return Fate::GivenUp(error);
    };
    let pause = seconds(u64::try_from((next - now).num_milliseconds()).unwrap_or(0));
    eprintln!("WARN {name}: {} not taken (attempt {}): {error}; again in {pause}", letter.report, letter.attempts);
    letter.next_at = next;
    letter.last_error = Some(error);
    Fate::Again
}

fn write_down(outbox: &Outbox, letter: &Letter, fate: &Fate) -> std::io::Result<()> {
    match fate {
        Fate::Delivered => outbox.settle(letter, None),
        Fate::GivenUp(reason) => outbox.settle(letter, Some(reason)),
        Fate::Again => outbox.put(letter),
    }
}

/// Why a receiver did not take a letter.
#[derive(Debug)]
struct Refused {
    error: String,
    /// How long it wants to be left alone.
    wish: Option<Duration>,
    /// There is nobody to send it to.
    for_good: bool,
}

impl Refused {
    fn because(error: impl Into<String>) -> Self {
        Self { error: error.into(), wish: None, for_good: false }
    }
}

impl From<reqwest::Error> for Refused {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::because(format!("no answer within {} s", LIMIT.as_secs()));
        }
        // Its address may be a password, and its own words say little: the causes tell what happened.
        let error = error.without_url();
        let mut words = vec![error.to_string()];
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            words.push(error.to_string());
            cause = error.source();
        }
        words.dedup();
        Self::because(words.join(": "))
    }
}

async fn send(place: &Place, letter: &Letter) -> Result<(), Refused> {
    let channels = &place.channels;
    let (url, secret) = match letter.channel {
        Channel::Feishu => (&channels.feishu_url, &channels.feishu_secret),
        Channel::Webhook => (&channels.webhook_url, &channels.webhook_secret),
    };
    let Some(url) = url else {
        return Err(Refused { for_good: true, ..Refused::because("the channel is no longer configured") });
    };
    match letter.channel {
        Channel::Feishu => send_feishu(place, url, secret.as_ref(), letter).await,
        Channel::Webhook => send_webhook(place, url, secret.as_ref(), letter).await,
    }
}

async fn send_feishu(place: &Place, url: &Secret, secret: Option<&Secret>, letter: &Letter) -> Result<(), Refused> {
    let mut body = letter.body.clone();
    if let (Some(secret), Some(fields)) = (secret, body.as_object_mut()) {
        // Signed at each attempt: a signature is good for an hour.
        let timestamp = Utc::now().timestamp();
        fields.insert("timestamp".to_owned(), timestamp.to_string().into());
        fields.insert("sign".to_owned(), feishu::signature(secret.expose(), timestamp).into());
    }
    let (status, wish, answer) = post(place, url, body.to_string().into_bytes(), &[]).await?;
    let refusal = match feishu::check_response(&answer) {
        Ok(()) if status.is_success() => return Ok(()),
        Ok(()) => format!("HTTP {}", status.as_u16()),
        Err(error) if status.is_success() => error,
        Err(error) => format!("HTTP {}: {error}", status.as_u16()),
    };
    let limited = refusal.contains(FEISHU_RATE_LIMIT).then_some(retry::RATE_LIMITED);
    Err(Refused { wish: wish.max(limited), ..Refused::because(refusal) })
}

async fn send_webhook(place: &Place, url: &Secret, secret: Option<&Secret>, letter: &Letter) -> Result<(), Refused> {
    let body = serde_json::to_vec(&letter.body).unwrap_or_default();
    let mut headers = vec![(generic::IDEMPOTENCY_HEADER, letter.report.clone())];
    if let Some(secret) = secret {
        let signature = generic::signature(secret.expose(), &body);
        headers.extend(generic::SIGNATURE_HEADERS.map(|name| (name, signature.clone())));
    }
    let (status, wish, _) = post(place, url, body, &headers).await?;
    if status.is_success() {
        return Ok(());
    }
    Err(Refused { wish, ..Refused::because(format!("HTTP {}", status.as_u16())) })
}

/// The status, how long the receiver wants to be left alone, and the beginning of the answer.
async fn post(
    place: &Place,
    url: &Secret,
    body: Vec<u8>,
    headers: &[(&str, String)],
) -> Result<(StatusCode, Option<Duration>, Vec<u8>), Refused> {
    let url: Url = url.expose().parse().map_err(|_| Refused::because("its address is not one"))?;
    let mut client = reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(LIMIT)
        .user_agent(format!("glitchbox-supervisor/{}", place.version));
    // What runs on this machine is not behind a proxy.
    if is_loopback(&url) {
        client = client.no_proxy();
    }
    let mut request = client.build()?.post(url).header(CONTENT_TYPE, "application/json; charset=utf-8").body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let mut response = request.send().await?;
    let status = response.status();
    let wish = wish(&response, Utc::now());
    let mut answer = Vec::new();
    while let Some(piece) = response.chunk().await? {
        answer.extend_from_slice(&piece);
        if answer.len() > LONGEST_ANSWER {
            break;
        }
    }
    Ok((status, wish, answer))
}

/// `Retry-After` in seconds or as a date; too many requests without it mean a minute.
fn wish(response: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let limited = response.status() == StatusCode::TOO_MANY_REQUESTS;
    after.and_then(|text| read_retry_after(text, now)).or(limited.then_some(retry::RATE_LIMITED))
}

fn read_retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    (date.with_timezone(&Utc) - now).to_std().ok()
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The letters of a report for the channels there are.
pub(super) fn letters(place: &Place, report: &super::Report) -> Vec<Letter> {
    let redactor = Redactor::new(&place.secrets);
    let now = Utc::now();
    let letter = |channel: Channel, body: Value| Letter {
        report: report.id.clone(),
        channel,
        created_at: now,
        attempts: 0,
        next_at: now,
        last_error: None,
        body: redactor.json(body),
    };
    let mut letters = Vec::new();
    if let Some(url) = &place.channels.feishu_url {
        let language = super::card::language(place.channels.language, url);
        letters.push(letter(Channel::Feishu, feishu::card_body(&super::card::card(report, language), None)));
    }
    if place.channels.webhook_url.is_some() {
        letters.push(letter(Channel::Webhook, json!(report)));
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_a_number_of_seconds_or_a_date() {
        let now = DateTime::from_timestamp(1_784_000_000, 0).unwrap();
        assert_eq!(read_retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        let date = (now + chrono::TimeDelta::seconds(30)).to_rfc2822();
        assert_eq!(read_retry_after(&date, now), Some(Duration::from_secs(30)));
        assert_eq!(read_retry_after("soon", now), None);
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
