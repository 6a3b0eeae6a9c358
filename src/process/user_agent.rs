//! Browser and operating system of a `User-Agent`: the ones people meet, nothing exotic.

/// What a `User-Agent` tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UserAgent {
    pub(super) browser: Option<Product>,
    pub(super) system: Option<Product>,
}

/// A name, and a version if there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) name: &'static str,
    pub(super) version: Option<String>,
}

/// Token and name; the first that is found counts, since browsers also name those they are like.
const BROWSERS: [(&str, &str); 16] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("MicroMessenger/", "WeChat"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome Headless"),
    ("Electron/", "Electron"),
    ("Chrome/", "Chrome"),
    ("MSIE ", "IE"),
    ("Version/", "Safari"),
];

/// Token in front of the version, and name.
const SYSTEMS: [(&str, &str); 7] = [
    ("Windows NT ", "Windows"),
    ("Android ", "Android"),
    ("iPhone OS ", "iOS"),
    ("CPU OS ", "iOS"),
    ("Mac OS X ", "Mac OS X"),
    ("CrOS x86_64 ", "Chrome OS"),
    ("Ubuntu", "Ubuntu"),
];

/// Reads a `User-Agent`; what is not recognised is left out.
pub(super) fn parse(text: &str) -> UserAgent {
    UserAgent { browser: browser(text), system: system(text) }
}

fn browser(text: &str) -> Option<Product> {
    if let Some((_, rest)) = text.split_once("Trident/")
        && let Some((_, version)) = rest.split_once("rv:")
    {
        return Some(Product { name: "IE", version: self::version(version) });
    }
    BROWSERS.iter().find_map(|(token, name)| {
        let (_, rest) = text.split_once(token)?;
        if *name == "Safari" && !rest.contains("Safari/") {
            return None;
        }
        Some(Product { name, version: version(rest) })
    })
}

fn system(text: &str) -> Option<Product> {
    for (token, name) in SYSTEMS {
        let Some((_, rest)) = text.split_once(token) else { continue };
        let version = version(rest);
        let version = if name == "Windows" { version.map(windows_version) } else { version };
        return Some(Product { name, version });
    }
    text.contains("Linux").then_some(Product { name: "Linux", version: None })
}

/// Up to three numbers; Apple writes underscores.
fn version(text: &str) -> Option<String> {
    let end = text
        .find(|character: char| !(character.is_ascii_digit() || matches!(character, '.' | '_')))
        .unwrap_or(text.len());
    let parts: Vec<&str> = text.get(..end)?.split(['.', '_']).filter(|part| !part.is_empty()).take(3).collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

fn windows_version(kernel: String) -> String {
    match kernel.as_str() {
        "10.0" => "10".to_owned(),
        "6.3" => "8.1".to_owned(),
        "6.2" => "8".to_owned(),
        "6.1" => "7".to_owned(),
        _ => kernel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ones_people_meet_are_recognised() {
        for (text, browser, system) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "Chrome 126.0.0",
                "Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.87",
                "Edge 126.0.2592",
                "Windows 10",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0",
                "Firefox 127.0",
                "Mac OS X 10.15",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari 17.5",
                "iOS 17.5.1",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Mobile Safari/537.36",
                "Chrome 125.0.0",
                "Android 14",
            ),
            ("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", "IE 11.0", "Windows 7"),
        ] {
            let found = parse(text);
            let written = |product: Option<Product>| {
                let product = product.unwrap();
                product.version.map_or(product.name.to_owned(), |version| format!("{} {version}", product.name))
            };
            assert_eq!((written(found.browser).as_str(), written(found.system).as_str()), (browser, system));
        }
    }

    #[test]
    fn programs_are_not_browsers() {
        for text in ["curl/8.5.0", "python-requests/2.32", "", "Googlebot/2.1 (+http://www.google.com/bot.html)"] {
            assert_eq!(parse(text), UserAgent::default(), "{text}");
        }
    }
}
