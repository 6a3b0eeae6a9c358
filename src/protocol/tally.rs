//! How many items had which fate: the entries of the ledger, as the edge counts them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Category;
use crate::ids::ProjectId;

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The edge answered 200 for it. Each such item also ends up in one of the next three.
    Accepted,
    /// It can be read.
    Stored,
    /// It was dropped on purpose (a duplicate, an inbound filter, of a type that is not kept).
    Filtered,
    /// It could not be stored (malformed).
    Rejected,
    /// A quota held it back: it was not accepted.
    RateLimited,
    /// The SDK says that it has dropped it itself.
    Discarded,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Stored, Self::Filtered, Self::Rejected, Self::RateLimited, Self::Discarded];

    /// Its name, as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Stored => "stored",
            Self::Filtered => "filtered",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate_limited",
            Self::Discarded => "discarded",
        }
    }

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TallyKey {
    /// Whose items.
    #[serde(rename = "p")]
    pub project_id: ProjectId,
    /// The hour they were received in, as seconds since 1970.
    #[serde(rename = "h")]
    pub hour: i64,
    /// Their rate-limit category.
    #[serde(rename = "c")]
    pub category: Cow<'static, str>,
    /// What became of them.
    #[serde(rename = "o")]
    pub outcome: Outcome,
    /// Why; empty where there is nothing to say.
    #[serde(rename = "r", default, skip_serializing_if = "str::is_empty")]
    pub reason: Cow<'static, str>,
}

impl TallyKey {
    /// For an item received at `received_at`.
    pub fn new(
        project_id: ProjectId,
        received_at: DateTime<Utc>,
        category: Category,
        outcome: Outcome,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        let seconds = received_at.timestamp();
        Self {
            project_id,
            hour: seconds - seconds.rem_euclid(3600),
            category: Cow::Borrowed(category.as_str()),
            outcome,
            reason: reason.into(),
        }
    }
}

/// Counts by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<TallyKey, u64>);

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    key: TallyKey,
    #[serde(rename = "n")]
    quantity: u64,
}

impl Tally {
    /// Adds to a count.
    pub fn add(&mut self, key: TallyKey, quantity: u64) {
        if quantity > 0 {
            let count = self.0.entry(key).or_default();
            *count = count.saturating_add(quantity);
        }
    }

    /// Adds all counts of another tally.
    pub fn merge(&mut self, other: Self) {
        for (key, quantity) in other.0 {
            self.add(key, quantity);
        }
    }

    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The counts, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&TallyKey, u64)> {
        self.0.iter().map(|(key, quantity)| (key, *quantity))
    }

    /// As JSON.
    pub fn encode(&self) -> Bytes {
        let rows: Vec<Row> = self.iter().map(|(key, quantity)| Row { key: key.clone(), quantity }).collect();
        // Plain fields always serialise.
        serde_json::to_vec(&rows).unwrap_or_default().into()
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut tally = Self::default();
        for row in serde_json::from_slice::<Vec<Row>>(json)? {
            tally.add(row.key, row.quantity);
        }
        Ok(tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_read_as_it_was_written() {
        let at = "2026-11-20T10:59:59.9Z".parse().unwrap();
        let mut tally = Tally::default();
        tally.add(TallyKey::new(ProjectId(1), at, Category::Error, Outcome::Accepted, ""), 3);
        tally.add(TallyKey::new(ProjectId(1), at, Category::Error, Outcome::Accepted, ""), 2);
        tally.add(TallyKey::new(ProjectId(2), at, Category::Session, Outcome::Filtered, "not_kept"), 1);
        tally.add(TallyKey::new(ProjectId(2), at, Category::Session, Outcome::Filtered, "nothing"), 0);
        let read = Tally::decode(&tally.encode()).unwrap();
        assert_eq!(read, tally);
        let rows: Vec<(i64, u64)> = read.iter().map(|(key, quantity)| (key.hour, quantity)).collect();
        assert_eq!(rows, [(1_795_168_800, 5), (1_795_168_800, 1)]);
    }

    #[test]
    fn every_outcome_has_a_name_of_its_own() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{}\"", outcome.as_str()));
        }
    }
}
