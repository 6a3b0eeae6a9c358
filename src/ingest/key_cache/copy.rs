//! The copy of the keys in memory: what is in it, how fresh that is, and what may go when there is too much.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::file::Content;
use super::rules::{RuleTable, targets};
use super::{ASK_LIMIT, Answer, Known, LookUp, SHORT_ASK_LIMIT};
use crate::protocol::PublicKey;
use crate::store::project_key::KeyRow;
use crate::store::rate_limit::RateLimit;

/// While PostgreSQL answers, a key is believed so long; disabling it takes effect within that time.
pub(super) const FOUND_FOR: Duration = Duration::from_secs(5);

/// A copy in use is renewed when it is so old: with steady traffic nobody waits for PostgreSQL.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(2);

/// A key that was not found is refused so long without asking again.
const MISSING_FOR: Duration = Duration::from_secs(2);

/// Keys held; of more, those that were used last.
pub(super) const MAX_KEYS: usize = 50_000;

/// Keys remembered as missing.
const MAX_MISSING: usize = 20_000;

/// A public key's 128 bits.
pub(super) type KeyBits = u128;

/// A public key as a number.
pub(super) fn bits(key: &PublicKey) -> KeyBits {
    // It is 32 hexadecimal digits.
    KeyBits::from_str_radix(key.as_str(), 16).unwrap_or_default()
}

/// What the copy says of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    Answer(LookUp),
    /// PostgreSQL is to be asked, and may take so long.
    Ask {
        limit: Duration,
    },
}

#[derive(Debug)]
struct Entry {
    known: Known,
    /// When the question was sent that PostgreSQL answered so; none for what the file said.
    confirmed_at: Option<Instant>,
    /// None: not by this process.
    used_at: Option<Instant>,
}

#[derive(Debug)]
struct Missing {
    is_judged: bool,
    until: Instant,
}

/// The keys that are known.
#[derive(Debug, Default)]
pub(super) struct Copy {
    entries: HashMap<KeyBits, Entry>,
    missing: HashMap<KeyBits, Missing>,
    rules: RuleTable,
    is_complete: bool,
    is_away: bool,
    is_changed: bool,
    renew_at: Option<Instant>,
}

