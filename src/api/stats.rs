//! How many items came to what, over time: Sentry's `stats_v2`, which dashboards ask.
//!
//! Its names are Sentry's: what we have stored is `accepted` there. Our own `accepted`, the edge's count of what it has
//! acknowledged, is that same item counted once more; it is left out of every sum unless `outcome=received` asks for
//! it by that name.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::access;
use super::caller::Caller;
use super::issue_filter;
use super::params::{Params, PathParts, invalid};
use crate::app::App;
use crate::http::ApiError;
use crate::protocol::Category;
use crate::store::ledger::{self, Dimension, LedgerFilter, LedgerSum};
use crate::store::outcome::Outcome;

/// Most numbers of an answer: steps of time times groups.
const MAX_POINTS: u16 = 10_000;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Our outcomes under the names of the protocol.
const OUTCOMES: [(Outcome, &str); 6] = [
    (Outcome::Stored, "accepted"),
    (Outcome::Filtered, "filtered"),
    (Outcome::Rejected, "invalid"),
    (Outcome::RateLimited, "rate_limited"),
    (Outcome::Discarded, "client_discard"),
    (Outcome::Accepted, RECEIVED),
];

/// The edge's own count: what was acknowledged, whatever became of it.
const RECEIVED: &str = "received";

/// Outcomes of the protocol that nothing has here; asking for them is no mistake.
const NEVER: [&str; 2] = ["abuse", "cardinality_limited"];

/// Categories of the protocol that nothing is counted in here; asking for them is no mistake.
const OTHER_CATEGORIES: [&str; 14] = [
    "attachment_item",
    "log_byte",
    "profile_backend",
    "profile_duration",
    "profile_duration_ui",
    "profile_indexed",
    "profile_ui",
    "replay_video",
    "span_indexed",
    "trace_metric_byte",
    "transaction_indexed",
    "transaction_processed",
    "user_report",
    "user_report_v2",
];

/// What stands for no reason.
const NO_REASON: &str = "none";

/// Steps of time: `count` of them, `step` long, the first one beginning at `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steps {
    start: DateTime<Utc>,
    step: TimeDelta,
    count: i32,
}

/// `GET /organizations/{organization}/stats_v2/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    caller.require("org:read")?;
    let organization = access::organization(&app, &caller, &path).await?;
    let fields = fields(&params)?;
    let columns = columns(&params)?;
    let steps = steps(&params, Utc::now())?;
    let filter = LedgerFilter {
        projects: issue_filter::projects(&app, organization.id, &params).await?,
        since: steps.start,
        until: steps.end(),
        outcomes: outcomes(&params)?,
        categories: categories(&params)?,
        reasons: reasons(&params)?,
    };
    // A group has at least one sum, so more sums than points are more groups than fit.
    let sums = ledger::sums(&app.db, &filter, &columns, steps.step, i64::from(MAX_POINTS) + 1).await?;
    let groups = groups(sums, &columns, steps.len());
    if groups.len().saturating_mul(steps.len()) > usize::from(MAX_POINTS) {
        return Err(too_much(&format!("{} groups of {} intervals", groups.len(), steps.len())));
    }
    let groups: Vec<Value> = groups.into_values().map(|group| group.json(&fields)).collect();
    Ok(Json(json!({
        "start": iso(steps.start),
        "end": iso(steps.end()),
        "intervals": steps.starts().map(iso).collect::<Vec<_>>(),
        "groups": groups,
    })))
}

/// A group's name and its series.
struct Group {
    by: Map<String, Value>,
    series: Vec<i64>,
}

impl Group {
    /// Both fields are the same number: an item is seen once.
    fn json(self, fields: &[&str]) -> Value {
        let total: i64 = self.series.iter().sum();
        let totals: Map<String, Value> = fields.iter().map(|field| ((*field).to_owned(), total.into())).collect();
        let series: Map<String, Value> =
            fields.iter().map(|field| ((*field).to_owned(), self.series.clone().into())).collect();
        json!({ "by": self.by, "totals": totals, "series": series })
    }
}

