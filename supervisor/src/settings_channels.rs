//! The settings of the channels reports go by.

use glitchbox_notify::{Level, Message, Target, request, smtp};
use lettre::Address;
use lettre::message::Mailbox;

use super::{Reader, Secret};
use crate::channels::{Channel, Channels, DEFAULT_LANGUAGE, DEFAULT_ON, Language, Mail, On, Receiver};

impl Reader {
    /// Every channel that is set up.
    pub(super) fn channels(&mut self, public_url: &str) -> Channels {
        let on = self.on(DEFAULT_ON).unwrap_or_default();
        let language = self.language(DEFAULT_LANGUAGE);
        let mut receivers = Vec::new();
        for channel in Channel::ALL {
            let variables = channel.variables();
            // All are read, whether the channel is used or not: a mistake is told before it matters.
            let address = match channel {
                Channel::Email => self.readers(variables.address),
                _ => self.address(variables.address).filter(|address| self.fits(channel, address)),
            };
            let secret = variables.secret.and_then(|name| self.secret(name));
            let on = self.on(variables.on).unwrap_or(on);
            let language = variables.language.and_then(|name| self.language(name)).or(language);
            receivers.extend(address.map(|address| Receiver { channel, address, secret, on, language }));
        }
        let has_mail = receivers.iter().any(|receiver| receiver.channel == Channel::Email);
        let mail = if has_mail { self.mail(public_url) } else { None };
        Channels { receivers, webhook_secret: self.secret("RESTART_WEBHOOK_SECRET"), mail }
    }

    fn on(&mut self, name: &str) -> Option<On> {
        let index = self.choice(name, &On::ALL.map(|(_, name)| name))?;
        On::ALL.get(index).map(|(on, _)| *on)
    }

    fn language(&mut self, name: &str) -> Option<Language> {
        let index = self.choice(name, &["en", "zh-CN"])?;
        Some(if index == 0 { Language::English } else { Language::Chinese })
    }

    /// The address of a receiver. The complaint does not repeat it: its path is a password.
    fn address(&mut self, name: &str) -> Option<Secret> {
        let address = self.secret(name)?;
        let text = address.expose();
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let has_host = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '['));
        if !has_host || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            self.complain(name, "is not an address that begins with http:// or https://");
            return None;
        }
        // As the delivery reads it.
        match text.parse::<reqwest::Url>() {
            Ok(_) => Some(address),
            Err(error) => {
                self.complain(name, &format!("is not an address: {error}"));
                None
            }
        }
    }

    /// Whether it is what the service calls an address: of Telegram with a chat, of ntfy with a topic.
    fn fits(&mut self, channel: Channel, address: &Secret) -> bool {
        let Some(kind) = channel.kind() else { return true };
        let message = Message {
            title: String::new(),
            level: Level::Info,
            facts: Vec::new(),
            body: String::new(),
            link: None,
            language: kind.language(),
        };
        let made = request(&Target { kind, url: address.expose(), secret: None }, &message, "", "", 0);
        if let Err(error) = &made {
            self.complain(channel.variables().address, error);
        }
        made.is_ok()
    }

    /// E-mail addresses, separated by commas.
    fn readers(&mut self, name: &str) -> Option<Secret> {
        let text = self.text(name)?;
        let readers: Vec<&str> = text.split(',').map(str::trim).filter(|reader| !reader.is_empty()).collect();
        if let Some(wrong) = readers.iter().find(|reader| reader.parse::<Address>().is_err()) {
            self.complain(name, &format!("{wrong:?} is not an e-mail address; several are separated by commas"));
            return None;
        }
        (!readers.is_empty()).then(|| Secret::new(readers.join("\n")))
    }

    /// How mail leaves; complains when it cannot.
    fn mail(&mut self, public_url: &str) -> Option<Mail> {
        let Some(url) = self.secret("EMAIL_URL") else {
            self.complain("REPORT_EMAIL_TO", "needs a mail server: set EMAIL_URL too");
            return None;
        };
        match smtp::parse(url.expose()) {
            Some(smtp::Transport::Nowhere) => {
                self.complain("REPORT_EMAIL_TO", "needs a mail server, and EMAIL_URL says that mail goes nowhere");
                return None;
            }
            Some(_) => {}
            None => {
                self.complain("EMAIL_URL", &format!("is not understood; it takes {}", smtp::EXPECTED));
                return None;
            }
        }
        let from = match self.text("DEFAULT_FROM_EMAIL") {
            Some(text) if !is_mailbox(&text) => {
                self.complain(
                    "DEFAULT_FROM_EMAIL",
                    &format!("{text:?} is not as errors@example.com or Errors <errors@example.com>"),
                );
                return None;
            }
            Some(text) => text,
            None => default_from(public_url),
        };
        Some(Mail { url, from })
    }
}

fn is_mailbox(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.parse::<Mailbox>().is_ok()
}

/// As the application's: `glitchbox` at the public host, if that has a name.
fn default_from(public_url: &str) -> String {
    let url = public_url.parse::<reqwest::Url>().ok();
    let host = url.as_ref().and_then(reqwest::Url::domain).unwrap_or("localhost");
    let from = format!("glitchbox <glitchbox@{host}>");
    if is_mailbox(&from) { from } else { "glitchbox <glitchbox@localhost>".to_owned() }
}
