//! What people type into the search box of the issue list, read into terms. Pure.
//!
//! ```text
//! query = term { space term }
//! term  = [ "!" ] ( key ":" value | key ":[" value { "," value } "]" | word | '"' phrase '"' )
//! ```
//!
//! A value with spaces goes into double quotes (`\"` and `\\` inside them), `*` in a tag's value
//! stands for anything, and an empty quoted value means "not set". What has no known shape is free
//! text: every word or phrase of it has to occur.

mod reader;

use crate::ids::EventId;
use crate::protocol::Level;

use super::issue_status::IssueStatus;
use reader::{Key, Reader, Value};

/// Longest query read, in characters.
pub const MAX_LENGTH: usize = 1000;
/// Most terms in one query.
pub const MAX_TERMS: usize = 30;

/// A parsed query: an issue matches when all terms do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssueQuery {
    /// In the order they were written.
    pub terms: Vec<Term>,
}

/// One condition, or its opposite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Written with a leading `!`.
    pub negated: bool,
    /// What has to hold, or must not.
    pub condition: Condition,
}

/// What can be asked of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `is:unresolved`, `is:resolved`, `is:ignored` (`archived`, `muted`).
    Status(IssueStatus),
    /// `is:regressed`: an event reopened it.
    Regressed,
    /// `error.unhandled:true`, or `error.handled:false`.
    Unhandled(bool),
    /// `level:error`; any of these.
    Level(Vec<Level>),
    /// `environment:production`; any of these has had an event. An empty name: events without one.
    Environment(Vec<String>),
    /// `logger:…`; any of these.
    Logger(Vec<String>),
    /// `platform:…`; any of these.
    Platform(Vec<String>),
    /// `error.type:ValueError`; any of these is the latest event's exception.
    ErrorType(Vec<String>),
    /// `firstRelease:…`; any of these had the first event.
    FirstRelease(Vec<String>),
    /// `issue:WEB-42`: the project's slug in lower case and the number in it.
    ShortId(String, i64),
    /// `key:value`, `tags[key]:value`; any of the values.
    Tag(String, Vec<TagValue>),
    /// `has:key`.
    HasTag(String),
    /// A word or phrase, in lower case, somewhere in title, culprit or metadata.
    Text(String),
}

/// A tag's value as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagValue {
    /// Exactly this.
    Exact(String),
    /// A pattern for SQL's `like`, its own wild cards escaped.
    Like(String),
}

/// Why a query could not be read: one sentence for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Longer than [`MAX_LENGTH`] or [`MAX_TERMS`].
    #[error("The search query is too long (at most {MAX_LENGTH} characters and {MAX_TERMS} terms).")]
    TooLong,
    /// A quotation without its end.
    #[error("The search query has an opening quotation mark without a closing one.")]
    OpenQuote,
    /// A list without its end.
    #[error("The search query has an opening bracket after {0:?} without a closing one.")]
    OpenList(String),
    /// `is:` with nothing behind it, and the like.
    #[error("The search term {0:?} needs a value.")]
    NoValue(String),
    /// `is:purple`.
    #[error("Invalid value {value:?} for the search term {key:?}; known are {known}.")]
    BadValue {
        /// The part before the colon.
        key: String,
        /// The part behind it.
        value: String,
        /// What could have been there.
        known: &'static str,
    },
    /// A list where only one value makes sense.
    #[error("The search term {0:?} takes one value, not a list.")]
    NoList(String),
    /// A key of Sentry's search that would find nothing here, however many issues there are.
    #[error("Issues cannot be searched by {0:?}; a tag of that name is searched as \"tags[{0}]:…\".")]
    Unsearchable(String),
}

/// Keys of Sentry's issue search for which nothing is stored that could be searched.
const UNSEARCHABLE: [&str; 13] = [
    "age",
    "assigned",
    "assigned_or_suggested",
    "bookmarks",
    "firstSeen",
    "lastSeen",
    "timesSeen",
    "user",
    "user.email",
    "user.id",
    "user.ip",
    "user.username",
    "userCount",
];

impl IssueQuery {
    /// Reads a query; an empty one matches everything.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        // PostgreSQL's text holds no NUL, so nothing stored could match one.
        let text = text.replace('\0', " ");
        if text.chars().nth(MAX_LENGTH).is_some() {
            return Err(QueryError::TooLong);
        }
        let mut reader = Reader::new(text.trim());
        let mut terms = Vec::new();
        while let Some(term) = reader.term()? {
            if terms.len() == MAX_TERMS {
                return Err(QueryError::TooLong);
            }
            terms.push(term);
        }
        Ok(Self { terms })
    }

    /// The event id, when the query is nothing but one.
    pub fn event_id(&self) -> Option<EventId> {
        match self.terms.as_slice() {
            [Term { negated: false, condition: Condition::Text(text) }] => EventId::parse(text),
            _ => None,
        }
    }
}

