//! A page as a card for a group of people, in Feishu's form.

use glitchbox_notify::feishu::{Card, escape};

use super::page::{Fact, Page, Section, tongue};

/// The card of a page.
pub(super) fn card(page: &Page) -> Card {
    let head: Vec<String> = page.head.iter().map(fact).collect();
    let blocks = std::iter::once(head.join("\n")).chain(page.sections.iter().map(block)).collect();
    Card {
        title: format!("{} {}", page.mark, page.title),
        level: page.level,
        blocks,
        link: page.link.clone(),
        language: tongue(page.language),
    }
}

fn fact(fact: &Fact) -> String {
    format!("{} **{}**: {}", fact.icon, fact.name, escape(&fact.value))
}

fn block(section: &Section) -> String {
    let title = section.title;
    if section.is_log {
        // Nothing in it may end the block of code.
        let lines: Vec<String> = section.lines.iter().map(|line| line.text.replace('`', "'")).collect();
        return format!("**{title}**\n```\n{}\n```", lines.join("\n"));
    }
    let strong = |name: &str| format!("**{}**", escape(name));
    let lines: Vec<String> = section.lines.iter().map(|line| format!("- {}", line.shown(strong, escape))).collect();
    format!("**{title}**\n{}", lines.join("\n"))
}
