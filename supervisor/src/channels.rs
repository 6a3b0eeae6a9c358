//! Where reports go: the channels there are, the variables that set them up, and when each of them is told.

use std::time::Duration;

use glitchbox_notify::{Kind, limits};
use serde::{Deserialize, Serialize};

use crate::settings::Secret;

/// A way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A robot of a Feishu group.
    Feishu,
    /// The same abroad.
    Lark,
    /// A robot of a DingTalk group.
    DingTalk,
    /// A robot of a WeCom group.
    WeCom,
    /// An incoming webhook of Slack, or of what takes the same.
    Slack,
    /// A webhook of a Discord channel.
    Discord,
    /// A Teams workflow.
    Teams,
    /// A bot of Telegram.
    Telegram,
    /// A topic of ntfy.
    Ntfy,
    /// Mail.
    Email,
    /// A program of the user's own, which takes the report as JSON.
    Webhook,
}

/// The variables of a channel.
#[derive(Debug, Clone, Copy)]
pub struct Variables {
    /// The address.
    pub address: &'static str,
    /// What requests are signed with, or what lets us in; none where the service knows no such thing.
    pub secret: Option<&'static str>,
    /// When it is told.
    pub on: &'static str,
    /// The language it is told in; none where programs read it.
    pub language: Option<&'static str>,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 11] = [
        Self::Feishu,
        Self::Lark,
        Self::DingTalk,
        Self::WeCom,
        Self::Slack,
        Self::Discord,
        Self::Teams,
        Self::Telegram,
        Self::Ntfy,
        Self::Email,
        Self::Webhook,
    ];

    /// The service behind it; none behind mail.
    pub const fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Feishu => Kind::Feishu,
            Self::Lark => Kind::Lark,
            Self::DingTalk => Kind::DingTalk,
            Self::WeCom => Kind::WeCom,
            Self::Slack => Kind::Slack,
            Self::Discord => Kind::Discord,
            Self::Teams => Kind::Teams,
            Self::Telegram => Kind::Telegram,
            Self::Ntfy => Kind::Ntfy,
            Self::Webhook => Kind::Generic,
            Self::Email => return None,
        })
    }

    /// Its name in files and on screens.
    pub const fn name(self) -> &'static str {
        match (self, self.kind()) {
            (Self::Webhook, _) => "webhook",
            (_, Some(kind)) => kind.name(),
            (_, None) => "email",
        }
    }

    /// The pause between two messages, by the limits of the service.
    pub fn gap(self) -> Duration {
        let Some(limits) = self.kind().map(limits) else { return MAIL_GAP };
        let span = |of: Duration, most: u32| of / most.max(1);
        span(Duration::from_mins(1), limits.per_minute).max(span(Duration::from_secs(1), limits.per_second))
    }

    /// The channel of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }

    /// What sets it up.
    pub const fn variables(self) -> Variables {
        let (address, secret, on, language) = match self {
            Self::Feishu => (
                "FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL",
                "FEISHU_WEBHOOK_SECRET",
                "FEISHU_REPORT_ON",
                "FEISHU_REPORT_LANGUAGE",
            ),
            Self::Lark => ("REPORT_LARK_URL", "REPORT_LARK_SECRET", "REPORT_LARK_ON", "REPORT_LARK_LANGUAGE"),
            Self::DingTalk => {
                ("REPORT_DINGTALK_URL", "REPORT_DINGTALK_SECRET", "REPORT_DINGTALK_ON", "REPORT_DINGTALK_LANGUAGE")
            }
            Self::WeCom => ("REPORT_WECOM_URL", "", "REPORT_WECOM_ON", "REPORT_WECOM_LANGUAGE"),
            Self::Slack => ("REPORT_SLACK_URL", "", "REPORT_SLACK_ON", "REPORT_SLACK_LANGUAGE"),
            Self::Discord => ("REPORT_DISCORD_URL", "", "REPORT_DISCORD_ON", "REPORT_DISCORD_LANGUAGE"),
            Self::Teams => ("REPORT_TEAMS_URL", "", "REPORT_TEAMS_ON", "REPORT_TEAMS_LANGUAGE"),
            Self::Telegram => ("REPORT_TELEGRAM_URL", "", "REPORT_TELEGRAM_ON", "REPORT_TELEGRAM_LANGUAGE"),
            Self::Ntfy => ("REPORT_NTFY_URL", "REPORT_NTFY_SECRET", "REPORT_NTFY_ON", "REPORT_NTFY_LANGUAGE"),
            Self::Email => ("REPORT_EMAIL_TO", "", "REPORT_EMAIL_ON", "REPORT_EMAIL_LANGUAGE"),
            Self::Webhook => ("RESTART_WEBHOOK_URL", "RESTART_WEBHOOK_SECRET", "RESTART_WEBHOOK_ON", ""),
        };
        let secret = if secret.is_empty() { None } else { Some(secret) };
        let language = if language.is_empty() { None } else { Some(language) };
        Variables { address, secret, on, language }
    }

    /// Variables whose values are secrets: the address of a robot lets everybody in who knows it.
    pub fn secrets() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().flat_map(|channel| {
            let variables = channel.variables();
            let address = (channel != Self::Email).then_some(variables.address);
            address.into_iter().chain(variables.secret)
        })
    }

    /// Every variable about reports: they are the supervisor's alone.
    pub fn all_variables() -> impl Iterator<Item = &'static str> {
        let of_channel = |channel: Self| {
            let it = channel.variables();
            [it.address, it.on].into_iter().chain(it.secret).chain(it.language)
        };
        Self::ALL.into_iter().flat_map(of_channel).chain([DEFAULT_ON, DEFAULT_LANGUAGE])
    }
}

