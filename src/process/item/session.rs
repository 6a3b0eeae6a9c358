//! Sessions: updates of single ones, and numbers of those that are over.

use chrono::TimeDelta;
use serde_json::Value;
use uuid::Uuid;

use super::{Fields, Unkept};
use crate::process::normalise::clock::MAX_FUTURE;
use crate::protocol::kept_item::{SessionCount, SessionStatus, SessionUpdate};

/// Sessions that began longer ago say nothing about a release of today (as Sentry drops them).
const MAX_AGE: TimeDelta = TimeDelta::days(5);

/// Numbers in one item; SDKs send one for each minute.
const MAX_COUNTS: usize = 100;

/// More sessions than this began in no minute.
const MAX_SESSIONS: u64 = 1_000_000_000;

/// One update.
pub(super) fn update(mut fields: Fields<'_>) -> Result<SessionUpdate, Unkept> {
    let received = fields.clock.received();
    let mut attributes = fields.inner("attrs");
    let release = attributes.release().ok_or(Unkept::Filtered("no_release"))?;
    let environment = attributes.environment();
    fields.ended("timestamp");
    let updated_at = fields.time("timestamp").unwrap_or(received);
    let started_at = fields.time("started").unwrap_or(updated_at);
    if started_at < received - MAX_AGE {
        return Err(Unkept::Filtered("too_old"));
    }
    if started_at > received + MAX_FUTURE {
        return Err(Unkept::Filtered("in_the_future"));
    }
    let (status, least_errors) = status(fields.word("status", 32).as_deref());
    let errors = fields.unsigned("errors").unwrap_or(0).max(least_errors);
    let is_first = fields.flag("init");
    let given = fields.unsigned("seq");
    let sequence = match given {
        _ if is_first => 0,
        Some(given) => i64::try_from(given).unwrap_or(i64::MAX),
        None => updated_at.timestamp_millis(),
    };
    let sid = fields.uuid("sid");
    // An application that is over before its first update has no id to tell later ones by.
    let sid = sid.or_else(|| (status != SessionStatus::Ok).then(Uuid::new_v4));
    Ok(SessionUpdate {
        sid: sid.ok_or(Unkept::Filtered("no_session_id"))?,
        user: fields.user("did"),
        started_at,
        updated_at,
        release,
        environment,
        status,
        errors: i32::try_from(errors).unwrap_or(i32::MAX),
        sequence,
        duration_s: fields.seconds("duration").map(narrow),
    })
}

/// Numbers by moment, and by user where the SDK knows one.
pub(super) fn counts(mut fields: Fields<'_>) -> Result<Vec<SessionCount>, Unkept> {
    let received = fields.clock.received();
    let mut attributes = fields.inner("attrs");
    let release = attributes.release().ok_or(Unkept::Filtered("no_release"))?;
    let environment = attributes.environment();
    let Value::Array(list) = fields.take("aggregates") else { return Err(Unkept::Filtered("no_sessions")) };
    let mut counts = Vec::new();
    for entry in list.into_iter().take(MAX_COUNTS) {
        let Value::Object(object) = entry else { continue };
        let mut entry = fields.of(object);
        let started_at = entry.time("started").unwrap_or(received);
        if started_at < received - MAX_AGE || started_at > received + MAX_FUTURE {
            continue;
        }
        let mut number = |key: &str| {
            let number = entry.unsigned(key).unwrap_or(0).min(MAX_SESSIONS);
            i64::try_from(number).unwrap_or(0)
        };
        let [exited, errored, unhandled, abnormal, crashed] =
            ["exited", "errored", "unhandled", "abnormal", "crashed"].map(&mut number);
        if exited + errored + unhandled + abnormal + crashed == 0 {
            continue;
        }
        counts.push(SessionCount {
            started_at,
            user: entry.user("did"),
            release: release.clone(),
            environment: environment.clone(),
            exited,
            errored,
            unhandled,
            abnormal,
            crashed,
        });
    }
    if counts.is_empty() { Err(Unkept::Filtered("no_sessions")) } else { Ok(counts) }
}

/// The status by name, and the errors there have been at least. What we do not know has ended somehow.
fn status(name: Option<&str>) -> (SessionStatus, u64) {
    match name.map(str::to_ascii_lowercase).as_deref() {
        None | Some("ok") => (SessionStatus::Ok, 0),
        Some("errored") => (SessionStatus::Exited, 1),
        Some("unhandled") => (SessionStatus::Unhandled, 1),
        Some("abnormal") => (SessionStatus::Abnormal, 0),
        Some("crashed") => (SessionStatus::Crashed, 1),
        Some(_) => (SessionStatus::Exited, 0),
    }
}

/// To single precision: a duration in seconds is right to the millisecond for hours.
#[expect(clippy::cast_possible_truncation, reason = "bounded, and the loss is what is wanted")]
fn narrow(seconds: f64) -> f32 {
    seconds.min(1e9) as f32
}