fn condition(key: &Key<'_>, values: Vec<Value>) -> Result<Condition, QueryError> {
    let bad = |value: &str, known| QueryError::BadValue { key: key.written.to_owned(), value: value.to_owned(), known };
    let first = || values.first().map_or("", |value| value.text.as_str());
    let name = if key.is_tag { "" } else { key.name };
    match name {
        "is" => match first() {
            "regressed" => Ok(Condition::Regressed),
            "unhandled" => Ok(Condition::Unhandled(true)),
            value => IssueStatus::from_name(value)
                .map(Condition::Status)
                .ok_or_else(|| bad(value, "unresolved, resolved, ignored, archived, muted, regressed, unhandled")),
        },
        "has" => Ok(Condition::HasTag(first().to_owned())),
        "issue" => match short_id(first()) {
            Some((slug, number)) => Ok(Condition::ShortId(slug, number)),
            None => Err(bad(first(), "short ids such as WEB-42")),
        },
        "error.unhandled" | "error.handled" => {
            let asked = match first() {
                "true" | "yes" | "1" => true,
                "false" | "no" | "0" => false,
                value => return Err(bad(value, "true, false")),
            };
            Ok(Condition::Unhandled(asked == (name == "error.unhandled")))
        }
        "level" => values
            .iter()
            .map(|value| level(&value.text).ok_or_else(|| bad(&value.text, "debug, info, warning, error, fatal")))
            .collect::<Result<_, _>>()
            .map(Condition::Level),
        "environment" => Ok(Condition::Environment(texts(values))),
        "logger" => Ok(Condition::Logger(texts(values))),
        "platform" => Ok(Condition::Platform(texts(values))),
        "error.type" => Ok(Condition::ErrorType(texts(values))),
        "firstRelease" => Ok(Condition::FirstRelease(texts(values))),
        name if UNSEARCHABLE.contains(&name) => Err(QueryError::Unsearchable(name.to_owned())),
        _ => Ok(Condition::Tag(key.name.to_owned(), values.into_iter().map(tag_value).collect())),
    }
}

fn texts(values: Vec<Value>) -> Vec<String> {
    values.into_iter().map(|value| value.text).collect()
}

fn tag_value(value: Value) -> TagValue {
    if value.is_quoted || !value.text.contains('*') {
        return TagValue::Exact(value.text);
    }
    TagValue::Like(escape_like(&value.text).replace('*', "%"))
}

fn level(name: &str) -> Option<Level> {
    [Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Fatal]
        .into_iter()
        .find(|level| level.as_str().eq_ignore_ascii_case(name))
}

/// Takes `WEB-42` apart: the project's slug in lower case, and the number.
pub fn short_id(text: &str) -> Option<(String, i64)> {
    let (slug, number) = text.rsplit_once('-')?;
    if slug.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((slug.to_lowercase(), number.parse().ok()?))
}