impl Copy {
    /// What the file holds: serves when PostgreSQL is away, and is asked for again when it is not.
    pub(super) fn from_file(content: &Content) -> Self {
        let entry = |row: &KeyRow| {
            let key = PublicKey::parse(&row.public_key)?;
            Some((bits(&key), Entry { known: Known::from(row), confirmed_at: None, used_at: None }))
        };
        let entries = content.keys.iter().filter_map(entry).collect();
        let rules = RuleTable::new(&content.limits);
        Self { entries, rules, is_complete: content.is_complete, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is no key besides these.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away
    }

    /// True when the file does not say the same.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Notes whether PostgreSQL answers; true when that is news.
    pub(super) fn set_away(&mut self, is_away: bool) -> bool {
        std::mem::replace(&mut self.is_away, is_away) != is_away
    }

    /// True for one caller when the copy is to be renewed.
    pub(super) fn is_renewal_due(&mut self, now: Instant) -> bool {
        let is_due = self.renew_at.is_none_or(|at| at <= now);
        if is_due {
            self.renew_at = Some(now + RENEW_EVERY);
        }
        is_due
    }

    /// What is known of a key that is wanted now.
    pub(super) fn look(&mut self, bits: KeyBits, now: Instant) -> Look {
        if let Some(entry) = self.entries.get_mut(&bits) {
            // A key out of a list may have been disabled since; the first who uses it asks.
            let is_fresh =
                [entry.confirmed_at, entry.used_at].iter().all(|at| at.is_some_and(|at| now < at + FOUND_FOR));
            if is_fresh || self.is_away {
                entry.used_at = Some(now);
                return Look::Answer(LookUp::Known(with_rules(&self.rules, &entry.known)));
            }
            return Look::Ask { limit: SHORT_ASK_LIMIT };
        }
        match self.missing.get(&bits) {
            Some(missing) if missing.until > now && missing.is_judged => Look::Answer(LookUp::Unknown),
            Some(missing) if missing.until > now => Look::Answer(LookUp::Unavailable),
            _ if self.is_away => Look::Ask { limit: SHORT_ASK_LIMIT },
            _ => Look::Ask { limit: ASK_LIMIT },
        }
    }

    /// PostgreSQL's answer to a question about one key, sent at `asked_at`.
    pub(super) fn answered(&mut self, bits: KeyBits, answer: Option<&Answer>, asked_at: Instant) -> LookUp {
        let Some(Answer { row, limits }) = answer else {
            self.is_changed |= self.entries.remove(&bits).is_some();
            self.put_missing(bits, true, asked_at);
            return LookUp::Unknown;
        };
        let known = Known::from(row);
        self.missing.remove(&bits);
        self.put(bits, known.clone(), asked_at);
        if let Some(entry) = self.entries.get_mut(&bits) {
            entry.used_at = Some(asked_at);
        }
        self.is_changed |= self.rules.replace(targets(&known), limits);
        self.make_room();
        LookUp::Known(with_rules(&self.rules, &known))
    }

    /// What serves for a key that PostgreSQL was asked for in vain.
    pub(super) fn fall_back(&mut self, bits: KeyBits, now: Instant) -> LookUp {
        if let Some(entry) = self.entries.get_mut(&bits) {
            entry.used_at = Some(now);
            return LookUp::Known(with_rules(&self.rules, &entry.known));
        }
        self.put_missing(bits, self.is_complete, now);
        if self.is_complete { LookUp::Unknown } else { LookUp::Unavailable }
    }

    /// Takes all keys and limits over, as they were when they were asked for.
    pub(super) fn replace(&mut self, rows: &[KeyRow], limits: &[RateLimit], asked_at: Instant) {
        let rules = RuleTable::new(limits);
        self.is_changed |= rules != self.rules;
        self.rules = rules;
        let mut gone = std::mem::take(&mut self.entries);
        self.entries.reserve(rows.len());
        for row in rows {
            let Some(key) = PublicKey::parse(&row.public_key) else { continue };
            let bits = bits(&key);
            if let Some(entry) = gone.remove(&bits) {
                self.entries.insert(bits, entry);
            }
            self.put(bits, Known::from(row), asked_at);
        }
        let not_listed = gone.len();
        // One that was found meanwhile is newer than the list.
        gone.retain(|_, entry| entry.confirmed_at.is_some_and(|at| at > asked_at));
        self.is_changed |= !self.is_complete || gone.len() < not_listed;
        self.is_complete = true;
        self.entries.extend(gone);
        self.make_room();
    }

    /// There are more keys than are held.
    pub(super) fn mark_incomplete(&mut self) {
        self.is_changed |= std::mem::replace(&mut self.is_complete, false);
    }

    /// PostgreSQL's answer to a question about `asked` keys.
    pub(super) fn renew(&mut self, asked: &[KeyBits], rows: &[KeyRow], limits: &[RateLimit], asked_at: Instant) {
        let targets = rows.iter().flat_map(|row| targets(&Known::from(row)));
        self.is_changed |= self.rules.replace(targets, limits);
        for row in rows {
            if let Some(key) = PublicKey::parse(&row.public_key) {
                self.put(bits(&key), Known::from(row), asked_at);
            }
        }
        for bits in asked {
            if self.entries.get(bits).is_some_and(|entry| entry.confirmed_at.is_none_or(|at| at < asked_at)) {
                self.entries.remove(bits);
                self.is_changed = true;
            }
        }
    }

    /// Keys used since `since`.
    pub(super) fn used_since(&self, since: Instant) -> Vec<KeyBits> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.used_at.is_some_and(|at| at >= since))
            .map(|(bits, _)| *bits)
            .collect()
    }

    /// Everything that the file should say, if it says something else.
    pub(super) fn take_changes(&mut self) -> Option<Content> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let row = |(bits, entry): (&KeyBits, &Entry)| KeyRow {
            key_id: entry.known.key_id,
            project_id: entry.known.project_id,
            organization_id: entry.known.organization_id,
            public_key: format!("{bits:032x}"),
            is_active: entry.known.is_active,
        };
        let keys = self.entries.iter().map(row).collect();
        Some(Content { is_complete: self.is_complete, keys, limits: self.rules.all() })
    }

    /// The file could not be written.
    pub(super) fn keep_changes(&mut self) {
        self.is_changed = true;
    }

    fn put(&mut self, bits: KeyBits, known: Known, asked_at: Instant) {
        let entry = self.entries.entry(bits).or_insert_with(|| {
            self.is_changed = true;
            Entry { known: known.clone(), confirmed_at: None, used_at: None }
        });
        // Answers may overtake each other.
        if entry.confirmed_at.is_none_or(|at| at <= asked_at) {
            self.is_changed |= entry.known != known;
            entry.known = known;
            entry.confirmed_at = Some(asked_at);
        }
    }

    fn put_missing(&mut self, bits: KeyBits, is_judged: bool, now: Instant) {
        if self.missing.len() >= MAX_MISSING {
            self.missing.retain(|_, missing| missing.until > now);
            if self.missing.len() >= MAX_MISSING {
                self.missing.clear();
            }
        }
        self.missing.insert(bits, Missing { is_judged, until: now + MISSING_FOR });
    }

    /// Of too many keys, the tenth that was not used for longest goes.
    fn make_room(&mut self) {
        if self.entries.len() <= MAX_KEYS {
            return;
        }
        let mut uses: Vec<Option<Instant>> = self.entries.values().map(|entry| entry.used_at).collect();
        let surplus = uses.len() - MAX_KEYS + MAX_KEYS / 10;
        let last = uses.len() - 1;
        let limit = *uses.select_nth_unstable(surplus.min(last)).1;
        let mut left = surplus;
        self.entries.retain(|_, entry| {
            let goes = left > 0 && entry.used_at <= limit;
            left -= usize::from(goes);
            !goes
        });
        self.is_complete = false;
        self.is_changed = true;
    }
}

