//! Programs that read the web, by their `User-Agent`. Their owners publish these names.

/// Anywhere in the text, in lower case.
const NAMES: [&str; 32] = [
    // Search.
    "googlebot",
    "mediapartners-google",
    "adsbot-google",
    "feedfetcher-google",
    "google-inspectiontool",
    "bingbot",
    "bingpreview",
    "baiduspider",
    "yandexbot",
    "duckduckbot",
    "slurp",
    "sogou",
    "bytespider",
    "petalbot",
    "applebot",
    "ia_archiver",
    // What makes a preview of a link.
    "facebookexternalhit",
    "facebookbot",
    "facebookcatalog",
    "slackbot",
    "slack-imgproxy",
    "twitterbot",
    // What reads for models.
    "gptbot",
    "ccbot",
    "claudebot",
    "perplexitybot",
    // What looks whether a site is there, or safe.
    "pingdom",
    "better uptime",
    "hubspot crawler",
    "lyticsbot",
    "aws security scanner",
    // Google's, for applications.
    "calypso appcrawler",
];

/// Words that end the name of a program which says what it is.
const ENDINGS: [&str; 3] = ["bot", "spider", "crawler"];

/// Sends what people write; only its readers of links are crawlers.
const MESSENGER: &str = "slackbot 1.";

/// True for a crawler.
pub(super) fn is_one(user_agent: &str) -> bool {
    let text = user_agent.to_ascii_lowercase();
    if text.contains(MESSENGER) {
        return false;
    }
    NAMES.iter().any(|name| text.contains(name)) || ENDINGS.iter().any(|ending| is_ending(&text, ending))
}

/// True if the word, or its plural, stands at the end of a name: `MyBot/1.0`, `(compatible; a-spider)`.
fn is_ending(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let rest = text.get(at + word.len()..).unwrap_or_default();
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        rest.is_empty() || rest.starts_with(|next: char| next.is_whitespace() || matches!(next, '/' | ';' | ')'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crawlers_are_told_from_browsers_and_programs() {
        for (text, wanted) in [
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", true),
            ("AdsBot-Google (+http://www.google.com/adsbot.html)", true),
            ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", true),
            ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", true),
            ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", true),
            ("Slackbot 1.0(+https://api.slack.com/robots)", false),
            ("Twitterbot/1.0", true),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
                true,
            ),
            ("Better Uptime Bot Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/74.0.3729.169 Safari/537.36", true),
            ("Mozilla/5.0 (compatible; HubSpot Crawler; web-crawlers@hubspot.com)", true),
            ("MyOwnBot/3", true),
            ("some-spider", true),
            ("a bots)", true),
            (
                "Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/41.0.2228.0 Safari/537.36",
                false,
            ),
            // The browser in an application of Facebook's is somebody's.
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) Mobile/15E148 [FBAN/FBIOS;FBAV/470.0]", false),
            ("robotics-client/1.0", false),
            ("spiderman", false),
            ("python-requests/2.32", false),
            ("", false),
        ] {
            assert_eq!(is_one(text), wanted, "{text}");
        }
    }
}
