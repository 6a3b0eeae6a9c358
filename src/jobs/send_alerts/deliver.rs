//! One destination: sends what may be sent now, message by message.

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use glitchbox_notify::limits;
use rand::RngExt;

use super::transport::{Fault, Parcel, Transport, Unsent};
use crate::alert::content::{self, Content, alerts_page};
use crate::alert::throttle::{Action, Policy, decide};
use crate::app::App;
use crate::store::alert::RecipientKind;
use crate::store::event_lookup;
use crate::store::notice::channel::{self, Addressee, Channel, Window};
use crate::store::notice::delivery::{self, Delivery};

/// Deliveries that one digest settles; the next digest takes the rest.
const DIGEST_LIMIT: i64 = 5000;

/// First pause after a failure, in seconds; it doubles with each up to [`MAX_PAUSE`].
const FIRST_PAUSE: i64 = 5;

/// Longest pause between two tries, in seconds.
const MAX_PAUSE: i64 = 600;

/// A receiver that wants to be left alone is so for at most this long.
const LONGEST_WISH: TimeDelta = TimeDelta::minutes(45);

/// A delivery that cannot be made for so long is given up.
const GIVE_UP: TimeDelta = TimeDelta::hours(24);

/// A message that is to be sent.
struct Outgoing {
    content: Content,
    /// What it settles.
    deliveries: Vec<i64>,
    /// The same whenever it is sent again.
    id: String,
    /// What an issue's mails share.
    thread: Option<String>,
    is_digest: bool,
    /// What was sent of late, once this is.
    window: Window,
}

/// Sends until nothing is left, nothing more may be sent now, or a message fails.
pub(super) async fn deliver(
    app: &App,
    transport: &Transport,
    policy: &Policy,
    mut channel: Channel,
    lease: TimeDelta,
) -> anyhow::Result<()> {
    let addressee = channel::addressee(&app.db, &channel).await.context("look up the addressee")?;
    let unwanted = match &addressee {
        None => Some("the recipient was removed"),
        Some(_) if channel.kind == RecipientKind::Email && !transport.has_mail() => Some("EMAIL_URL is not set"),
        Some(_) => None,
    };
    let (Some(addressee), None) = (addressee, unwanted) else {
        let why = unwanted.unwrap_or_default();
        let dropped = channel::abandon(&app.db, channel.id, why, Utc::now()).await.context("drop deliveries")?;
        tracing::info!(project.id = %channel.project_id, dropped, why, "alert messages are no longer wanted");
        return Ok(());
    };
    loop {
        let now = Utc::now();
        let waiting = channel::waiting(&app.db, channel.id, now).await.context("look at what waits")?;
        let outgoing = match decide(policy, channel.window, waiting, now) {
            Action::Rest => None,
            Action::WaitUntil(at) => {
                channel::release(&app.db, channel.id, at).await.context("give the channel back")?;
                return Ok(());
            }
            Action::Single(window) => single(app, &channel, &addressee, window).await?,
            Action::Digest(window) => digest(app, &channel, &addressee, window).await?,
        };
        let Some(outgoing) = outgoing else {
            channel::release(&app.db, channel.id, now).await.context("give the channel back")?;
            return Ok(());
        };
        if let Err(at) = may_go_out(transport, &channel) {
            channel::release(&app.db, channel.id, at).await.context("give the channel back")?;
            return Ok(());
        }
        let parcel = Parcel {
            kind: channel.kind,
            destination: &channel.destination,
            secret: addressee.secret.as_ref(),
            content: &outgoing.content,
            id: &outgoing.id,
            thread: outgoing.thread.clone(),
            alerts_page: Some(alerts_page(app.config.public_base(), &addressee.organization, &addressee.project)),
            list: format!("{}.{}", addressee.project, addressee.organization),
        };
        match transport.send(&parcel).await {
            Ok(()) => {
                let now = Utc::now();
                let Outgoing { deliveries, is_digest, window, .. } = outgoing;
                channel::sent(&app.db, channel.id, &deliveries, is_digest, window, now, now + lease)
                    .await
                    .context("note a message as sent")?;
                (channel.window, channel.failures) = (window, 0);
            }
            Err(unsent) => {
                if let Some(after) = wish(&unsent) {
                    // Other projects' messages to it would fare no better.
                    transport.paces.rest(&channel.destination, Utc::now() + after);
                }
                match outgoing.deliveries.as_slice() {
                    [delivery] if unsent.fault == Fault::Message => {
                        if !put_off(app, &channel, *delivery, &unsent, lease).await? {
                            return Ok(());
                        }
                        channel.failures = 0;
                    }
                    deliveries => return fail(app, &channel, deliveries, &unsent).await,
                }
            }
        }
    }
}

/// Says no, and when to ask again, where a service would get more than it takes.
fn may_go_out(transport: &Transport, channel: &Channel) -> Result<(), DateTime<Utc>> {
    let Some(service) = channel.kind.service() else { return Ok(()) };
    transport.paces.claim(&channel.destination, &limits(service), Utc::now())
}

async fn single(
    app: &App,
    channel: &Channel,
    addressee: &Addressee,
    window: Window,
) -> anyhow::Result<Option<Outgoing>> {
    let Some(next) = delivery::next(&app.db, channel.id).await.context("read a delivery")? else { return Ok(None) };
    let event = match event_lookup::latest(&app.db, next.project_id, next.issue_id).await {
        Err(error) if error.is_retryable() => return Err(error).context("read the issue's latest event"),
        // The issue is worth telling of without it, and others wait behind it.
        Err(error) => {
            tracing::warn!(issue = %next.issue_id, %error, "an alert message goes without its event, which is unreadable");
            None
        }
        Ok(event) => event,
    };
    let language = content::language_of(channel, addressee);
    let event = event.as_ref().map(|stored| &stored.event);
    Ok(Some(Outgoing {
        content: content::single(&next, event, addressee, language, app.config.public_base()),
        deliveries: vec![next.id],
        id: message_id(&next, "notice"),
        thread: Some(format!("issue.{}", next.issue_id)),
        is_digest: false,
        window,
    }))
}