/// The sums as one series for each group, in the order of their names. Without a column there is one group, empty or
/// not.
fn groups(sums: Vec<LedgerSum>, columns: &[Dimension], steps: usize) -> BTreeMap<String, Group> {
    let mut groups = BTreeMap::new();
    if columns.is_empty() {
        groups.insert(String::new(), Group { by: Map::new(), series: vec![0; steps] });
    }
    for sum in sums {
        let mut by = Map::new();
        let mut name = String::new();
        for column in columns {
            let (key, value) = named(*column, &sum);
            // Numbers sort by value when they are equally long.
            name.push_str(&value.as_i64().map_or_else(|| value.to_string(), |number| format!("{number:020}")));
            by.insert(key.to_owned(), value);
        }
        let group = groups.entry(name).or_insert_with(|| Group { by, series: vec![0; steps] });
        if let Some(quantity) = usize::try_from(sum.slot).ok().and_then(|slot| group.series.get_mut(slot)) {
            *quantity += sum.quantity;
        }
    }
    groups
}

/// The column that `groupBy` names so.
fn column(name: &str) -> Option<Dimension> {
    Some(match name {
        "project" => Dimension::Project,
        "category" => Dimension::Category,
        "outcome" => Dimension::Outcome,
        "reason" => Dimension::Reason,
        _ => return None,
    })
}

/// A column's name and its value in an answer.
fn named(column: Dimension, sum: &LedgerSum) -> (&'static str, Value) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match column {
        Dimension::Project => ("project", json!(sum.project_id)),
        Dimension::Category => ("category", text(&sum.category).into()),
        Dimension::Outcome => {
            let stored = text(&sum.outcome);
            let outward = OUTCOMES.iter().find(|(ours, _)| ours.as_str() == stored).map(|(_, name)| (*name).to_owned());
            ("outcome", outward.unwrap_or(stored).into())
        }
        Dimension::Reason => {
            let reason = text(&sum.reason);
            ("reason", if reason.is_empty() { NO_REASON.into() } else { reason.into() })
        }
    }
}

impl Steps {
    fn end(&self) -> DateTime<Utc> {
        self.start + self.step * self.count
    }

    fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or_default()
    }

    fn starts(&self) -> impl Iterator<Item = DateTime<Utc>> {
        let Self { start, step, count } = *self;
        (0..count).map(move |index| start + step * index)
    }
}

/// The steps asked for. A period ends with the step that `now` lies in; a start and an end are moved outwards to
/// the limits of steps.
fn steps(params: &Params, now: DateTime<Utc>) -> Result<Steps, ApiError> {
    let step = interval(params)?;
    // Steps of less than a day divide it, and lie as in every other day; longer ones begin at midnight.
    let grid = step.min(DAY);
    let (start, count) = match (params.period("statsPeriod")?, params.time("start")?, params.time("end")?) {
        (Some(period), None, None) => {
            let count = divided_up(period.num_seconds(), step).max(1);
            (divided_up(now.timestamp(), grid) * grid - count * step, count)
        }
        (None, Some(start), Some(end)) if start < end => {
            let start = start.timestamp().div_euclid(grid) * grid;
            (start, divided_up(end.timestamp() - start, step).max(1))
        }
        (None, Some(start), Some(_)) => return Err(invalid("start", &iso(start), "a time before `end`")),
        (Some(_), ..) => {
            return Err(ApiError::BadRequest("`statsPeriod` does not go together with `start` or `end`.".to_owned()));
        }
        _ => {
            let expected = "Say which time is meant: `statsPeriod`, or `start` and `end`.";
            return Err(ApiError::BadRequest(expected.to_owned()));
        }
    };
    if count > i64::from(MAX_POINTS) {
        return Err(too_much(&format!("{count} intervals")));
    }
    let steps = Steps {
        start: DateTime::from_timestamp(start, 0).unwrap_or_default(),
        step: TimeDelta::seconds(step),
        count: i32::try_from(count).unwrap_or_default(),
    };
    Ok(steps)
}

