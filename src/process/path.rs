//! Where in an event a field is.

use std::fmt;

/// Made on the stack, written out only for an error or a remark.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The event.
    Root,
    /// A member of an object.
    Key(&'a Path<'a>, &'a str),
    /// A member of a list.
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    pub(super) fn key<'a>(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    pub(super) fn index(&self, index: usize) -> Path<'_> {
        Path::Index(self, index)
    }

    /// True for a field that holds a version, by its name.
    pub(super) fn is_version(&self) -> bool {
        matches!(self, Self::Key(_, key) if key.to_ascii_lowercase().contains("version"))
    }

    /// From the event down.
    pub(super) fn segments(&self) -> Vec<String> {
        match self {
            Self::Root => Vec::new(),
            Self::Key(parent, key) => parent.with((*key).to_owned()),
            Self::Index(parent, index) => parent.with(index.to_string()),
        }
    }

    fn with(&self, segment: String) -> Vec<String> {
        let mut segments = self.segments();
        segments.push(segment);
        segments
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parent, segment): (_, &dyn fmt::Display) = match self {
            Self::Root => return Ok(()),
            Self::Key(parent, key) => (parent, key),
            Self::Index(parent, index) => (parent, index),
        };
        match parent {
            Self::Root => {}
            parent => write!(f, "{parent}.")?,
        }
        segment.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_people_expect() {
        let exception = Path::Root.key("exception");
        let list = exception.key("values");
        let first = list.index(0);
        assert_eq!(first.key("type").to_string(), "exception.values.0.type");
        assert_eq!(first.key("type").segments(), ["exception", "values", "0", "type"]);
        assert_eq!((Path::Root.to_string().as_str(), Path::Root.segments().len()), ("", 0));
    }
}