async fn digest(
    app: &App,
    channel: &Channel,
    addressee: &Addressee,
    window: Window,
) -> anyhow::Result<Option<Outgoing>> {
    let all = delivery::all(&app.db, channel.id, DIGEST_LIMIT).await.context("read deliveries")?;
    let (Some(oldest), Some(newest)) =
        (all.iter().min_by_key(|delivery| delivery.id), all.iter().map(|delivery| delivery.id).max())
    else {
        return Ok(None);
    };
    let language = content::language_of(channel, addressee);
    Ok(Some(Outgoing {
        content: content::digest(&all, addressee, language, app.config.public_base()),
        // A digest that tells more by now is another message: a receiver that knows the first still takes it.
        id: format!("{}.{newest}.{}", message_id(oldest, "digest"), all.len()),
        deliveries: all.iter().map(|delivery| delivery.id).collect(),
        thread: None,
        is_digest: true,
        window,
    }))
}

/// Numbers begin anew with a new database; together with the time they do not.
fn message_id(delivery: &Delivery, kind: &str) -> String {
    format!("{kind}.{}.{}", delivery.id, delivery.created_at.timestamp_micros())
}

async fn fail(app: &App, channel: &Channel, deliveries: &[i64], unsent: &Unsent) -> anyhow::Result<()> {
    let now = Utc::now();
    let error = unsent.why.as_str();
    let retry_at = now + rest(channel.failures, unsent);
    let given_up = channel::failed(&app.db, channel.id, deliveries, error, now, retry_at, now - GIVE_UP)
        .await
        .context("note a failure")?;
    let (project, kind) = (channel.project_id, channel.kind.as_str());
    if given_up > 0 {
        tracing::error!(project.id = %project, kind, given_up, error, "alert messages were tried for a day and given up");
    } else if channel.failures.count_ones() <= 1 {
        // The first failure, the second, the third, the fifth, the ninth ...
        let failures = channel.failures + 1;
        tracing::warn!(project.id = %project, kind, failures, error, "an alert message could not be sent; trying again");
    }
    Ok(())
}

/// Puts off one message that is not taken for what it is: the others go on. False when none of them is left to be tried
/// before it, and the channel was given back.
async fn put_off(
    app: &App,
    channel: &Channel,
    delivery: i64,
    unsent: &Unsent,
    lease: TimeDelta,
) -> anyhow::Result<bool> {
    let now = Utc::now();
    let error = unsent.why.as_str();
    let refusal = channel::Refusal { error, now, retry_at: now + rest(0, unsent), give_up_before: now - GIVE_UP };
    let refused = channel::refused(&app.db, channel.id, delivery, refusal, now + lease).await;
    let refused = refused.context("note a refusal")?;
    let (project, kind) = (channel.project_id, channel.kind.as_str());
    if refused.is_given_up {
        tracing::error!(project.id = %project, kind, error, "an alert message was refused for a day and given up");
    } else if refused.tries.count_ones() <= 1 {
        let tries = refused.tries;
        tracing::warn!(project.id = %project, kind, tries, error, "an alert message was refused; trying again later");
    }
    Ok(refused.has_others)
}

/// How long to leave a receiver alone: at least as long as it wants to be. What was refused is so until
/// somebody changes something.
fn rest(failures: i32, unsent: &Unsent) -> TimeDelta {
    let own = if unsent.fault == Fault::Passing { pause(failures) } else { pause(i32::MAX) };
    own.max(wish(unsent).unwrap_or_default())
}

/// How long the receiver wants to be left alone, within reason.
fn wish(unsent: &Unsent) -> Option<TimeDelta> {
    unsent.after.and_then(|after| TimeDelta::from_std(after).ok()).map(|after| after.min(LONGEST_WISH))
}

/// Doubles with each failure, and varies by a quarter so that not all come back at once.
fn pause(failures: i32) -> TimeDelta {
    let doublings = u32::try_from(failures.clamp(0, 20)).unwrap_or_default();
    let seconds = FIRST_PAUSE.saturating_mul(1_i64 << doublings).min(MAX_PAUSE);
    TimeDelta::milliseconds(rand::rng().random_range(seconds * 750..=seconds * 1000))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_receiver_is_left_alone_as_long_as_it_wants() {
        let unsent = |after, is_refused| {
            let fault = if is_refused { Fault::Address } else { Fault::Passing };
            Unsent { why: String::new(), after, fault }
        };
        let seconds = Duration::from_secs;
        assert!(rest(0, &unsent(None, false)) <= TimeDelta::seconds(5));
        assert_eq!(rest(0, &unsent(Some(seconds(90)), false)), TimeDelta::seconds(90));
        assert!(rest(1000, &unsent(Some(seconds(1)), false)) >= TimeDelta::seconds(MAX_PAUSE * 3 / 4));
        assert_eq!(rest(0, &unsent(Some(seconds(100_000)), false)), LONGEST_WISH);
        assert!(rest(0, &unsent(None, true)) >= TimeDelta::seconds(MAX_PAUSE * 3 / 4));
    }

    #[test]
    fn pauses_grow_to_ten_minutes() {
        for (failures, most) in [(0, 5), (1, 10), (3, 40), (7, 600), (1000, 600)] {
            let pause = pause(failures);
            assert!(pause <= TimeDelta::seconds(most) && pause >= TimeDelta::milliseconds(most * 750), "{failures}");
        }
    }
}