/// Escapes what `like` would take for a wild card.
pub fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<Term> {
        IssueQuery::parse(text).unwrap().terms
    }

    fn one(text: &str) -> Condition {
        let mut terms = terms(text);
        assert_eq!(terms.len(), 1, "{text}: {terms:?}");
        assert!(!terms[0].negated);
        terms.remove(0).condition
    }

    fn tag(key: &str, value: &str) -> Condition {
        Condition::Tag(key.to_owned(), vec![TagValue::Exact(value.to_owned())])
    }

    fn error(text: &str) -> String {
        IssueQuery::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_asked_matches_everything() {
        assert_eq!(terms(""), []);
        assert_eq!(terms("  \t "), []);
    }

    #[test]
    fn statuses_by_every_name() {
        assert_eq!(one("is:unresolved"), Condition::Status(IssueStatus::Unresolved));
        assert_eq!(one("is:resolved"), Condition::Status(IssueStatus::Resolved));
        for name in ["ignored", "archived", "muted"] {
            assert_eq!(one(&format!("is:{name}")), Condition::Status(IssueStatus::Ignored));
        }
        assert_eq!(one("is:regressed"), Condition::Regressed);
        assert_eq!(
            error("is:purple"),
            "Invalid value \"purple\" for the search term \"is\"; known are unresolved, resolved, ignored, archived, \
             muted, regressed, unhandled."
        );
        assert_eq!(error("is:"), "The search term \"is\" needs a value.");
        assert_eq!(error("is:[resolved,ignored]"), "The search term \"is\" takes one value, not a list.");
    }

    #[test]
    fn levels_and_lists() {
        assert_eq!(one("level:error"), Condition::Level(vec![Level::Error]));
        assert_eq!(one("level:[fatal, Warning]"), Condition::Level(vec![Level::Fatal, Level::Warning]));
        assert!(error("level:loud").starts_with("Invalid value \"loud\" for the search term \"level\""));
        assert!(error("level:[error").contains("closing"));
        assert_eq!(error("level:[error,]"), "The search term \"level\" needs a value.");
    }

    #[test]
    fn tags_plain_quoted_forced_and_with_wild_cards() {
        assert_eq!(one("browser.name:Firefox"), tag("browser.name", "Firefox"));
        assert_eq!(one(r#"browser:"Firefox 130""#), tag("browser", "Firefox 130"));
        assert_eq!(one(r#"note:"a \"b\" \\ c \n""#), tag("note", r#"a "b" \ c \n"#));
        assert_eq!(one("tags[level]:5"), tag("level", "5"));
        assert_eq!(one("url:http://example.org/a:b"), tag("url", "http://example.org/a:b"));
        assert_eq!(one(r#"server_name:"""#), tag("server_name", ""));
        assert_eq!(
            one("release:demo_1.*"),
            Condition::Tag("release".into(), vec![TagValue::Like(r"demo\_1.%".into())])
        );
        assert_eq!(
            one(r#"release:["a,b", c*]"#),
            Condition::Tag("release".into(), vec![TagValue::Exact("a,b".into()), TagValue::Like("c%".into())])
        );
        assert_eq!(one("has:user"), Condition::HasTag("user".into()));
    }

    #[test]
    fn environments_negation_and_short_ids() {
        assert_eq!(
            terms("!environment:production !is:resolved !boom"),
            [
                Term { negated: true, condition: Condition::Environment(vec!["production".into()]) },
                Term { negated: true, condition: Condition::Status(IssueStatus::Resolved) },
                Term { negated: true, condition: Condition::Text("boom".into()) },
            ]
        );
        assert_eq!(one("issue:Web-App-42"), Condition::ShortId("web-app".into(), 42));
        assert!(error("issue:42").contains("WEB-42"));
        assert_eq!(one("error.handled:false"), Condition::Unhandled(true));
        assert_eq!(one("error.unhandled:false"), Condition::Unhandled(false));
    }

    #[test]
    fn exceptions_releases_and_what_cannot_be_searched() {
        assert_eq!(
            one("error.type:[KeyError,ValueError]"),
            Condition::ErrorType(vec!["KeyError".into(), "ValueError".into()])
        );
        assert_eq!(one("firstRelease:shop@1.4.2"), Condition::FirstRelease(vec!["shop@1.4.2".into()]));
        assert_eq!(
            error("user.email:a@example.org"),
            "Issues cannot be searched by \"user.email\"; a tag of that name is searched as \"tags[user.email]:…\"."
        );
        assert_eq!(error("age:-24h"), error("!age:-24h"));
        assert_eq!(one("tags[age]:5"), tag("age", "5"));
    }

    #[test]
    fn everything_else_is_free_text() {
        let text = |t: &str| Condition::Text(t.to_owned());
        assert_eq!(one("\"Division By zero\""), text("division by zero"));
        let words: Vec<_> = terms("TypeError: x is http://a.b/c core::fmt 50% ! a!b !!").into_iter().collect();
        assert!(words.iter().all(|term| !term.negated));
        assert_eq!(
            words.into_iter().map(|term| term.condition).collect::<Vec<_>>(),
            ["typeerror:", "x", "is", "http://a.b/c", "core::fmt", "50%", "!", "a!b", "!!"].map(text)
        );
        assert_eq!(one("说明:"), text("说明:"));
        assert_eq!(error("\"open"), "The search query has an opening quotation mark without a closing one.");
        assert_eq!(error("a:\"open\\"), "The search query has an opening quotation mark without a closing one.");
    }

    #[test]
    fn an_event_id_alone_is_noticed() {
        let id = "fc6d8c0c43fc4630ad850ee518f1b9d0";
        assert_eq!(IssueQuery::parse(id).unwrap().event_id().map(|id| id.to_string()).as_deref(), Some(id));
        assert_eq!(IssueQuery::parse(&format!("!{id}")).unwrap().event_id(), None);
        assert_eq!(IssueQuery::parse(&format!("{id} x")).unwrap().event_id(), None);
    }

    #[test]
    fn bounded() {
        assert_eq!(IssueQuery::parse(&"x".repeat(1001)), Err(QueryError::TooLong));
        assert!(IssueQuery::parse(&"错".repeat(1000)).is_ok(), "characters count, not bytes");
        assert_eq!(IssueQuery::parse(&"x ".repeat(31)), Err(QueryError::TooLong));
        assert_eq!(terms("a\0b").len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = IssueQuery::parse(&text);
        }

        #[test]
        fn never_panics_on_its_own_signs(text in "[a:!\"\\[\\]\\\\, *is]{0,30}") {
            let _ = IssueQuery::parse(&text);
        }
    }
}
