//! What of what is sent to a project is not taken in. Names and meanings are those that Sentry's clients know.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Longest list of one filter.
pub const MAX_ENTRIES: usize = 100;

/// Longest entry, in characters.
pub const MAX_ENTRY: usize = 250;

macro_rules! filters {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $field:ident, $kind:ident;)*) => {
        /// A filter. What it holds back is counted under its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Filter {
            $($(#[$doc])* $variant,)*
        }

        impl Filter {
            /// Every filter there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name: in the API, on the command line, and as the reason in the ledger.
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)*
                }
            }

            /// Its name in the settings as they are stored, and in ours.
            const fn field(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)*
                }
            }

            /// True if it has a list of what to hold back; else it is on or off.
            pub const fn is_list(self) -> bool {
                match self {
                    $(Self::$variant => filters!(@is_list $kind),)*
                }
            }
        }

        /// The filters of a project; all are off by default.
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct FilterSettings {
            $($(#[$doc])* pub $field: filters!(@type $kind),)*
        }

        impl FilterSettings {
            /// True if the filter holds anything back.
            pub fn is_on(&self, filter: Filter) -> bool {
                match filter {
                    $(Filter::$variant => filters!(@is_on $kind self.$field),)*
                }
            }

            /// The filter's list; empty for one that is on or off.
            pub fn entries(&self, filter: Filter) -> &[String] {
                match filter {
                    $(Filter::$variant => filters!(@entries $kind self.$field),)*
                }
            }

            fn put(&mut self, filter: Filter, is_on: bool, entries: Vec<String>) {
                match filter {
                    $(Filter::$variant => self.$field = filters!(@value $kind is_on, entries),)*
                }
            }
        }
    };
    (@is_list Switch) => { false };
    (@is_list List) => { true };
    (@type Switch) => { bool };
    (@type List) => { Vec<String> };
    (@is_on Switch $value:expr) => { $value };
    (@is_on List $value:expr) => { !$value.is_empty() };
    (@entries Switch $value:expr) => { &[] };
    (@entries List $value:expr) => { &$value };
    (@value Switch $is_on:expr, $entries:expr) => { $is_on };
    (@value List $is_on:expr, $entries:expr) => { $entries };
}

filters! {
    /// Of a program on somebody's own machine: `localhost`, a loopback address, a page from a file.
    Localhost = "localhost", localhost, Switch;
    /// Caused by extensions of a browser.
    BrowserExtensions = "browser-extensions", browser_extensions, Switch;
    /// Parts of a page that could not be loaded, as after a deployment.
    ChunkLoadErrors = "chunk-load-error", chunk_load_errors, Switch;
    /// What React says when it hydrates a page that is not what it expected.
    HydrationErrors = "react-hydration-errors", hydration_errors, Switch;
    /// Of browsers by their age: names of [`LEGACY_BROWSERS`].
    LegacyBrowsers = "legacy-browsers", legacy_browsers, List;
    /// Of programs that read the web.
    WebCrawlers = "web-crawlers", web_crawlers, Switch;
    /// Transactions and spans of addresses that only tell whether a program lives.
    HealthChecks = "filtered-transaction", health_checks, Switch;
    /// By what the error says: patterns of `Type: value` or of the message.
    ErrorMessages = "error-message", error_messages, List;
    /// Of releases: patterns of their names.
    Releases = "release-version", releases, List;
    /// Reports of content-security-policy violations, by what was blocked or the script that it was blocked in.
    CspSources = "invalid-csp", csp_sources, List;
    /// From addresses, single ones or networks; holds back items of every kind.
    ClientIps = "ip-address", client_ips, List;
}

