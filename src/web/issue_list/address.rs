//! The issue list's address: what is shown and how, so that it can be kept and passed on.

use serde::Deserialize;
use url::form_urlencoded::Serializer;

use crate::ids::ProjectId;
use crate::store::issue_search::IssueSort;
use crate::store::issue_status::IssueStatus;
use crate::store::page::Cursor;

/// What is searched for when nothing is said.
pub(super) const DEFAULT_QUERY: &str = "is:unresolved";

/// The parameters of the list's address.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Address {
    /// One project only.
    pub(super) project: Option<ProjectId>,
    /// The search box; absent: [`DEFAULT_QUERY`].
    query: Option<String>,
    /// By [`Order::name`].
    pub(super) sort: Option<String>,
    /// Where the page begins.
    pub(super) cursor: Option<String>,
    /// How many issues the form just sent has changed.
    pub(super) changed: Option<i64>,
    /// How many issues the form just sent has made one.
    pub(super) merged: Option<i64>,
    /// Why it has not: 1 too few or too many, 2 of different projects, 3 busy.
    pub(super) unmerged: Option<i64>,
}

/// The orders a column heading offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Latest event first.
    LastSeen,
    /// Newest issue first.
    FirstSeen,
    /// Most events first.
    Events,
}

/// The tabs over the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    /// One status.
    Status(IssueStatus),
    /// Whatever status.
    All,
}

impl Order {
    const ALL: [Self; 3] = [Self::LastSeen, Self::FirstSeen, Self::Events];

    /// Its name in the address.
    const fn name(self) -> &'static str {
        match self {
            Self::LastSeen => "last_seen",
            Self::FirstSeen => "first_seen",
            Self::Events => "events",
        }
    }

    /// The store's name for it.
    pub(super) const fn sort(self) -> IssueSort {
        match self {
            Self::LastSeen => IssueSort::LastSeen,
            Self::FirstSeen => IssueSort::FirstSeen,
            Self::Events => IssueSort::EventCount,
        }
    }
}

impl Address {
    /// What is searched for.
    pub(super) fn query(&self) -> &str {
        self.query.as_deref().map_or(DEFAULT_QUERY, str::trim)
    }

    /// The order in force.
    pub(super) fn order(&self) -> Order {
        let name = self.sort.as_deref();
        Order::ALL.into_iter().find(|order| Some(order.name()) == name).unwrap_or(Order::LastSeen)
    }

    /// The tab the search amounts to; none when it asks for several statuses.
    pub(super) fn tab(&self) -> Option<Tab> {
        let mut statuses = self.query().split_whitespace().filter_map(status_term);
        match (statuses.next(), statuses.next()) {
            (None, _) => Some(Tab::All),
            (Some(status), None) => Some(Tab::Status(status)),
            _ => None,
        }
    }

    /// The same search under another tab.
    pub(super) fn with_tab(&self, tab: Tab) -> String {
        let others = self.query().split_whitespace().filter(|term| status_term(term).is_none());
        let query = match tab {
            Tab::Status(status) => std::iter::once(format!("is:{}", status.as_str()))
                .chain(others.map(str::to_owned))
                .collect::<Vec<_>>()
                .join(" "),
            Tab::All => others.collect::<Vec<_>>().join(" "),
        };
        Self { query: Some(query), cursor: None, ..self.clone() }.path()
    }

    /// The same search in another order.
    pub(super) fn with_order(&self, order: Order) -> String {
        Self { sort: Some(order.name().to_owned()), cursor: None, ..self.clone() }.path()
    }

    /// The same search in another project, or in all.
    pub(super) fn with_project(&self, project: Option<ProjectId>) -> String {
        Self { project, cursor: None, ..self.clone() }.path()
    }

    /// The same list from another place on.
    pub(super) fn at(&self, cursor: Cursor) -> String {
        Self { cursor: Some(cursor.to_string()), ..self.clone() }.path()
    }

    /// The same project without a search.
    pub(super) fn cleared(&self) -> String {
        Self { project: self.project, ..Self::default() }.path()
    }

    /// The address itself; what is as usual is left out, so that it stays short.
    pub(super) fn path(&self) -> String {
        let mut pairs = Serializer::new(String::new());
        if let Some(project) = self.project {
            pairs.append_pair("project", &project.to_string());
        }
        if self.query() != DEFAULT_QUERY {
            pairs.append_pair("query", self.query());
        }
        if self.order() != Order::LastSeen {
            pairs.append_pair("sort", self.order().name());
        }
        if let Some(cursor) = &self.cursor {
            pairs.append_pair("cursor", cursor);
        }
        let pairs = pairs.finish();
        if pairs.is_empty() { "/issues/".to_owned() } else { format!("/issues/?{pairs}") }
    }
}

fn status_term(term: &str) -> Option<IssueStatus> {
    term.strip_prefix("is:").and_then(IssueStatus::from_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(query: &str) -> Address {
        Address { query: Some(query.to_owned()), ..Address::default() }
    }

    #[test]
    fn plain_list_has_a_plain_address() {
        assert_eq!(Address::default().path(), "/issues/");
        assert_eq!(Address::default().tab(), Some(Tab::Status(IssueStatus::Unresolved)));
    }

    #[test]
    fn tabs_keep_the_rest_of_the_search() {
        let searching = address("is:unresolved level:error pay&go");
        assert_eq!(
            searching.with_tab(Tab::Status(IssueStatus::Ignored)),
            "/issues/?query=is%3Aignored+level%3Aerror+pay%26go"
        );
        assert_eq!(searching.with_tab(Tab::All), "/issues/?query=level%3Aerror+pay%26go");
        assert_eq!(address("").tab(), Some(Tab::All));
        assert_eq!(address("is:muted").tab(), Some(Tab::Status(IssueStatus::Ignored)));
        assert_eq!(address("is:resolved is:ignored").tab(), None);
    }

    #[test]
    fn all_statuses_is_not_the_default() {
        assert_eq!(Address::default().with_tab(Tab::All), "/issues/?query=");
    }

    #[test]
    fn another_order_begins_at_the_top() {
        let later = Address { cursor: Some("1:2:0".to_owned()), ..address("boom") };
        assert_eq!(later.with_order(Order::Events), "/issues/?query=boom&sort=events");
        assert_eq!(later.path(), "/issues/?query=boom&cursor=1%3A2%3A0");
    }
}
