//! What people are told, before it takes the form of a service: a title, facts, and sections of lines. All of it is plain
//! text; whoever gives it a form escapes it.

use glitchbox_notify::{Language as Tongue, Level, Message};
use serde::Deserialize;
use serde_json::Value;

use super::model::{Check, KIND, Outcome, Report};
use super::operate::{TRIAL, Trial};
use super::redact::Redactor;
use super::text::{action_line, bytes, facts, requests_line, seconds, sign, took_ms, when};
use super::words::{Words, words};
use crate::channels::Language;

/// One message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// A sign that says how it went.
    pub(super) mark: &'static str,
    pub(super) title: String,
    pub(super) level: Level,
    /// What matters most.
    pub(super) head: Vec<Fact>,
    pub(super) sections: Vec<Section>,
    /// An address that others can reach.
    pub(super) link: Option<String>,
    pub(super) language: Language,
}

/// A name with a value, behind a small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) icon: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// Lines that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) lines: Vec<Line>,
    /// Lines of a log: shown as they are.
    pub(super) is_log: bool,
}

/// One line; its sign and its name may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) mark: &'static str,
    pub(super) name: String,
    pub(super) text: String,
}

impl Line {
    /// The whole line, with the name in the form that `strong` gives it, and the text in that of `plain`.
    pub(super) fn shown(&self, strong: impl Fn(&str) -> String, plain: impl Fn(&str) -> String) -> String {
        let mark = if self.mark.is_empty() { String::new() } else { format!("{} ", self.mark) };
        if self.name.is_empty() {
            format!("{mark}{}", plain(&self.text))
        } else {
            format!("{mark}{}: {}", strong(&self.name), plain(&self.text))
        }
    }
}

impl Page {
    /// Of a document of ours; none when it is of another kind.
    pub(super) fn read(document: &Value, language: Language) -> Option<Self> {
        match document.get("kind")?.as_str()? {
            KIND => Some(Self::of(&Report::deserialize(document).ok()?, language)),
            TRIAL => Some(Self::of_trial(&Trial::deserialize(document).ok()?, language)),
            _ => None,
        }
    }

    /// Of a report.
    pub(super) fn of(report: &Report, language: Language) -> Self {
        let words = words(language);
        let (level, mark) = match report.result {
            Outcome::Ok => (Level::Success, "✅"),
            Outcome::Degraded => (Level::Warning, "⚠️"),
            Outcome::Skipped => (Level::Warning, "⏭️"),
            Outcome::Failed => (Level::Error, "❌"),
        };
        let mut sections = vec![
            list(words.warnings, report.warnings.iter().map(|warning| text(warning)).collect()),
            list(words.before, report.checks_before.iter().map(check).collect()),
            list(words.after, report.checks_after.iter().map(check).collect()),
            list(words.system, facts(report, words).into_iter().map(named).collect()),
            list(words.actions, actions(report, words)),
            list(words.backup, backup(report)),
        ];
        let lines = report.log_tail.iter().map(|line| text(line)).collect();
        sections.push(Section { is_log: true, ..list(words.lines, lines) });
        sections.retain(|section| !section.lines.is_empty());
        Self {
            mark,
            title: words.title.to_owned(),
            level,
            head: head(report, mark, words),
            sections,
            link: link(&report.domain),
            language,
        }
    }

    fn of_trial(trial: &Trial, language: Language) -> Self {
        let words = words(language);
        let fact = |icon, name, value| Fact { icon, name, value };
        Self {
            mark: "👋",
            title: words.trial.to_owned(),
            level: Level::Info,
            head: vec![
                fact("🌍", words.environment, format!("{} ({})", trial.domain, trial.instance)),
                fact("⏰", words.time, when(trial.sent_at, &trial.tz)),
                fact("🏷", words.version, trial.version.clone()),
            ],
            sections: Vec::new(),
            link: link(&trial.domain),
            language,
        }
    }