/// Seconds of a step: an hour or more, since that is what is counted by.
fn interval(params: &Params) -> Result<i64, ApiError> {
    let Some(interval) = params.period("interval")? else { return Ok(HOUR) };
    let seconds = interval.num_seconds();
    if seconds >= HOUR && seconds % HOUR == 0 && (DAY % seconds == 0 || seconds % DAY == 0) {
        return Ok(seconds);
    }
    let text = params.get("interval").unwrap_or_default();
    Err(invalid("interval", text, "whole hours that divide a day (1h, 6h, 12h), or whole days (1d, 7d)"))
}

fn divided_up(number: i64, by: i64) -> i64 {
    number.div_euclid(by) + i64::from(number.rem_euclid(by) > 0)
}

fn too_much(what: &str) -> ApiError {
    ApiError::BadRequest(format!(
        "The answer would have {what}, and at most {MAX_POINTS} numbers are given: ask for a longer `interval`, a \
         shorter time, or fewer `groupBy`."
    ))
}

fn fields(params: &Params) -> Result<Vec<&'static str>, ApiError> {
    const KNOWN: [&str; 2] = ["sum(quantity)", "sum(times_seen)"];
    let mut fields = Vec::new();
    for name in params.all("field") {
        let known = KNOWN.into_iter().find(|known| *known == name);
        let known = known.ok_or_else(|| invalid("field", name, "sum(quantity) or sum(times_seen)"))?;
        if !fields.contains(&known) {
            fields.push(known);
        }
    }
    if fields.is_empty() {
        return Err(ApiError::BadRequest("The parameter `field` is missing: sum(quantity) is usual.".to_owned()));
    }
    Ok(fields)
}

