//! The services there are, and how to know one by its address.

use crate::Language;
use crate::address::{Parts, split};

/// A service, or rather the form of request it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A custom bot of Feishu.
    Feishu,
    /// The same abroad: another host, readers of English.
    Lark,
    /// A custom bot of DingTalk.
    DingTalk,
    /// A bot of a WeCom group.
    WeCom,
    /// An incoming webhook of Slack, or of one of the many that take the same: Mattermost, Rocket.Chat, Zulip.
    Slack,
    /// A webhook of a Discord channel.
    Discord,
    /// A Teams workflow that posts cards, or an old connector.
    Teams,
    /// A bot of Telegram.
    Telegram,
    /// A topic of ntfy.
    Ntfy,
    /// Plain JSON for programs of people's own.
    Generic,
}

impl Kind {
    /// Every kind, in the order to show them.
    pub const ALL: [Self; 10] = [
        Self::Feishu,
        Self::Lark,
        Self::DingTalk,
        Self::WeCom,
        Self::Slack,
        Self::Discord,
        Self::Teams,
        Self::Telegram,
        Self::Ntfy,
        Self::Generic,
    ];

    /// Its name for settings: lower case, no spaces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Feishu => "feishu",
            Self::Lark => "lark",
            Self::DingTalk => "dingtalk",
            Self::WeCom => "wecom",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Teams => "teams",
            Self::Telegram => "telegram",
            Self::Ntfy => "ntfy",
            Self::Generic => "generic",
        }
    }

    /// Its name for people.
    pub const fn label(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Feishu, Language::English) => "Feishu",
            (Self::Feishu, Language::Chinese) => "飞书",
            (Self::Lark, _) => "Lark",
            (Self::DingTalk, Language::English) => "DingTalk",
            (Self::DingTalk, Language::Chinese) => "钉钉",
            (Self::WeCom, Language::English) => "WeCom",
            (Self::WeCom, Language::Chinese) => "企业微信",
            (Self::Slack, _) => "Slack",
            (Self::Discord, _) => "Discord",
            (Self::Teams, _) => "Microsoft Teams",
            (Self::Telegram, _) => "Telegram",
            (Self::Ntfy, _) => "ntfy",
            (Self::Generic, Language::English) => "JSON",
            (Self::Generic, Language::Chinese) => "通用 JSON",
        }
    }

    /// The kind of this [`name`](Self::name), in whatever case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name.trim()))
    }

    /// Whether a secret means anything to it: it signs with it, or (ntfy) it is the access token.
    pub const fn takes_secret(self) -> bool {
        matches!(self, Self::Feishu | Self::Lark | Self::DingTalk | Self::Ntfy | Self::Generic)
    }

    /// The hosts by which it is known, with all below them; none for what people run themselves.
    pub const fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::Feishu => &["feishu.cn", "larkoffice.com"],
            Self::Lark => &["larksuite.com"],
            Self::DingTalk => &["oapi.dingtalk.com"],
            Self::WeCom => &["qyapi.weixin.qq.com"],
            Self::Slack => &["hooks.slack.com"],
            Self::Discord => &["discord.com", "discordapp.com"],
            Self::Teams => &["webhook.office.com", "logic.azure.com", "powerplatform.com", "powerautomate.com"],
            Self::Telegram => &["api.telegram.org"],
            Self::Ntfy => &["ntfy.sh"],
            Self::Generic => &[],
        }
    }

    /// Whether this host is one of its [`hosts`](Self::hosts), or below one.
    fn has_host(self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let is = |name: &str| host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        self.hosts().iter().any(|name| is(name))
    }

    /// Whether this address is at the service itself, not at a program of people's own that takes the same form.
    pub(crate) fn is_at(self, url: &str) -> bool {
        split(url).is_ok_and(|parts| self.has_host(parts.host))
    }

    /// What its addresses look like.
    pub const fn example(self) -> &'static str {
        match self {
            Self::Feishu => "https://open.feishu.cn/open-apis/bot/v2/hook/…",
            Self::Lark => "https://open.larksuite.com/open-apis/bot/v2/hook/…",
            Self::DingTalk => "https://oapi.dingtalk.com/robot/send?access_token=…",
            Self::WeCom => "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…",
            Self::Slack => "https://hooks.slack.com/services/…",
            Self::Discord => "https://discord.com/api/webhooks/…",
            Self::Teams => "https://….powerplatform.com/…/workflows/…",
            Self::Telegram => "https://api.telegram.org/bot…?chat_id=…",
            Self::Ntfy => "https://ntfy.sh/<topic>",
            Self::Generic => "https://",
        }
    }

    /// The language its readers most likely speak.
    pub const fn language(self) -> Language {
        match self {
            Self::Feishu | Self::DingTalk | Self::WeCom => Language::Chinese,
            _ => Language::English,
        }
    }
}

