//! What is wrong with an alert's form: where, and in the reader's words.

use super::super::text::Lang;
use crate::store::alert::{MAX_RECIPIENTS, MAX_URL};
use crate::store::alert_draft::{DraftError, MAX_NAME, MAX_SECRET, QUANTITY, RecipientFault, TIMESPAN};

/// Which part of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// No part of its own.
    Whole,
    Name,
    Condition,
    /// The webhook at this place.
    Row(usize),
}

/// Where the form is wrong, and why.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) at: Fault,
    pub(super) text: String,
}

impl Mistake {
    /// `places` says in which row a draft's recipient stands.
    pub(super) fn of(lang: Lang, error: DraftError, places: &[Option<usize>]) -> Self {
        let (at, text) = match error {
            DraftError::NameTooLong => (Fault::Name, lang.name_too_long(MAX_NAME)),
            DraftError::NameUnprintable => (Fault::Name, lang.name_unprintable().to_owned()),
            DraftError::HalfCondition | DraftError::Quantity => {
                (Fault::Condition, lang.bad_event_number(QUANTITY.start(), QUANTITY.end()))
            }
            DraftError::Timespan => (Fault::Condition, lang.bad_minutes(TIMESPAN.start(), TIMESPAN.end())),
            DraftError::TooManyRecipients => (Fault::Whole, lang.too_many_recipients(MAX_RECIPIENTS)),
            DraftError::Recipient(place, fault) => {
                let row = places.get(place).copied().flatten();
                (row.map_or(Fault::Whole, Fault::Row), recipient(lang, fault))
            }
        };
        Self { at, text }
    }
}

fn recipient(lang: Lang, fault: RecipientFault) -> String {
    match fault {
        RecipientFault::UrlMissing => lang.address_missing().to_owned(),
        RecipientFault::UrlInvalid | RecipientFault::UrlOfEmail => lang.address_invalid().to_owned(),
        RecipientFault::ChatMissing => lang.chat_missing().to_owned(),
        RecipientFault::TopicMissing => lang.topic_missing().to_owned(),
        RecipientFault::UrlTooLong => lang.address_too_long(MAX_URL),
        RecipientFault::SecretUnused | RecipientFault::SecretInvalid => lang.secret_invalid(MAX_SECRET),
        RecipientFault::Repeated => lang.address_repeated().to_owned(),
    }
}