fn columns(params: &Params) -> Result<Vec<Dimension>, ApiError> {
    let mut columns = Vec::new();
    for name in params.all("groupBy") {
        let expected = "project, category, outcome or reason";
        let column = self::column(name).ok_or_else(|| invalid("groupBy", name, expected))?;
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    Ok(columns)
}

/// The outcomes to sum up, by our names; unless asked, all but the edge's own count.
fn outcomes(params: &Params) -> Result<Vec<String>, ApiError> {
    let mut named = params.all("outcome").peekable();
    if named.peek().is_none() {
        let all = OUTCOMES.iter().filter(|(_, outward)| *outward != RECEIVED);
        return Ok(all.map(|(ours, _)| ours.as_str().to_owned()).collect());
    }
    let mut outcomes = Vec::new();
    for name in named {
        match OUTCOMES.iter().find(|(_, outward)| *outward == name) {
            Some((ours, _)) => outcomes.push(ours.as_str().to_owned()),
            None if NEVER.contains(&name) => {}
            None => {
                let expected = "accepted, filtered, invalid, rate_limited, client_discard or received";
                return Err(invalid("outcome", name, expected));
            }
        }
    }
    Ok(outcomes)
}

/// The categories to sum up. Who asks for errors means messages and security reports as well.
fn categories(params: &Params) -> Result<Option<Vec<String>>, ApiError> {
    let mut categories = Vec::new();
    for name in params.all("category") {
        match name {
            "error" => categories.extend(["error", "default", "security"].map(str::to_owned)),
            _ if Category::ALL.iter().any(|known| known.as_str() == name) || OTHER_CATEGORIES.contains(&name) => {
                categories.push(name.to_owned());
            }
            _ => return Err(invalid("category", name, "a category such as error, transaction or attachment")),
        }
    }
    Ok(Some(categories).filter(|categories| !categories.is_empty()))
}

fn reasons(params: &Params) -> Result<Option<Vec<String>>, ApiError> {
    let mut reasons = Vec::new();
    for name in params.all("reason") {
        if name.contains('\0') {
            return Err(invalid("reason", name, "a reason"));
        }
        reasons.push(if name == NO_REASON { String::new() } else { name.to_owned() });
    }
    Ok(Some(reasons).filter(|reasons| !reasons.is_empty()))
}

fn iso(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn range(query: &str) -> (String, String, i32) {
        let now = "2026-03-04T05:06:07Z".parse().unwrap();
        let steps = steps(&params(query), now).unwrap();
        (iso(steps.start), iso(steps.end()), steps.count)
    }

    fn expected(start: &str, end: &str, count: i32) -> (String, String, i32) {
        (start.to_owned(), end.to_owned(), count)
    }

    #[test]
    fn a_period_ends_with_the_step_of_now() {
        assert_eq!(range("statsPeriod=24h"), expected("2026-03-03T06:00:00Z", "2026-03-04T06:00:00Z", 24));
        assert_eq!(range("statsPeriod=90m"), expected("2026-03-04T04:00:00Z", "2026-03-04T06:00:00Z", 2));
        assert_eq!(range("statsPeriod=7d&interval=1d"), expected("2026-02-26T00:00:00Z", "2026-03-05T00:00:00Z", 7));
        assert_eq!(range("statsPeriod=2w&interval=7d"), expected("2026-02-19T00:00:00Z", "2026-03-05T00:00:00Z", 2));
    }

    #[test]
    fn a_range_is_moved_outwards_to_whole_steps() {
        assert_eq!(
            range("start=2026-03-01T10:20:00&end=2026-03-01T12:00:01"),
            expected("2026-03-01T10:00:00Z", "2026-03-01T13:00:00Z", 3)
        );
        assert_eq!(
            range("start=2026-03-01T10:20:00Z&end=2026-03-02&interval=6h"),
            expected("2026-03-01T06:00:00Z", "2026-03-02T00:00:00Z", 3)
        );
    }

    #[test]
    fn what_is_malformed_is_named() {
        let now = Utc::now();
        for (query, name) in [
            ("", "`statsPeriod`"),
            ("start=2026-01-01", "`end`"),
            ("statsPeriod=24h&start=2026-01-01&end=2026-01-02", "`statsPeriod`"),
            ("start=2026-01-02&end=2026-01-01", "`start`"),
            ("start=soon&end=2026-01-01", "`start`"),
            ("statsPeriod=24h&interval=5m", "`interval`"),
            ("statsPeriod=24h&interval=5h", "`interval`"),
            ("statsPeriod=24h&interval=36h", "`interval`"),
            ("statsPeriod=24h&interval=0h", "`interval`"),
            ("statsPeriod=9999d", "`interval`"),
            ("start=0001-01-01&end=9999-01-01", "`interval`"),
        ] {
            let error = steps(&params(query), now).unwrap_err();
            assert_eq!(error.status(), 400, "{query}");
            assert!(error.to_string().contains(name), "{query}: {error}");
        }
        for (error, name) in [
            (fields(&params("field=avg(quantity)")).unwrap_err(), "`field`"),
            (fields(&params("")).unwrap_err(), "`field`"),
            (columns(&params("groupBy=release")).unwrap_err(), "`groupBy`"),
            (outcomes(&params("outcome=stored")).unwrap_err(), "`outcome`"),
            (categories(&params("category=errors")).unwrap_err(), "`category`"),
            (reasons(&params("reason=%00")).unwrap_err(), "`reason`"),
        ] {
            assert!(error.status() == 400 && error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn the_edges_own_count_is_summed_up_only_when_asked_for() {
        assert!(!outcomes(&params("")).unwrap().contains(&"accepted".to_owned()));
        assert_eq!(outcomes(&params("outcome=received")).unwrap(), ["accepted"]);
        assert_eq!(outcomes(&params("outcome=accepted&outcome=abuse")).unwrap(), ["stored"]);
        assert!(outcomes(&params("outcome=abuse")).unwrap().is_empty());
    }
}
