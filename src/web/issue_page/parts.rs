//! What a merged issue is made of, with a button that splits parts off again.

use maud::{Markup, html};

use super::IssuePage;
use crate::app::App;
use crate::store::Result;
use crate::store::event_lookup;
use crate::store::issue_merge;
use crate::store::issue_search::IssueRow;
use crate::web::component::csrf_field;

/// Most parts shown.
const MAX: usize = 20;

/// Events that were grouped by the same thing.
pub(super) struct Part {
    /// In hexadecimal.
    hash: String,
    /// Title and culprit of a recent event.
    says: Option<(String, String)>,
}

/// None for an issue that is all of one piece.
pub(super) async fn find(app: &App, issue: &IssueRow) -> Result<Vec<Part>> {
    let found = issue_merge::parts(&app.db, issue.project_id, issue.id).await?;
    let mut parts = Vec::new();
    if found.len() < 2 {
        return Ok(parts);
    }
    for part in found.into_iter().take(MAX) {
        let event = match part.latest_event {
            Some(event) => event_lookup::by_id(&app.db, issue.project_id, event).await?,
            None => None,
        };
        let says = event.map(|stored| (stored.event.title, stored.event.culprit));
        parts.push(Part { hash: hex::encode(part.hash), says });
    }
    Ok(parts)
}

pub(super) fn show(page: &IssuePage<'_>) -> Markup {
    let lang = page.lang();
    html! {
        @if !page.parts.is_empty() {
            section.card #parts {
                header { h2 { (lang.parts()) } }
                form.pad method="post" action={ "/issues/" (page.issue.id) "/split/" } {
                    (csrf_field(page.viewer.csrf()))
                    p.muted { (lang.parts_hint()) }
                    @for part in page.parts {
                        label.check {
                            input type="checkbox" name="hash" value=(part.hash);
                            span {
                                @match &part.says {
                                    Some((title, culprit)) => {
                                        (title) @if !culprit.is_empty() { " " small { (culprit) } }
                                    }
                                    None => em { (lang.part_without_event()) },
                                }
                            }
                        }
                    }
                    button.btn.small type="submit" { (lang.split_off()) }
                }
            }
        }
    }
}
