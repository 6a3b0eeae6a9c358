//! What messages say, in every language.

use glitchbox_notify::Language;

/// The language of this name (`en`, `zh-CN`); none for another or an empty one.
pub(super) fn language(name: &str) -> Option<Language> {
    match name {
        "en" => Some(Language::English),
        "zh-CN" => Some(Language::Chinese),
        _ => None,
    }
}

/// Picks between the texts.
pub(super) fn pick<'a>(language: Language, english: &'a str, chinese: &'a str) -> &'a str {
    match language {
        Language::English => english,
        Language::Chinese => chinese,
    }
}

/// `1 issue`, `2 issues`; `2 个问题`.
pub(super) fn issues(language: Language, count: usize) -> String {
    match (language, count) {
        (Language::English, 1) => "1 issue".to_owned(),
        (Language::English, _) => format!("{count} issues"),
        (Language::Chinese, _) => format!("{count} 个问题"),
    }
}

/// `1 event`, `2 events`; `2 个事件`.
pub(super) fn events(language: Language, count: i64) -> String {
    match (language, count) {
        (Language::English, 1) => "1 event".to_owned(),
        (Language::English, _) => format!("{count} events"),
        (Language::Chinese, _) => format!("{count} 个事件"),
    }
}