    /// The page without secrets.
    pub(super) fn cleaned(mut self, redactor: &Redactor) -> Self {
        let clean = |text: &mut String| *text = redactor.text(text);
        clean(&mut self.title);
        self.head.iter_mut().for_each(|fact| clean(&mut fact.value));
        for line in self.sections.iter_mut().flat_map(|section| &mut section.lines) {
            clean(&mut line.name);
            clean(&mut line.text);
        }
        self.link.as_mut().map(clean);
        self
    }

    /// As plain text, the title left out.
    pub(super) fn plain(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|fact| format!("{}: {}", fact.name, fact.value)).collect();
        [head.join("\n"), self.sections_as_text()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    /// For the services whose form is not ours.
    pub(super) fn message(&self) -> Message {
        Message {
            title: format!("{} {}", self.mark, self.title),
            level: self.level,
            facts: self.head.iter().map(|fact| (fact.name.to_owned(), fact.value.clone())).collect(),
            body: self.sections_as_text(),
            link: self.link.clone(),
            language: tongue(self.language),
        }
    }

    fn sections_as_text(&self) -> String {
        let section = |section: &Section| {
            let lines = section.lines.iter().map(|line| line.shown(str::to_owned, str::to_owned));
            std::iter::once(section.title.to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
        };
        self.sections.iter().map(section).collect::<Vec<_>>().join("\n\n")
    }
}

/// The language as `notify` names it.
pub(super) fn tongue(language: Language) -> Tongue {
    match language {
        Language::English => Tongue::English,
        Language::Chinese => Tongue::Chinese,
    }
}

/// A button needs an address that others can reach.
pub(super) fn link(domain: &str) -> Option<String> {
    Some(domain.to_owned()).filter(|domain| domain.starts_with("http") && !domain.contains("//localhost"))
}

fn head(report: &Report, mark: &str, words: &Words) -> Vec<Fact> {
    let fact = |icon, name, value| Fact { icon, name, value };
    let mut head = vec![
        fact("🌍", words.environment, format!("{} ({})", report.domain, report.instance)),
        fact("⏰", words.time, when(report.started_at, &report.tz)),
        fact("🔄", words.mode, words.trigger(report.trigger).to_owned()),
        fact("⏱", words.took, seconds(took_ms(report))),
        fact("🎯", words.state, format!("{mark} {}", words.outcome(report.result))),
    ];
    head.extend(report.reason.as_ref().map(|reason| fact("❗", words.reason, reason.clone())));
    head.push(fact("🏷", words.version, report.version.clone()));
    head
}

fn list(title: &'static str, lines: Vec<Line>) -> Section {
    Section { title, lines, is_log: false }
}

fn text(text: &str) -> Line {
    Line { text: text.to_owned(), ..Line::default() }
}

fn named((name, text): (&'static str, String)) -> Line {
    Line { name: name.to_owned(), text, ..Line::default() }
}

fn check(check: &Check) -> Line {
    Line { mark: sign(check), name: check.name.clone(), text: format!("{} ({})", check.detail, seconds(check.ms)) }
}

fn actions(report: &Report, words: &Words) -> Vec<Line> {
    let mut lines: Vec<Line> = report
        .actions
        .iter()
        .map(|action| Line { mark: if action.ok { "✅" } else { "❌" }, ..text(&action_line(action)) })
        .collect();
    if lines.is_empty() {
        lines.push(text(words.nothing_done));
    }
    lines.extend(requests_line(report, words).map(|line| named((words.requests, line))));
    lines
}

fn backup(report: &Report) -> Vec<Line> {
    let line = report.backup.as_ref().map(|backup| match &backup.file {
        Some(file) => Line {
            mark: "✅",
            ..text(&format!("{file}, {}, {}", bytes(backup.size.unwrap_or(0)), seconds(backup.ms)))
        },
        None => Line { mark: "❌", ..text(backup.error.as_deref().unwrap_or("-")) },
    });
    line.into_iter().collect()
}
