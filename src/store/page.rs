//! Lists in pages: where a page begins, and what is known of its neighbours.

use std::fmt;
use std::str::FromStr;

/// Most rows of one page.
pub const MAX_LIMIT: usize = 100;

/// A place in a sorted list, between two rows: written `value:tie:is_prev`, opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// What the list is sorted by, of the row next to the place: a count, or microseconds since 1970.
    pub value: i64,
    /// That row's id, which decides between equal values.
    pub tie: u128,
    /// The page before the place is wanted, not the one behind it.
    pub backwards: bool,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Invalid cursor parameter.")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.value, self.tie, u8::from(self.backwards))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let (Some(value), Some(tie), Some(backwards), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidCursor);
        };
        Ok(Self {
            value: value.parse().map_err(|_| InvalidCursor)?,
            tie: tie.parse().map_err(|_| InvalidCursor)?,
            backwards: match backwards {
                "0" => false,
                "1" => true,
                _ => return Err(InvalidCursor),
            },
        })
    }
}

/// Some rows of a list, in the list's order.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the page before this one is.
    pub previous: Cursor,
    /// Whether there are rows before this page.
    pub has_previous: bool,
    /// Where the page behind this one is.
    pub next: Cursor,
    /// Whether there are rows behind this page.
    pub has_next: bool,
}

impl<T> Page<T> {
    /// Makes a page of `limit` rows from up to `limit + 1` found from `cursor` on, nearest to the
    /// cursor first; `place` gives the sort value and the id of a row.
    pub fn from_nearest(
        mut found: Vec<T>,
        cursor: Option<Cursor>,
        limit: usize,
        place: impl Fn(&T) -> (i64, u128),
    ) -> Self {
        let has_more = found.len() > limit;
        found.truncate(limit);
        let backwards = cursor.is_some_and(|cursor| cursor.backwards);
        if backwards {
            found.reverse();
        }
        let start = cursor.map_or((0, 0), |cursor| (cursor.value, cursor.tie));
        let at = |item: Option<&T>, backwards| {
            let (value, tie) = item.map_or(start, &place);
            Cursor { value, tie, backwards }
        };
        Self {
            previous: at(found.first(), true),
            has_previous: if backwards { has_more } else { cursor.is_some() },
            next: at(found.last(), false),
            has_next: backwards || has_more,
            items: found,
        }
    }

    /// Cuts a page out of a list that is short enough to be whole; cursors count rows.
    pub fn from_whole(all: Vec<T>, cursor: Option<Cursor>, limit: usize) -> Self {
        let at = cursor.map_or(0, |cursor| usize::try_from(cursor.tie).unwrap_or(usize::MAX)).min(all.len());
        let start = if cursor.is_some_and(|cursor| cursor.backwards) { at.saturating_sub(limit) } else { at };
        let end = if start == at { at.saturating_add(limit).min(all.len()) } else { at };
        let has_next = end < all.len();
        let place = |row: usize, backwards| Cursor { value: 0, tie: row as u128, backwards };
        Self {
            items: all.into_iter().take(end).skip(start).collect(),
            previous: place(start, true),
            has_previous: start > 0,
            next: place(end, false),
            has_next,
        }
    }

    /// The same page with other items, or the first error in making one.
    pub fn try_map<U, E>(self, make: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            items: self.items.into_iter().map(make).collect::<Result<_, E>>()?,
            previous: self.previous,
            has_previous: self.has_previous,
            next: self.next,
            has_next: self.has_next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        for cursor in [
            Cursor::default(),
            Cursor { value: -5, tie: u128::MAX, backwards: true },
            Cursor { value: i64::MAX, tie: 7, backwards: false },
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "1", "1:2", "1:2:3", "1:2:0:0", "a:2:0", "1:-2:0"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }

    #[test]
    fn a_whole_list_is_walked_both_ways() {
        let all: Vec<u8> = (0..25).collect();
        let page = |cursor| Page::from_whole(all.clone(), cursor, 10);
        let first = page(None);
        assert_eq!((first.items.len(), first.has_previous, first.has_next), (10, false, true));
        let second = page(Some(first.next));
        assert_eq!((second.items[0], second.has_previous, second.has_next), (10, true, true));
        let third = page(Some(second.next));
        assert_eq!((third.items.as_slice(), third.has_next), ([20, 21, 22, 23, 24].as_slice(), false));
        let back = page(Some(third.previous));
        assert_eq!(back.items, second.items);
        assert_eq!(page(Some(back.previous)).items, first.items);
        assert!(page(Some(third.next)).items.is_empty());
    }
}