/// What a project can set that is not sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Too many entries.
    #[error("`{0}` has more than {MAX_ENTRIES} entries")]
    TooMany(&'static str),
    /// An entry that is too long.
    #[error("`{0}`: an entry is longer than {MAX_ENTRY} characters")]
    TooLong(&'static str),
    /// An entry that is no address and no network.
    #[error("`{0}`: `{1}` is no IP address and no network such as 10.0.0.0/8")]
    NoAddress(&'static str, String),
    /// An entry that is none of the browsers.
    #[error("`{0}`: `{1}` is none of {names}", names = browser_names())]
    NoBrowser(&'static str, String),
    /// An entry without a letter or digit.
    #[error("`{0}`: `{1}` has no letter and no digit")]
    NoName(&'static str, String),
    /// A list where a filter is on or off.
    #[error("`{0}` is on or off and has no list")]
    NoList(&'static str),
    /// On where a filter needs a list.
    #[error("`{0}` is on when its list is not empty")]
    NoSwitch(&'static str),
}

impl Filter {
    /// The filter with this name: the one of the ledger, or ours with `-` or `_`.
    pub fn parse(name: &str) -> Option<Self> {
        let field = name.replace('-', "_");
        Self::ALL.iter().copied().find(|one| one.id() == name || one.field() == field)
    }
}

impl FilterSettings {
    /// True if nothing is held back.
    pub fn is_off(&self) -> bool {
        Filter::ALL.iter().all(|filter| !self.is_on(*filter))
    }

    /// Switches a filter on or off. Off empties a list; a list is not switched on without entries, but for
    /// that of browsers: on means those that Sentry's own switch means.
    pub fn switch(&mut self, filter: Filter, is_on: bool) -> Result<(), Fault> {
        if filter.is_list() && is_on {
            if filter != Filter::LegacyBrowsers {
                return Err(Fault::NoSwitch(filter.id()));
            }
            let common = LEGACY_BROWSERS.iter().filter(|browser| browser.is_common);
            self.put(filter, true, common.map(|browser| browser.name.to_owned()).collect());
            return Ok(());
        }
        self.put(filter, is_on, Vec::new());
        Ok(())
    }

    /// Gives a filter another list. White space around an entry is not part of it, an empty one is none, and one that
    /// is there twice is there once.
    pub fn set_entries<'a>(&mut self, filter: Filter, given: impl IntoIterator<Item = &'a str>) -> Result<(), Fault> {
        if !filter.is_list() {
            return Err(Fault::NoList(filter.id()));
        }
        let mut entries = tidy(filter.id(), given)?;
        for entry in &mut entries {
            match filter {
                Filter::ClientIps if parse_network(entry).is_none() => {
                    return Err(Fault::NoAddress(filter.id(), entry.clone()));
                }
                Filter::LegacyBrowsers if LegacyBrowser::named(entry).is_none() => {
                    return Err(Fault::NoBrowser(filter.id(), entry.clone()));
                }
                _ => {}
            }
        }
        self.put(filter, true, entries);
        Ok(())
    }
}

/// A list as somebody wrote it, put in order.
pub(super) fn tidy<'a>(name: &'static str, given: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, Fault> {
    let mut entries: Vec<String> = Vec::new();
    for entry in given.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
        if entry.chars().count() > MAX_ENTRY {
            return Err(Fault::TooLong(name));
        }
        // PostgreSQL's text holds no NUL, and no event does.
        let entry = entry.replace('\0', "");
        if entries.contains(&entry) {
            continue;
        }
        if entries.len() >= MAX_ENTRIES {
            return Err(Fault::TooMany(name));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// An address counts as a network of one.
pub fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// A family of browsers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Browser {
    /// Internet Explorer.
    Ie,
    /// Edge, of its own make and of Chromium's.
    Edge,
    /// Safari, on phones too.
    Safari,
    /// Firefox.
    Firefox,
    /// Chrome.
    Chrome,
    /// Opera.
    Opera,
    /// Opera Mini, which shows what a server has rendered.
    OperaMini,
    /// The browser that Android had before Chrome; its version is the system's.
    Android,
}

/// Browsers of a family from one version to another.
#[derive(Debug, PartialEq, Eq)]
pub struct LegacyBrowser {
    /// Its name in the settings.
    pub name: &'static str,
    /// Which family.
    pub browser: Browser,
    /// First major version.
    pub from: u32,
    /// Last major version.
    pub to: u32,
    /// Among those that the switch means as a whole.
    pub is_common: bool,
}

/// The browsers that can be held back, as Sentry offers them: by what is old today, and by what was old once.
pub const LEGACY_BROWSERS: &[LegacyBrowser] = &[
    browser("ie", Browser::Ie, 0, 11, true),
    browser("ie_pre_9", Browser::Ie, 0, 8, false),
    browser("ie9", Browser::Ie, 9, 9, false),
    browser("ie10", Browser::Ie, 10, 10, false),
    browser("ie11", Browser::Ie, 11, 11, false),
    browser("edge", Browser::Edge, 0, 110, true),
    browser("edge_pre_79", Browser::Edge, 0, 78, false),
    browser("safari", Browser::Safari, 0, 15, true),
    browser("safari_pre_6", Browser::Safari, 0, 5, false),
    browser("firefox", Browser::Firefox, 0, 110, true),
    browser("chrome", Browser::Chrome, 0, 110, true),
    browser("opera", Browser::Opera, 0, 99, true),
    browser("opera_pre_15", Browser::Opera, 0, 14, false),
    browser("opera_mini", Browser::OperaMini, 0, 34, true),
    browser("opera_mini_pre_8", Browser::OperaMini, 0, 7, false),
    browser("android", Browser::Android, 0, 3, true),
    browser("android_pre_4", Browser::Android, 0, 3, false),
];

const fn browser(name: &'static str, browser: Browser, from: u32, to: u32, is_common: bool) -> LegacyBrowser {
    LegacyBrowser { name, browser, from, to, is_common }
}

impl LegacyBrowser {
    /// The one with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        LEGACY_BROWSERS.iter().find(|one| one.name == name)
    }
}

fn browser_names() -> String {
    LEGACY_BROWSERS.iter().map(|one| one.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_off_until_it_is_switched_on() {
        let mut settings = FilterSettings::default();
        assert!(settings.is_off());
        for filter in Filter::ALL {
            let entry = match filter {
                Filter::ClientIps => "10.0.0.0/8",
                Filter::LegacyBrowsers => "ie9",
                _ => "*",
            };
            let set = if filter.is_list() {
                settings.set_entries(*filter, [entry, " ", entry])
            } else {
                settings.switch(*filter, true)
            };
            assert_eq!(set, Ok(()), "{}", filter.id());
            assert!(settings.is_on(*filter));
            assert_eq!(settings.entries(*filter).len(), usize::from(filter.is_list()));
            settings.switch(*filter, false).unwrap();
            assert!(settings.is_off(), "{}", filter.id());
            assert_eq!(Filter::parse(filter.id()), Some(*filter));
            assert_eq!(Filter::parse(filter.field()), Some(*filter));
        }
        assert_eq!(Filter::parse("health-checks"), Some(Filter::HealthChecks));
        assert_eq!(Filter::parse("nonsense"), None);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let mut settings = FilterSettings::default();
        let long = "x".repeat(MAX_ENTRY + 1);
        let many: Vec<String> = (0..=MAX_ENTRIES).map(|index| index.to_string()).collect();
        for (filter, given, fault) in [
            (Filter::ClientIps, vec!["10.0.0.1", "10.0.0.300"], "`ip-address`: `10.0.0.300` is no IP address"),
            (Filter::ClientIps, vec!["10.0.0.0/33"], "10.0.0.0/33"),
            (Filter::LegacyBrowsers, vec!["netscape"], "`netscape` is none of ie, ie_pre_9"),
            (Filter::Releases, vec![long.as_str()], "longer than 250"),
            (Filter::ErrorMessages, many.iter().map(String::as_str).collect(), "more than 100"),
            (Filter::Localhost, vec!["x"], "on or off"),
        ] {
            let error = settings.set_entries(filter, given).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
        assert!(settings.switch(Filter::Releases, true).is_err());
        assert!(settings.is_off(), "a fault changes nothing");
        settings.switch(Filter::LegacyBrowsers, true).unwrap();
        assert_eq!(settings.legacy_browsers.len(), 8);
    }

    #[test]
    fn settings_of_another_version_are_read() {
        let read: FilterSettings = serde_json::from_str(r#"{"localhost": true, "of_tomorrow": [1]}"#).unwrap();
        assert!(read.localhost && !read.web_crawlers);
    }
}
