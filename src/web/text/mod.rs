//! What the pages say, in every language, in one table that the compiler checks: a text without a
//! translation, a placeholder without a value or a text that nobody shows does not compile.

/// Makes one method of [`Lang`] for each line of the table:
///
/// ```text
/// key                  => "English", "中文";
/// key(name)            => "English {name}", "中文 {name}";
/// key(n) one "{n} day" => "{n} days", "{n} 天";      plural by the first value, a whole number
/// ```
macro_rules! texts {
    ($( $key:ident $(( $($arg:ident),+ ))? $(one $one:literal)? => $en:literal, $zh:literal; )+) => {
        impl $crate::web::text::Lang {
            $( texts!(@method $key [$($($arg),+)?] [$($one)?] $en, $zh); )+
        }

        /// Key, English singular, English, Chinese: for the tests.
        #[cfg(test)]
        pub(super) const TABLE: &[(&str, &str, &str, &str)] = &[
            $( (stringify!($key), texts!(@or_empty $($one)?), $en, $zh), )+
        ];
    };
    (@method $key:ident [] [] $en:literal, $zh:literal) => {
        #[doc = $en]
        pub(crate) const fn $key(self) -> &'static str {
            match self {
                Self::English => $en,
                Self::Chinese => $zh,
            }
        }
    };
    (@method $key:ident [$($arg:ident),+] [] $en:literal, $zh:literal) => {
        #[doc = $en]
        pub(crate) fn $key(self, $($arg: impl std::fmt::Display),+) -> String {
            match self {
                Self::English => format!($en),
                Self::Chinese => format!($zh),
            }
        }
    };
    (@method $key:ident [$count:ident $(, $arg:ident)*] [$one:literal] $en:literal, $zh:literal) => {
        #[doc = $en]
        pub(crate) fn $key(self, $count: i64 $(, $arg: impl std::fmt::Display)*) -> String {
            let is_one = $count == 1;
            let $count = $crate::web::text::grouped($count);
            match self {
                Self::English if is_one => format!($one),
                Self::English => format!($en),
                Self::Chinese => format!($zh),
            }
        }
    };
    (@or_empty) => { "" };
    (@or_empty $one:literal) => { $one };
}

// Behind the macro that it is written with.
mod rules_table;
mod table;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// English, the one that is always there.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Lang {
    /// Every language, as offered.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The tag for `<html lang>` and for the user's choice.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// The language's own name.
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "简体中文",
        }
    }

    /// The language with this tag.
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lang| lang.tag() == tag)
    }

    /// The language a browser prefers, by `Accept-Language`; English when it wants neither.
    pub fn from_accept_language(header: &str) -> Self {
        let mut best = (0.0_f32, Self::English);
        for entry in header.split(',').take(20) {
            let mut parts = entry.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality =
                parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |value| value.parse().unwrap_or(0.0));
            let lang = match tag.split('-').next() {
                Some("en") => Self::English,
                Some("zh") => Self::Chinese,
                _ => continue,
            };
            if quality > best.0 {
                best = (quality, lang);
            }
        }
        best.1
    }
}

/// A whole number with its thousands set apart: `12,345`.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        out.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn tables() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str, &'static str)> {
        table::TABLE.iter().chain(rules_table::TABLE)
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    #[test]
    fn both_languages_say_the_same_things() {
        for (key, one, english, chinese) in tables() {
            assert_eq!(placeholders(english), placeholders(chinese), "placeholders of {key}");
            if !one.is_empty() {
                assert_eq!(placeholders(one), placeholders(english), "placeholders of {key} in the singular");
            }
            for text in [english, chinese] {
                assert!(!text.is_empty() && text.trim() == *text, "{key} is empty or has stray blanks");
            }
        }
    }

    #[test]
    fn chinese_uses_its_own_punctuation() {
        for (key, _, _, chinese) in tables() {
            let mut chars = chinese.chars().peekable();
            while let Some(c) = chars.next() {
                let is_han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
                if is_han(c)
                    && let Some(next) = chars.peek()
                {
                    assert!(!matches!(next, ',' | '.' | ':' | ';' | '?' | '!' | '('), "{key}: {chinese}");
                }
            }
        }
    }

    #[test]
    fn plurals_and_thousands() {
        assert_eq!(Lang::English.events(1), "1 event");
        assert_eq!(Lang::English.events(12_345), "12,345 events");
        assert_eq!(Lang::Chinese.events(1), "1 个事件");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(-1_000), "-1,000");
        assert_eq!(grouped(999), "999");
    }

    #[test]
    fn language_follows_the_browser() {
        for (header, lang) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Lang::Chinese),
            ("en-GB,en;q=0.9,zh;q=0.5", Lang::English),
            ("de-DE,de;q=0.9,zh-Hans;q=0.3,en;q=0.2", Lang::Chinese),
            ("fr", Lang::English),
            ("zh;q=0", Lang::English),
            ("", Lang::English),
            (";;;,q=,zh;q=x", Lang::English),
        ] {
            assert_eq!(Lang::from_accept_language(header), lang, "{header}");
        }
    }
}
