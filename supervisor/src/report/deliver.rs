//! Sends what waits in the outbox, again and again, until nothing is left to send or to hope for.
//!
//! Each channel has a lane of its own: its letters go one after the other, the oldest first, not faster than its service
//! likes. While nothing is taken there, the oldest letter alone is tried, and the others wait behind it; a letter that is
//! refused for what it is lets the others pass.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::outbox::{Letter, Outbox};
use super::redact::Redactor;
use super::retry;
use super::send::{Parcel, Refusal, Refused, send};
use super::text::seconds;
use crate::channels::Channel;
use crate::task::{Place, TaskOutcome, exit};

/// While something waits for its next attempt, new letters are looked for this often.
const LOOK: Duration = Duration::from_secs(2);

/// `Task::Deliver`, in a process of its own, whose working directory is the data directory.
pub fn run(place: &Place) -> TaskOutcome {
    match begin() {
        Ok(runtime) => runtime.block_on(deliver(place)),
        Err(error) => TaskOutcome::failed(format!("The delivery cannot be started: {error}.")),
    }
}

/// What sending needs.
///
/// # Errors
/// When the system has no more of it.
pub(super) fn begin() -> std::io::Result<tokio::runtime::Runtime> {
    // A second provider in one process changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn deliver(place: &Place) -> TaskOutcome {
    let outbox = match Outbox::make(Path::new(".")) {
        Ok(outbox) => outbox,
        Err(error) => return TaskOutcome::failed(format!("The folder of reports to send cannot be opened: {error}.")),
    };
    let mut round = Round {
        place: place.clone(),
        redactor: Redactor::new(&place.secrets),
        outbox,
        unwritten: HashMap::new(),
        sending: JoinSet::new(),
        on_the_way: Vec::new(),
        not_before: HashMap::new(),
        delivered: 0,
        given_up: 0,
    };
    loop {
        let pause = match round.begin_what_is_due() {
            Ok(pause) => pause,
            Err(error) => return TaskOutcome::failed(format!("The reports to send cannot be read: {error}.")),
        };
        if pause.is_none() && round.sending.is_empty() {
            break;
        }
        tokio::select! {
            Some(sent) = round.sending.join_next() => if let Ok(sent) = sent { round.conclude(sent) },
            () = sleep(pause.unwrap_or(LOOK).min(LOOK)) => {}
        }
    }
    let result = json!({ "delivered": round.delivered, "given_up": round.given_up });
    if round.given_up == 0 { TaskOutcome::done(result) } else { TaskOutcome { exit: exit::FAILED, result } }
}

/// A channel, and its letter after an attempt; none when that broke off by a fault of ours.
type Sent = (Channel, Option<(Letter, Result<(), Refused>)>);

struct Round {
    place: Place,
    redactor: Redactor,
    outbox: Outbox,
    /// What became of letters and could not be written down: none is settled. The disk may be full for a while.
    unwritten: HashMap<String, Option<Letter>>,
    sending: JoinSet<Sent>,
    on_the_way: Vec<Channel>,
    /// Until then a lane rests.
    not_before: HashMap<Channel, Instant>,
    delivered: u64,
    given_up: u64,
}

impl Round {
    /// Begins an attempt in every lane that is free and has a letter that is due. Returns when to look again; none when no
    /// lane waits for anything.
    fn begin_what_is_due(&mut self) -> std::io::Result<Option<Duration>> {
        let mut letters: Vec<Letter> = Vec::new();
        for letter in self.outbox.letters()? {
            match self.unwritten.get(&letter.file_name()) {
                Some(known) => letters.extend(known.clone()),
                None => letters.push(letter),
            }
        }
        let mut pause: Option<Duration> = None;
        let mut look_in = |span: Duration| pause = Some(pause.map_or(span, |pause: Duration| pause.min(span)));
        for channel in Channel::ALL {
            if self.on_the_way.contains(&channel) {
                continue;
            }
            match turn(letters.iter().filter(|letter| letter.channel == channel), Utc::now()) {
                Turn::Nothing => {}
                Turn::At(at) => look_in((at - Utc::now()).to_std().unwrap_or_default()),
                Turn::Now(letter) => {
                    let rest = self.not_before.get(&channel).map(|at| at.saturating_duration_since(Instant::now()));
                    match rest.filter(|rest| !rest.is_zero()) {
                        Some(rest) => look_in(rest),
                        None => self.begin(letter.clone()),
                    }
                }
            }
        }
        Ok(pause)
    }

