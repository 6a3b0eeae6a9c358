//! Keyset pages, linked by the `Link` header as Sentry's clients expect.

use std::fmt;

use url::form_urlencoded::byte_serialize;

/// A place in an ordered list: the sort key and tie-breaker of the row next to the page. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The row's sort key: a count, or microseconds since 1970.
    pub value: i64,
    /// The row's id, numeric or UUID: unique among equal sort keys.
    pub tie: u128,
    /// The page wanted ends before that row instead of starting after it.
    pub is_previous: bool,
}

impl Cursor {
    /// Reads `value:tie:0|1`; `None` for anything else. An empty text means the first page: do not ask.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let cursor = Self {
            value: parts.next()?.parse().ok()?,
            tie: parts.next()?.parse().ok()?,
            is_previous: match parts.next()? {
                "0" => false,
                "1" => true,
                _ => return None,
            },
        };
        parts.next().is_none().then_some(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.value, self.tie, u8::from(self.is_previous))
    }
}

/// One side of a page: where it leads, and whether anything is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Leads to the neighbouring page.
    pub cursor: Cursor,
    /// That page has rows.
    pub has_results: bool,
}

/// The `Link` header's value. `url` is the list's absolute address; `query` its parameters, of which
/// `cursor` is replaced.
pub fn link_header(url: &str, query: &[(String, String)], previous: Neighbour, next: Neighbour) -> String {
    let mut base = format!("{url}?");
    for (name, value) in query.iter().filter(|(name, _)| name != "cursor") {
        base.extend(byte_serialize(name.as_bytes()));
        base.push('=');
        base.extend(byte_serialize(value.as_bytes()));
        base.push('&');
    }
    let part = |rel: &str, side: Neighbour| {
        let Neighbour { cursor, has_results } = side;
        format!(r#"<{base}cursor={cursor}>; rel="{rel}"; results="{has_results}"; cursor="{cursor}""#)
    };
    format!("{}, {}", part("previous", previous), part("next", next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_the_round_trip() {
        let uuid = Cursor { value: -5, tie: u128::MAX, is_previous: true };
        assert_eq!(Cursor::parse(&uuid.to_string()), Some(uuid));
        for text in ["", "1", "1:2", "1:2:3", "1:2:0:0", "a:2:0", "1:-2:0"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn link_header_replaces_the_cursor_and_escapes_the_rest() {
        let side =
            |value, is_previous, has_results| Neighbour { cursor: Cursor { value, tie: 7, is_previous }, has_results };
        let query = [("query".to_owned(), "is:unresolved a&b".to_owned()), ("cursor".to_owned(), "0:0:0".to_owned())];
        assert_eq!(
            link_header("http://h/api/0/issues/", &query, side(9, true, false), side(3, false, true)),
            r#"<http://h/api/0/issues/?query=is%3Aunresolved+a%26b&cursor=9:7:1>; rel="previous"; results="false"; cursor="9:7:1", <http://h/api/0/issues/?query=is%3Aunresolved+a%26b&cursor=3:7:0>; rel="next"; results="true"; cursor="3:7:0""#
        );
    }
}
