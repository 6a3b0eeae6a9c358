//! Old browsers, by their `User-Agent`.

use crate::protocol::filter_settings::{Browser, LegacyBrowser};

/// Tokens of the browsers that name others, too; the first that is found counts.
const TOKENS: [(&str, Browser); 10] = [
    ("Opera Mini/", Browser::OperaMini),
    ("OPR/", Browser::Opera),
    ("Edg/", Browser::Edge),
    ("EdgA/", Browser::Edge),
    ("EdgiOS/", Browser::Edge),
    ("Edge/", Browser::Edge),
    ("FxiOS/", Browser::Firefox),
    ("Firefox/", Browser::Firefox),
    ("CriOS/", Browser::Chrome),
    ("Chrome/", Browser::Chrome),
];

/// Browsers that are built on others and are none of the families.
const OTHERS: [&str; 6] = ["SamsungBrowser/", "YaBrowser/", "MicroMessenger/", "Electron/", "UCBrowser/", "Vivaldi/"];

/// True if the browser is one of these.
pub(super) fn is_among(user_agent: &str, browsers: &[&LegacyBrowser]) -> bool {
    if browsers.is_empty() {
        return false;
    }
    let Some((browser, version)) = read(user_agent) else { return false };
    browsers.iter().any(|one| one.browser == browser && (one.from..=one.to).contains(&version))
}

/// The family and its major version.
fn read(text: &str) -> Option<(Browser, u32)> {
    let behind = |token: &str| text.split_once(token).and_then(|(_, rest)| major(rest));
    if let Some((_, rest)) = text.split_once("Opera") {
        if let Some(version) = behind("Opera Mini/") {
            return Some((Browser::OperaMini, version));
        }
        // From 10 on it says 9.80, and the truth elsewhere.
        let own = || rest.get(1..).and_then(major);
        return behind("Version/").or_else(own).map(|version| (Browser::Opera, version));
    }
    if OTHERS.iter().any(|token| text.contains(token)) {
        return None;
    }
    // Version 11 does not name itself.
    let trident = || text.split_once("Trident/").and_then(|(_, rest)| major(rest.split_once("rv:")?.1));
    if let Some(version) = behind("MSIE ").or_else(trident) {
        return Some((Browser::Ie, version));
    }
    if let Some(found) = TOKENS.iter().find_map(|(token, browser)| Some((*browser, behind(token)?))) {
        return Some(found);
    }
    if text.contains("Android") {
        return behind("Android ").filter(|_| text.contains("Safari/")).map(|version| (Browser::Android, version));
    }
    behind("Version/").filter(|_| text.contains("Safari/")).map(|version| (Browser::Safari, version))
}

/// The number that a text begins with.
fn major(text: &str) -> Option<u32> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::filter_settings::LEGACY_BROWSERS;

    #[test]
    fn families_and_versions_are_read() {
        for (text, wanted) in [
            ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)", Some((Browser::Ie, 8))),
            (
                "Mozilla/5.0 (compatible; MSIE 10.0; Windows Phone 8.0; Trident/6.0; IEMobile/10.0)",
                Some((Browser::Ie, 10)),
            ),
            ("Mozilla/5.0 (Windows NT 6.3; Trident/7.0; rv:11.0) like Gecko", Some((Browser::Ie, 11))),
            ("Opera/9.80 (X11; Linux i686) Presto/2.12.388 Version/12.16", Some((Browser::Opera, 12))),
            ("Opera/9.27 (Windows NT 5.1; U; en)", Some((Browser::Opera, 9))),
            ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; en) Opera 8.50", Some((Browser::Opera, 8))),
            (
                "Opera/9.80 (J2ME/MIDP; Opera Mini/7.0.32796/59.323; U; fr) Presto/2.12.423 Version/12.16",
                Some((Browser::OperaMini, 7)),
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/28.0.1500.52 Safari/537.36 OPR/15.0.1147.100",
                Some((Browser::Opera, 15)),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0.3282.140 Safari/537.36 Edge/17.17134",
                Some((Browser::Edge, 17)),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.87",
                Some((Browser::Edge, 126)),
            ),
            (
                "Mozilla/5.0 (Linux; U; Android 2.3.5; en-us; HTC Vision) AppleWebKit/533.1 (KHTML, like Gecko) Version/4.0 Mobile Safari/533.1",
                Some((Browser::Android, 2)),
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Mobile Safari/537.36",
                Some((Browser::Chrome, 125)),
            ),
            (
                "Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10_6_3; tr-DE) AppleWebKit/533.16 (KHTML like Gecko) Version/5.0 Safari/533.16",
                Some((Browser::Safari, 5)),
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0",
                Some((Browser::Firefox, 127)),
            ),
            (
                "Mozilla/5.0 (Linux; Android 9) AppleWebKit/537.36 SamsungBrowser/9.2 Chrome/67.0 Mobile Safari/537.36",
                None,
            ),
            ("python-requests/2.32", None),
            ("Dalvik/2.1.0 (Linux; U; Android 3.1)", None),
            ("Opera", None),
            ("", None),
        ] {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_browser_is_held_back_by_its_version() {
        let safari = |version: u32| format!("Mozilla/5.0 (Macintosh) AppleWebKit/1 Version/{version}.1 Safari/1");
        let ie = |version: u32| format!("Mozilla/5.0 (compatible; MSIE {version}.0; Windows NT 6.1)");
        for (name, text, wanted) in [
            ("ie_pre_9", ie(8), true),
            ("ie_pre_9", ie(9), false),
            ("ie9", ie(9), true),
            ("ie9", ie(8), false),
            ("ie10", ie(10), true),
            ("ie11", ie(10), false),
            ("ie", ie(7), true),
            ("safari_pre_6", safari(5), true),
            ("safari_pre_6", safari(6), false),
            ("safari", safari(15), true),
            ("safari", safari(16), false),
            ("chrome", "x Chrome/110.0 Safari/1".to_owned(), true),
            ("chrome", "x Chrome/111.0 Safari/1".to_owned(), false),
            ("edge_pre_79", "x Chrome/64 Safari/1 Edge/18.1".to_owned(), true),
            ("edge_pre_79", "x Chrome/79 Safari/1 Edg/79.0".to_owned(), false),
            ("opera_pre_15", "x OPR/14.0".to_owned(), true),
            ("opera_pre_15", "x OPR/15.0".to_owned(), false),
            ("opera_mini_pre_8", "Opera/9.80 (Opera Mini/8.0)".to_owned(), false),
            ("android_pre_4", "x Android 4.1; Version/4.0 Safari/1".to_owned(), false),
            ("firefox", "x Firefox/52.0".to_owned(), true),
        ] {
            let browser = LegacyBrowser::named(name).unwrap();
            assert_eq!(is_among(&text, &[browser]), wanted, "{name}: {text}");
        }
        let all: Vec<&LegacyBrowser> = LEGACY_BROWSERS.iter().collect();
        assert!(!is_among("x Chrome/200.0 Safari/1", &all) && !is_among("x Chrome/1", &[]));
    }
}
