//! What of items beside events may hold secrets: texts, and attributes by their names.

use super::remark::Path;
use super::rules::ScrubRules;
use super::value::Scrubber;
use crate::protocol::KeptItem;

/// Takes out what the rules name. There is nowhere to put remarks.
pub(in crate::process) fn scrub_item(item: &mut KeptItem, rules: &ScrubRules) {
    let (scrubber, root) = (&mut Scrubber::new(rules), &Path::Root);
    match item {
        KeptItem::Spans(spans) => {
            for span in spans {
                scrubber.plain(root, &mut span.name);
                scrubber.map(root, &mut span.attributes);
            }
        }
        KeptItem::Logs(records) => {
            for record in records {
                scrubber.plain(root, &mut record.body);
                scrubber.map(root, &mut record.attributes);
            }
        }
        KeptItem::Feedback(feedback) => {
            scrubber.plain(root, &mut feedback.message);
            scrubber.optional(root, &mut feedback.url);
        }
        // Files are as they are; the others hold no text of a user's or program's own.
        KeptItem::Attachment(_) | KeptItem::Session(_) | KeptItem::SessionCounts(_) | KeptItem::CheckIn(_) => {}
    }
}
