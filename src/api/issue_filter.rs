//! Which issues the parameters of a request ask for.

use chrono::Utc;

use super::access;
use super::params::{Params, invalid};
use crate::app::App;
use crate::http::ApiError;
use crate::ids::{IssueId, OrganizationId, ProjectId};
use crate::store::issue_query::{Condition, IssueQuery, Term};
use crate::store::issue_search::{IssueFilter, IssueSort};
use crate::store::issue_status::IssueStatus;
use crate::store::project;

/// What a list shows when nothing is asked for; an empty `query=` asks for everything.
pub(super) const DEFAULT_QUERY: &str = "is:unresolved";

/// The filter of a list or of a change of many: `query`, `environment`, `statsPeriod` or `start` and
/// `end`, `id` or `group`, `status`, `sort`.
pub(super) fn read(params: &Params, projects: Vec<ProjectId>, default_query: &str) -> Result<IssueFilter, ApiError> {
    let query = params.raw("query").unwrap_or(default_query);
    if let Some(kind) = params.get("sort").filter(|sort| read_sort(sort).is_none()) {
        return Err(invalid("sort", kind, "last_seen, first_seen or event_count"));
    }
    let mut filter = IssueFilter {
        projects,
        query: IssueQuery::parse(query)?,
        environments: params.all("environment").map(str::to_owned).collect(),
        seen_since: params.time("start")?,
        seen_until: params.time("end")?,
        only: read_ids(params)?,
        sort: params.get("sort").and_then(read_sort).unwrap_or_default(),
    };
    if let Some(period) = params.period("statsPeriod")? {
        filter.seen_since = Some(Utc::now() - period);
    }
    if let Some(name) = params.get("status") {
        let status = IssueStatus::from_name(name)
            .ok_or_else(|| invalid("status", name, "unresolved, resolved, ignored, archived or muted"))?;
        filter.query.terms.push(Term { negated: false, condition: Condition::Status(status) });
    }
    if filter.environments.iter().any(|name| name.contains('\0')) {
        return Err(invalid("environment", "\\0", "a name"));
    }
    Ok(filter)
}

/// The projects of an organization that `project` names by number or slug; without it (or with
/// `-1`), all of them. Not found if one does not exist.
pub(super) async fn projects(
    app: &App,
    organization: OrganizationId,
    params: &Params,
) -> Result<Vec<ProjectId>, ApiError> {
    let all = project::list_of_organization(&app.db, organization, None, access::MAX_WHOLE).await?;
    let wanted: Vec<&str> = params.all("project").collect();
    if wanted.is_empty() || wanted.contains(&"-1") {
        return Ok(all.iter().map(|project| project.id).collect());
    }
    wanted
        .into_iter()
        .map(|part| {
            let id = part.parse::<ProjectId>().ok();
            let named = all.iter().find(|project| Some(project.id) == id || project.slug == part);
            named.map(|project| project.id).ok_or(ApiError::NotFound)
        })
        .collect()
}

/// The issues named one by one, if any are.
fn read_ids(params: &Params) -> Result<Option<Vec<IssueId>>, ApiError> {
    let ids = params
        .all("id")
        .chain(params.all("group"))
        .map(|text| text.parse::<IssueId>().map_err(|_| invalid("id", text, "an issue's number")))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Some(ids).filter(|ids| !ids.is_empty()))
}

/// Sentry's and GlitchTip's names; each list begins with the greatest.
fn read_sort(name: &str) -> Option<IssueSort> {
    match name.trim_start_matches('-') {
        "last_seen" | "date" | "trends" | "inbox" | "priority" => Some(IssueSort::LastSeen),
        "first_seen" | "new" => Some(IssueSort::FirstSeen),
        "event_count" | "count" | "freq" => Some(IssueSort::EventCount),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<IssueFilter, ApiError> {
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        read(&Params(pairs), vec![ProjectId(1)], DEFAULT_QUERY)
    }

    #[test]
    fn an_empty_query_is_not_the_default_query() {
        assert_eq!(filter("").unwrap().query, IssueQuery::parse("is:unresolved").unwrap());
        assert_eq!(filter("query=").unwrap().query, IssueQuery::default());
        assert_eq!(filter("query=&status=muted").unwrap().query, IssueQuery::parse("is:ignored").unwrap());
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (query, name) in [
            ("sort=colour", "`sort`"),
            ("id=x", "`id`"),
            ("start=x", "`start`"),
            ("statsPeriod=x", "`statsPeriod`"),
            ("status=x", "`status`"),
            ("query=is:x", "\"is\""),
        ] {
            let error = filter(query).unwrap_err();
            assert_eq!(error.status(), 400, "{query}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn names_of_orders() {
        assert_eq!(filter("sort=-count").unwrap().sort, IssueSort::EventCount);
        assert_eq!(filter("sort=new").unwrap().sort, IssueSort::FirstSeen);
        assert_eq!(filter("sort=date").unwrap().sort, IssueSort::LastSeen);
        assert_eq!(filter("id=3&id=4&group=5").unwrap().only, Some(vec![IssueId(3), IssueId(4), IssueId(5)]));
    }
}
