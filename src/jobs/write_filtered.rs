//! Settles what a project's filters hold back, and sees to it that what was held back once stays so.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::OnceLock;

use chrono::NaiveDate;
use uuid::Uuid;

use super::prepare::{Batch, Filtered, Prepared};
use super::write_batch::{Insisted, Writer};
use crate::protocol::kept_item::FeedbackKind;
use crate::protocol::{Filter, KeptItem};
use crate::queue::Entry;
use crate::store::filtered_item::{self, EnvelopeKey, FilteredItem, envelope_of};
use crate::store::kept_item::NewItem;
use crate::store::settled_ingest;

/// True for what goes with the event of its envelope.
fn is_dependent(item: &NewItem) -> bool {
    match &item.item {
        Ok(KeptItem::Attachment(_)) => true,
        Ok(KeptItem::Feedback(feedback)) => feedback.kind == FeedbackKind::Report,
        _ => false,
    }
}

/// Puts what goes with a filtered event of the same batch, as nearly all does, beside it.
pub(super) fn take_dependents(batch: &mut Batch) {
    let deciding = batch.filtered.iter().map(|one| &one.item).filter(|item| item.decides());
    let decided: BTreeMap<EnvelopeKey, Filter> = deciding.map(|item| (item.envelope(), item.filter)).collect();
    if decided.is_empty() {
        return;
    }
    let mut kept = Vec::with_capacity(batch.items.len());
    for one in std::mem::take(&mut batch.items) {
        let envelope = envelope_of(&one.item.stamp);
        match decided.get(&envelope).filter(|_| is_dependent(&one.item)) {
            Some(filter) => {
                let item = FilteredItem { stamp: one.item.stamp, filter: *filter };
                batch.filtered.push(Filtered { entry: one.entry, item });
            }
            None => kept.push(one),
        }
    }
    batch.items = kept;
}

/// The envelopes of what goes with events.
pub(super) fn envelopes_of_dependents(items: &[NewItem]) -> Vec<EnvelopeKey> {
    let all: BTreeSet<EnvelopeKey> =
        items.iter().filter(|item| is_dependent(item)).map(|item| envelope_of(&item.stamp)).collect();
    all.into_iter().collect()
}

impl Writer {
    /// Settles what filters hold back; false when the process ends first.
    pub(super) async fn write_filtered(&self, filtered: Vec<Filtered>) -> bool {
        if filtered.is_empty() {
            return true;
        }
        let (entries, items): (Vec<Entry>, Vec<FilteredItem>) =
            filtered.into_iter().map(|Filtered { entry, item }| (entry, item)).unzip();
        let mut settled = self.insist("filtered items", || filtered_item::settle(&self.app.db, &items)).await;
        if settled == Insisted::Done {
            let envelopes: Vec<EnvelopeKey> =
                items.iter().filter(|item| item.decides()).map(FilteredItem::envelope).collect();
            settled = self.insist_on_dependents(&envelopes).await;
        }
        self.finish(settled, entries).await
    }

    /// Takes back what was stored of envelopes whose event is filtered.
    pub(super) async fn insist_on_dependents(&self, envelopes: &[EnvelopeKey]) -> Insisted {
        if envelopes.is_empty() {
            return Insisted::Done;
        }
        self.insist("what goes with filtered events", || filtered_item::drop_dependents(&self.app.db, envelopes)).await
    }

    /// The events without those that were held back by an earlier delivery, whose entries are settled here. Asked only for
    /// projects that have, or had, rules of their own. `None` when the process ends first.
    pub(super) async fn without_settled(&self, events: Vec<Prepared>) -> Option<Vec<Prepared>> {
        let receptions: Vec<_> = events
            .iter()
            .filter(|one| one.may_be_filtered)
            .map(|one| (one.event.received_on, one.event.ingest_id))
            .collect();
        if receptions.is_empty() {
            return Some(events);
        }
        let known: HashSet<Uuid> = self.known(&receptions).await?;
        let (settled, rest): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|one| known.contains(&one.event.ingest_id));
        if !settled.is_empty() {
            self.acknowledge(settled.into_iter().map(|one| one.entry).collect()).await;
        }
        Some(rest)
    }

    async fn known(&self, receptions: &[(NaiveDate, Uuid)]) -> Option<HashSet<Uuid>> {
        let found = OnceLock::new();
        let look = || async {
            let known = settled_ingest::known(&self.app.db, receptions).await?;
            found.get_or_init(|| known);
            Ok(())
        };
        match self.insist("a look at what is settled", look).await {
            Insisted::GivenUp => None,
            Insisted::Done | Insisted::Impossible(_) => Some(found.into_inner().unwrap_or_default()),
        }
    }
}
