//! An issue as JSON.

use serde_json::{Value, json};

use super::users::time;
use crate::app::App;
use crate::store::issue_search::IssueRow;
use crate::store::issue_stats::Series;
use crate::store::issue_status::IssueStatus;
use crate::store::issue_tags::TagKey;

/// An issue as lists show it; `stats` by the name of the period.
pub(super) fn issue_json(app: &App, issue: &IssueRow, stats: &[(&str, Option<&Series>)]) -> Value {
    let stats: serde_json::Map<String, Value> =
        stats.iter().filter_map(|(period, series)| Some(((*period).to_owned(), json!((*series)?)))).collect();
    json!({
        "id": issue.id.to_string(),
        "shortId": issue.short_name(),
        "shareId": null,
        "title": issue.title,
        "culprit": issue.culprit,
        "permalink": format!("{}/issues/{}/", app.config.public_base(), issue.id),
        "logger": text(&issue.logger),
        "level": issue.level.as_str(),
        "status": issue.status.as_str(),
        "statusDetails": {},
        "substatus": substatus(issue),
        "isPublic": false,
        "platform": issue.platform,
        "project": {
            "id": issue.project_id.to_string(),
            "name": issue.project_name,
            "slug": issue.project_slug,
            "platform": text(&issue.project_platform),
        },
        "type": issue.kind.as_str(),
        "metadata": issue.metadata,
        "numComments": 0,
        "assignedTo": null,
        "isBookmarked": false,
        "isSubscribed": false,
        "subscriptionDetails": null,
        "hasSeen": false,
        "annotations": [],
        "isUnhandled": issue.is_unhandled,
        "count": issue.event_count.to_string(),
        "userCount": issue.user_count,
        "firstSeen": time(issue.first_seen),
        "lastSeen": time(issue.last_seen),
        "stats": stats,
    })
}

/// What the page of a single issue shows besides.
pub(super) fn add_details(json: &mut Value, issue: &IssueRow, tags: &[TagKey]) {
    let Some(fields) = json.as_object_mut() else { return };
    let tags = tags.iter().map(
        |tag| json!({ "key": tag.key, "name": tag.key, "totalValues": tag.total, "uniqueValues": tag.unique_values }),
    );
    let details = [
        ("tags", tags.collect()),
        ("firstRelease", release_json(issue.first_release.as_deref())),
        ("lastRelease", release_json(issue.last_release.as_deref())),
        ("activity", json!([])),
        ("participants", json!([])),
        ("seenBy", json!([])),
        ("pluginActions", json!([])),
        ("pluginIssues", json!([])),
        ("pluginContexts", json!([])),
        ("userReportCount", json!(0)),
    ];
    fields.extend(details.map(|(name, value)| (name.to_owned(), value)));
}

/// A release by its version, or null.
pub(super) fn release_json(version: Option<&str>) -> Value {
    version.map_or(Value::Null, |version| json!({ "version": version, "shortVersion": short_version(version) }))
}

/// `1.0.0` for `demo@1.0.0`.
fn short_version(version: &str) -> &str {
    version.rsplit_once('@').map_or(version, |(_, version)| version)
}

fn substatus(issue: &IssueRow) -> Option<&'static str> {
    match issue.status {
        IssueStatus::Unresolved if issue.is_regressed => Some("regressed"),
        IssueStatus::Unresolved => Some("ongoing"),
        IssueStatus::Resolved => None,
        IssueStatus::Ignored => Some("archived_forever"),
    }
}

fn text(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.is_empty())
}
