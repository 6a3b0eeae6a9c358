//! The message that proves that a recipient can be reached.

use glitchbox_notify::{Language, Level};
use serde_json::json;

use super::content::{Content, alerts_page};
use super::words::{language, pick};
use crate::store::alert_test::ClaimedTest;

/// What it says; `origin` is our public address.
pub fn test_message(test: &ClaimedTest, origin: &str) -> Content {
    let lang = language(&test.language).unwrap_or(Language::English);
    let facts = [
        (pick(lang, "Project", "项目"), &test.project_name),
        (pick(lang, "Alert", "告警"), &test.alert_name),
        (pick(lang, "Sent by", "发送人"), &test.email),
    ];
    let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
    Content {
        title: pick(lang, "Test message from glitchbox", "glitchbox 测试消息").to_owned(),
        why: pick(
            lang,
            "If you can read this, the alerts of this project arrive here.",
            "如果您能看到这条消息，说明此项目的告警可以送达这里。",
        )
        .to_owned(),
        level: Level::Info,
        facts: facts.map(|(name, value)| (name.to_owned(), value.clone())).collect(),
        stack: Vec::new(),
        items: Vec::new(),
        more: String::new(),
        link: alerts_page(origin, &test.organization_slug, &test.project_slug),
        project: test.project_name.clone(),
        footer: pick(
            lang,
            "You get this because somebody asked for a test on the page of the project's alerts.",
            "收到此消息是因为有人在项目的告警页面请求发送测试。",
        )
        .to_owned(),
        language: lang,
        kind: "test",
        data: json!({
            "organization": { "slug": test.organization_slug },
            "project": { "slug": test.project_slug, "name": test.project_name },
            "alert": { "name": test.alert_name },
        }),
    }
}