    fn begin(&mut self, mut letter: Letter) {
        let (place, redactor, channel) = (self.place.clone(), self.redactor.clone(), letter.channel);
        self.on_the_way.push(channel);
        let attempt = async move {
            let Some(receiver) = place.channels.find(channel) else {
                return (letter, Err(Refused::for_good("the channel is no longer configured")));
            };
            let mut parcel = Parcel {
                id: letter.report.clone(),
                document: letter.body.clone(),
                reached: std::mem::take(&mut letter.reached),
            };
            let result = send(&place, &redactor, receiver, &mut parcel).await;
            letter.reached = parcel.reached;
            (letter, result)
        };
        // Twice, so that even a panic says whose it was.
        self.sending.spawn(async move { (channel, tokio::spawn(attempt).await.ok()) });
    }

    fn conclude(&mut self, (channel, sent): Sent) {
        self.on_the_way.retain(|other| *other != channel);
        let Some((mut letter, result)) = sent else {
            // This letter is tried again, the others go on.
            self.not_before.insert(channel, Instant::now() + LOOK);
            return;
        };
        self.not_before.insert(channel, Instant::now() + channel.gap());
        let fate = judge(&self.redactor, &mut letter, result);
        match fate {
            Fate::Delivered => self.delivered += 1,
            Fate::GivenUp(_) => self.given_up += 1,
            Fate::Again => {}
        }
        let (name, is_settled) = (letter.file_name(), !matches!(fate, Fate::Again));
        let written = match fate {
            Fate::Delivered => self.outbox.settle(&letter, None),
            Fate::GivenUp(reason) => self.outbox.settle(&letter, Some(&reason)),
            Fate::Again => self.outbox.put_back(&letter),
        };
        match written {
            Ok(()) => drop(self.unwritten.remove(&name)),
            Err(error) => {
                let (channel, report) = (channel.name(), &letter.report);
                eprintln!("WARN {channel}: what became of {report} cannot be written: {error}");
                self.unwritten.insert(name, (!is_settled).then_some(letter));
            }
        }
    }
}

/// Whose turn it is in a lane.
#[derive(Debug, PartialEq, Eq)]
enum Turn<'a> {
    Now(&'a Letter),
    /// Nobody's before this time.
    At(DateTime<Utc>),
    /// There is no letter.
    Nothing,
}

/// `letters` are those of one channel, the oldest first.
fn turn<'a>(letters: impl Iterator<Item = &'a Letter>, now: DateTime<Utc>) -> Turn<'a> {
    let mut first: Option<DateTime<Utc>> = None;
    for letter in letters {
        if retry::is_due(letter.next_at, now) {
            return Turn::Now(letter);
        }
        first = Some(first.map_or(letter.next_at, |first| first.min(letter.next_at)));
        if letter.holds_up {
            break;
        }
    }
    first.map_or(Turn::Nothing, Turn::At)
}

/// What becomes of a letter after an attempt.
enum Fate {
    Delivered,
    /// For this reason.
    GivenUp(String),
    Again,
}

/// Tells what an attempt came to, and decides when there is another one.
fn judge(redactor: &Redactor, letter: &mut Letter, result: Result<(), Refused>) -> Fate {
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
    let Some(next) = next.filter(|_| refused.how != Refusal::ForGood) else {
        eprintln!("ERROR {name}: {} given up after attempt {}: {error}", letter.report, letter.attempts);
        return Fate::GivenUp(error);
    };
    let pause = seconds(u64::try_from((next - now).num_milliseconds()).unwrap_or(0));
    eprintln!("WARN {name}: {} not taken (attempt {}): {error}; again in {pause}", letter.report, letter.attempts);
    letter.next_at = next;
    letter.last_error = Some(error);
    letter.holds_up = refused.how == Refusal::Away;
    Fate::Again
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn letter(report: &str, next_in_s: i64, holds_up: bool) -> Letter {
        let now = DateTime::from_timestamp(1_784_000_000, 0).unwrap();
        Letter {
            holds_up,
            next_at: now + TimeDelta::seconds(next_in_s),
            ..Letter::new(report, Channel::Webhook, now, json!({}))
        }
    }

    #[test]
    fn letters_of_a_channel_keep_their_order_unless_one_is_refused_for_what_it_is() {
        let now = DateTime::from_timestamp(1_784_000_000, 0).unwrap();
        let whose = |letters: &[Letter]| match turn(letters.iter(), now) {
            Turn::Now(letter) => letter.report.clone(),
            Turn::At(at) => format!("in {} s", (at - now).num_seconds()),
            Turn::Nothing => "nobody".to_owned(),
        };
        assert_eq!(whose(&[]), "nobody");
        assert_eq!(whose(&[letter("a", 0, false), letter("b", 0, false)]), "a");
        assert_eq!(whose(&[letter("a", 30, true), letter("b", 0, false)]), "in 30 s", "the receiver is away");
        assert_eq!(whose(&[letter("a", 30, false), letter("b", 0, false)]), "b", "a alone is refused");
        assert_eq!(whose(&[letter("a", 30, false), letter("b", 5, true), letter("c", 0, false)]), "in 5 s");
    }
}