/// Between two mails.
const MAIL_GAP: Duration = Duration::from_secs(1);

/// When the channels are told that have no word of their own.
pub const DEFAULT_ON: &str = "REPORT_ON";

/// The language of the channels that have no word of their own.
pub const DEFAULT_LANGUAGE: &str = "REPORT_LANGUAGE";

/// When a channel is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// Each time.
    #[default]
    Always,
    /// When it did not go well: failed, degraded or skipped.
    Failure,
    /// When it went otherwise than the last time; the first report of all is one.
    Change,
}

impl On {
    /// Each with its name in the environment.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Always, "always"), (Self::Failure, "failure"), (Self::Change, "change")];
}

/// The language of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[serde(rename = "en")]
    English,
    /// Simplified Chinese.
    #[serde(rename = "zh-CN")]
    Chinese,
}

/// One who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    /// By this way.
    pub channel: Channel,
    /// The URL; of mail the readers' addresses, each a line.
    pub address: Secret,
    /// The signing secret or the token.
    pub secret: Option<Secret>,
    /// When.
    pub on: On,
    /// In this language; none leaves it to the channel.
    pub language: Option<Language>,
}

/// How mail leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// `EMAIL_URL`.
    pub url: Secret,
    /// `DEFAULT_FROM_EMAIL`, else `glitchbox <glitchbox@HOST>`.
    pub from: String,
}

/// Everybody who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channels {
    /// At most one of each kind, in the order of [`Channel::ALL`].
    pub receivers: Vec<Receiver>,
    /// `RESTART_WEBHOOK_SECRET`, else the generated one: signs what goes to the webhook.
    pub webhook_secret: Option<Secret>,
    /// For the receiver [`Channel::Email`], which there is only with it.
    pub mail: Option<Mail>,
}

impl Channels {
    /// The receiver by this way.
    pub fn find(&self, channel: Channel) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.channel == channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_can_be_set_exactly_where_the_service_knows_one() {
        for channel in Channel::ALL {
            let takes = channel.kind().is_some_and(Kind::takes_secret);
            assert_eq!(channel.variables().secret.is_some(), takes, "{channel:?}");
            assert_eq!(serde_json::to_value(channel).unwrap(), channel.name());
        }
        let names: std::collections::BTreeSet<&str> = Channel::all_variables().collect();
        // Four of each channel but for six secrets and one language, and the two defaults.
        assert_eq!(names.len(), 11 * 4 - 6 - 1 + 2);
    }

    #[test]
    fn messages_keep_the_distance_the_service_wants() {
        assert_eq!(Channel::DingTalk.gap(), Duration::from_secs(3), "20 a minute");
        assert_eq!(Channel::Slack.gap(), Duration::from_secs(1), "one a second");
        assert_eq!(Channel::Feishu.gap(), Duration::from_millis(600), "100 a minute");
    }
}
