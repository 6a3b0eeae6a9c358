//! Having nothing done by schedule for a while.

use chrono::{TimeDelta, Utc};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Response, StatusCode};

use super::server::{Body, Desk, LONGEST_BODY, json, refuse};
use super::{Freeze, Outcome};
use crate::schedule::Frozen;

/// Most characters of a reason.
const LONGEST_REASON: usize = 200;

pub(super) async fn freeze(desk: &Desk, body: Incoming) -> Response<Body> {
    let Ok(body) = Limited::new(body, LONGEST_BODY).collect().await else {
        return refuse(StatusCode::BAD_REQUEST, "The request cannot be read.".to_owned());
    };
    let Freeze { for_s, reason } = match serde_json::from_slice(&body.to_bytes()) {
        Ok(wish) => wish,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("The request is not understood: {error}.")),
    };
    let now = Utc::now();
    let printable = |text: String| text.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect();
    let reason: Option<String> = reason.map(printable).filter(|text: &String| !text.is_empty());
    let until = for_s.map(|seconds| now + TimeDelta::seconds(i64::from(seconds)));
    let frozen = Frozen { since: now, until, reason };
    let message = format!("Schedules are {frozen}");
    answer(desk, Some(frozen), message).await
}

pub(super) async fn thaw(desk: &Desk) -> Response<Body> {
    let was_frozen = desk.timetable.overview().frozen.is_some();
    let message = if was_frozen { "Schedules are kept again" } else { "Schedules were not frozen" };
    answer(desk, None, message.to_owned()).await
}

async fn answer(desk: &Desk, frozen: Option<Frozen>, message: String) -> Response<Body> {
    match desk.timetable.freeze(frozen).await {
        Ok(()) => json(StatusCode::OK, &Outcome { ok: true, message }),
        Err(message) => refuse(StatusCode::CONFLICT, message),
    }
}
