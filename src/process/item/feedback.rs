//! What users wrote: reports on an event, and feedback of its own.

use super::{Fields, Unkept};
use crate::ids::EventId;
use crate::protocol::kept_item::{Feedback, FeedbackKind};

/// Characters of a message.
const MAX_MESSAGE: usize = 4_096;

/// Characters of a name, an address, a source.
const MAX_LINE: usize = 255;

/// Characters of a page's address.
const MAX_URL: usize = 2_048;

/// `user_report`, also that of the crash-report dialog: `{event_id, name, email, comments}`.
pub(super) fn report(mut fields: Fields<'_>) -> Result<Feedback, Unkept> {
    let event_id = fields.uuid("event_id").map_or(fields.stamp.event_id, EventId);
    let message = fields.word("comments", MAX_MESSAGE).ok_or(Unkept::Filtered("no_message"))?;
    Ok(Feedback {
        kind: FeedbackKind::Report,
        id: event_id,
        event_id: Some(event_id),
        message,
        name: fields.word("name", MAX_LINE),
        email: fields.word("email", MAX_LINE).filter(|text| is_address(text)),
        url: None,
        source: None,
        replay_id: None,
        release: None,
        environment: None,
        occurred_at: fields.clock.received(),
    })
}

/// `feedback`: an event whose context of that name says it all.
pub(super) fn feedback(mut fields: Fields<'_>) -> Result<Feedback, Unkept> {
    let mut context = fields.inner("contexts").inner("feedback");
    let received = fields.clock.received();
    let mut user = fields.inner("user");
    let mut request = fields.inner("request");
    let message = context.word("message", MAX_MESSAGE).ok_or(Unkept::Filtered("no_message"))?;
    let email = context.word("contact_email", MAX_LINE).or_else(|| user.word("email", MAX_LINE));
    Ok(Feedback {
        kind: FeedbackKind::Feedback,
        id: fields.stamp.event_id,
        event_id: context.uuid("associated_event_id").map(EventId),
        message,
        name: context.word("name", MAX_LINE).or_else(|| user.word("name", MAX_LINE)),
        email: email.filter(|text| is_address(text)),
        url: context.word("url", MAX_URL).or_else(|| request.word("url", MAX_URL)).filter(|text| is_link(text)),
        source: context.word("source", MAX_LINE),
        replay_id: context.uuid("replay_id"),
        release: fields.release(),
        environment: fields.environment(),
        occurred_at: fields.time("timestamp").map_or(received, |time| time.min(received)),
    })
}

/// Something that an answer can be sent to. People mistype more than a rule can find.
fn is_address(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    !name.is_empty() && !host.is_empty() && !text.contains(|one: char| one.is_whitespace() || one.is_control())
}

/// A page, and nothing that a link could run.
fn is_link(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}