/// What takes at most so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body; [`request`](crate::request) never makes more.
    pub bytes: usize,
    /// Messages a minute.
    pub per_minute: u32,
    /// Messages a second.
    pub per_second: u32,
}

/// What the service takes, by its own word or, where it has none, by decency.
pub const fn limits(kind: Kind) -> Limits {
    let (bytes, per_minute, per_second) = match kind {
        // 20 KB; some room is left for what a gateway may add.
        Kind::Feishu | Kind::Lark => (19_500, 100, 5),
        // More than 20 a minute, and it takes nothing for ten minutes.
        Kind::DingTalk => (19_500, 20, 5),
        // 4096 bytes of text.
        Kind::WeCom => (4_096, 20, 5),
        // About one a second, and short bursts.
        Kind::Slack => (30_000, 60, 5),
        // 6000 characters in all, five a webhook within two seconds, thirty a channel within a minute.
        Kind::Discord => (32_000, 30, 2),
        // 28 KB with all that Teams adds.
        Kind::Teams => (26_000, 60, 2),
        // 4096 characters; a group takes 20 a minute.
        Kind::Telegram => (24_000, 20, 1),
        // 4096 bytes of text in at most twice as much JSON; visitors without an account get one each five seconds.
        Kind::Ntfy => (8_000, 12, 5),
        Kind::Generic => (262_144, 600, 20),
    };
    Limits { bytes, per_minute, per_second }
}

/// Recognises a service by its address; none for what people run themselves.
pub fn kind_of(url: &str) -> Option<Kind> {
    let Parts { host, path, .. } = split(url).ok()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.has_host(host))?;
    match kind {
        // Discord takes Slack's form too, at an address of its own; the rest of its host is for people.
        Kind::Discord if path.trim_end_matches('/').ends_with("/slack") => Some(Kind::Slack),
        Kind::Discord => path.starts_with("/api/").then_some(kind),
        _ => Some(kind),
    }
}

/// Whether this address leads to a service that everybody knows. What answers elsewhere may be anything, also a program
/// that is nobody's business: its words are not for those who chose the address.
pub fn is_service(url: &str) -> bool {
    Kind::ALL.into_iter().any(|kind| kind.is_at(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_from_what_only_looks_like_one() {
        for url in ["https://hooks.slack.com/x", "https://discord.com/api/webhooks/1/x/slack", "HTTPS://NTFY.SH/t"] {
            assert!(is_service(url), "{url}");
        }
        for url in [
            "http://127.0.0.1:9000/hooks.slack.com",
            "http://ntfy.sh@10.0.0.1/x",
            "http://10.0.0.1\\@ntfy.sh/x",
            "http://10.0.0.1#@ntfy.sh/x",
            "http://ntfy.sh.internal/x",
            "http://chat.example.org/hooks/x",
            "",
        ] {
            assert!(!is_service(url), "{url}");
        }
        assert!(
            Kind::Slack.is_at("https://hooks.slack.com/x") && !Kind::Slack.is_at("https://discord.com/api/x/slack")
        );
    }

    #[test]
    fn a_name_is_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
        }
        assert_eq!(Kind::parse(" DingTalk "), Some(Kind::DingTalk));
        assert_eq!(Kind::parse("pigeon"), None);
    }

    #[test]
    fn a_service_is_known_by_its_address() {
        for (url, kind) in [
            ("https://open.feishu.cn/open-apis/bot/v2/hook/x", Some(Kind::Feishu)),
            ("https://open.larksuite.com/open-apis/bot/v2/hook/x", Some(Kind::Lark)),
            ("https://oapi.dingtalk.com/robot/send?access_token=x", Some(Kind::DingTalk)),
            ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x", Some(Kind::WeCom)),
            ("https://hooks.slack.com/services/T/B/x", Some(Kind::Slack)),
            ("https://discord.com/api/webhooks/1/x", Some(Kind::Discord)),
            ("https://PTB.discord.com/api/v10/webhooks/1/x", Some(Kind::Discord)),
            ("https://discord.com/api/webhooks/1/x/slack", Some(Kind::Slack)),
            ("https://example.webhook.office.com/webhookb2/x", Some(Kind::Teams)),
            ("https://prod-1.westus.logic.azure.com:443/workflows/x", Some(Kind::Teams)),
            ("https://x.01.environment.api.powerplatform.com/workflows/x", Some(Kind::Teams)),
            ("https://api.telegram.org/bot1:x/sendMessage?chat_id=1", Some(Kind::Telegram)),
            ("https://ntfy.sh/topic", Some(Kind::Ntfy)),
            ("https://discord.com/channels/1", None),
            ("https://notfeishu.cn/x", None),
            ("https://feishu.cn.example.org/x", None),
            ("https://example.org/?to=https://ntfy.sh/x", None),
            ("https://ntfy.sh@example.org/x", None),
            ("ntfy.sh/x", None),
        ] {
            assert_eq!(kind_of(url), kind, "{url}");
        }
    }
}