fn with_rules(rules: &RuleTable, known: &Known) -> Known {
    Known { limits: rules.of(known), ..known.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{OrganizationId, ProjectId, ProjectKeyId};

    fn row(number: usize) -> KeyRow {
        KeyRow {
            key_id: ProjectKeyId(i64::try_from(number).unwrap()),
            project_id: ProjectId(7),
            organization_id: OrganizationId(1),
            public_key: format!("{number:032x}"),
            is_active: true,
        }
    }

    fn answer(row: KeyRow) -> Answer {
        Answer { row, limits: Vec::new() }
    }

    fn known(number: usize) -> Look {
        Look::Answer(LookUp::Known(Known::from(&row(number))))
    }

    #[test]
    fn what_changed_is_written_once() {
        let (mut copy, now) = (Copy::default(), Instant::now());
        copy.replace(&[row(1), row(2)], &[], now);
        let content = copy.take_changes().unwrap();
        assert!(content.is_complete && content.keys.len() == 2);
        copy.replace(&[row(1), row(2)], &[], now);
        assert!(copy.take_changes().is_none());
        copy.replace(&[row(1), KeyRow { is_active: false, ..row(2) }], &[], now);
        assert!(copy.take_changes().unwrap().keys.iter().any(|key| !key.is_active));
        copy.replace(&[row(1)], &[], now + FOUND_FOR);
        assert_eq!(copy.take_changes().unwrap().keys, [row(1)]);
    }

    #[test]
    fn a_key_found_while_the_list_was_read_stays() {
        let (mut copy, now) = (Copy::default(), Instant::now());
        copy.answered(3, Some(&answer(row(3))), now + Duration::from_millis(2));
        copy.answered(2, Some(&answer(KeyRow { is_active: false, ..row(2) })), now + Duration::from_millis(2));
        copy.replace(&[row(1), row(2)], &[], now);
        assert_eq!(copy.look(3, now), known(3));
        assert_eq!(copy.look(1, now), Look::Ask { limit: SHORT_ASK_LIMIT });
        assert_eq!(copy.len(), 3);
        let disabled = Known { is_active: false, ..Known::from(&row(2)) };
        assert_eq!(copy.look(2, now), Look::Answer(LookUp::Known(disabled)), "the later answer is the true one");
    }

    #[test]
    fn a_renewal_notices_what_is_gone() {
        let (mut copy, now) = (Copy::default(), Instant::now());
        copy.replace(&[row(2), row(3)], &[], now);
        copy.answered(1, Some(&answer(row(1))), now);
        copy.take_changes();
        copy.renew(&[1, 2], &[row(1)], &[], now + RENEW_EVERY);
        assert_eq!(copy.take_changes().unwrap().keys.len(), 2);
        assert_eq!(copy.look(1, now + RENEW_EVERY), known(1));
        let later = now + FOUND_FOR;
        assert_eq!(copy.look(1, later), known(1));
        assert_eq!(copy.look(3, later), Look::Ask { limit: SHORT_ASK_LIMIT });
        copy.set_away(true);
        assert_eq!(copy.look(3, later), known(3));
    }

    #[test]
    fn of_too_many_keys_those_in_use_stay() {
        let (mut copy, now) = (Copy::default(), Instant::now());
        let rows: Vec<KeyRow> = (0..=MAX_KEYS).map(row).collect();
        copy.replace(&rows[..MAX_KEYS], &[], now);
        let later = now + Duration::from_secs(1);
        copy.answered(77, Some(&answer(rows[77].clone())), later);
        let last = u128::try_from(MAX_KEYS).unwrap();
        copy.answered(last, Some(&answer(rows[MAX_KEYS].clone())), later);
        assert!(copy.len() <= MAX_KEYS && !copy.is_complete());
        assert_eq!(copy.look(77, later), known(77));
        assert_eq!(copy.look(last, later), known(MAX_KEYS));
    }

    #[test]
    fn unknown_keys_cannot_fill_the_memory() {
        let (mut copy, now) = (Copy::default(), Instant::now());
        for number in 0..2 * MAX_MISSING {
            copy.answered(u128::try_from(number).unwrap(), None, now);
        }
        assert!(copy.missing.len() <= MAX_MISSING);
    }
}
