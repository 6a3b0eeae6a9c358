//! The report as a card for a group of people.

use glitchbox_notify::feishu::{Card, escape};
use glitchbox_notify::{Language as Tongue, Level};

use super::model::{Check, Outcome, Report};
use super::text::{action_line, bytes, facts, requests_line, seconds, sign, took_ms, when};
use super::words::{Words, words};
use crate::settings::Secret;
use crate::task::Language;

/// The card of a report, in Feishu's form.
pub(super) fn card(report: &Report, language: Language) -> Card {
    let words = words(language);
    let (level, mark) = match report.result {
        Outcome::Ok => (Level::Success, "✅"),
        Outcome::Degraded => (Level::Warning, "⚠️"),
        Outcome::Skipped => (Level::Warning, "⏭️"),
        Outcome::Failed => (Level::Error, "❌"),
    };
    let mut blocks = vec![head(report, mark, words)];
    blocks.extend(checks(words.before, &report.checks_before));
    blocks.extend(checks(words.after, &report.checks_after));
    let system: Vec<String> =
        facts(report, words).iter().map(|(name, value)| format!("- {name}: {}", escape(value))).collect();
    blocks.push(format!("**{}**\n{}", words.system, system.join("\n")));
    blocks.push(actions(report, words));
    if let Some(backup) = &report.backup {
        let text = match (&backup.file, &backup.error) {
            (Some(file), _) => {
                format!("✅ {}, {}, {}", escape(file), bytes(backup.size.unwrap_or(0)), seconds(backup.ms))
            }
            (None, error) => format!("❌ {}", escape(error.as_deref().unwrap_or("-"))),
        };
        blocks.push(format!("**{}**\n{text}", words.backup));
    }
    if !report.warnings.is_empty() {
        let lines: Vec<String> = report.warnings.iter().map(|warning| format!("- {}", escape(warning))).collect();
        blocks.push(format!("**{}**\n{}", words.warnings, lines.join("\n")));
    }
    if !report.log_tail.is_empty() {
        // Nothing in it may end the block of code.
        let lines: Vec<String> = report.log_tail.iter().map(|line| line.replace('`', "'")).collect();
        blocks.push(format!("**{}**\n```\n{}\n```", words.lines, lines.join("\n")));
    }
    let tongue = match language {
        Language::English => Tongue::English,
        Language::Chinese => Tongue::Chinese,
    };
    Card { title: format!("{mark} {}", words.title), level, blocks, link: link(report), language: tongue }
}

/// A button needs an address that others can reach.
fn link(report: &Report) -> Option<String> {
    Some(report.domain.clone()).filter(|domain| domain.starts_with("http") && !domain.contains("//localhost"))
}

fn head(report: &Report, mark: &str, words: &Words) -> String {
    let mut lines = vec![
        format!("🌍 **{}**: {} ({})", words.environment, escape(&report.domain), escape(&report.instance)),
        format!("⏰ **{}**: {}", words.time, when(report.started_at, &report.tz)),
        format!("🔄 **{}**: {}", words.mode, words.trigger(report.trigger)),
        format!("⏱ **{}**: {}", words.took, seconds(took_ms(report))),
        format!("🎯 **{}**: {mark} {}", words.state, words.outcome(report.result)),
    ];
    if let Some(reason) = &report.reason {
        lines.push(format!("❗ **{}**: {}", words.reason, escape(reason)));
    }
    lines.push(format!("🏷 **{}**: {}", words.version, escape(&report.version)));
    lines.join("\n")
}

fn checks(title: &str, checks: &[Check]) -> Option<String> {
    let line = |check: &Check| {
        format!("- {} **{}**: {} ({})", sign(check), check.name, escape(&check.detail), seconds(check.ms))
    };
    let lines: Vec<String> = checks.iter().map(line).collect();
    (!lines.is_empty()).then(|| format!("**{title}**\n{}", lines.join("\n")))
}

fn actions(report: &Report, words: &Words) -> String {
    let mut lines: Vec<String> = report
        .actions
        .iter()
        .map(|action| format!("- {} {}", if action.ok { "✅" } else { "❌" }, escape(&action_line(action))))
        .collect();
    if lines.is_empty() {
        lines.push(format!("- {}", words.nothing_done));
    }
    lines.extend(requests_line(report, words).map(|line| format!("- {}: {line}", words.requests)));
    format!("**{}**\n{}", words.actions, lines.join("\n"))
}

/// The language of a card: as told, else that of the service's users.
pub(super) fn language(told: Option<Language>, url: &Secret) -> Language {
    let abroad = url.expose().split('/').nth(2).is_some_and(|host| host.contains("larksuite.com"));
    told.unwrap_or(if abroad { Language::English } else { Language::Chinese })
}
