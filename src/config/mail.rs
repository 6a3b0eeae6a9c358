//! How mail leaves, and who it comes from.

use glitchbox_notify::smtp;
pub(super) use glitchbox_notify::smtp::EXPECTED;
pub use glitchbox_notify::smtp::Security as SmtpSecurity;
use lettre::Address;
use lettre::message::Mailbox;
use url::Url;

use super::Secret;

/// How mail leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailTransport {
    /// By a server.
    Smtp(SmtpServer),
    /// Into the worker's log: `consolemail://`.
    Log,
    /// Not at all: no `EMAIL_URL`, `dummymail://`, `memorymail://`.
    Nowhere,
}

/// A server that takes mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    /// Name or address.
    pub host: String,
    /// 25, 587 or 465 unless the address says otherwise.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// Name and password to sign in with.
    pub credentials: Option<(String, Secret)>,
}

pub(super) fn parse(text: &str) -> Option<MailTransport> {
    Some(match smtp::parse(text)? {
        smtp::Transport::Smtp(server) => MailTransport::Smtp(SmtpServer {
            host: server.host,
            port: server.port,
            security: server.security,
            credentials: server.credentials.map(|it| (it.user, Secret::new(it.password))),
        }),
        smtp::Transport::Log => MailTransport::Log,
        smtp::Transport::Nowhere => MailTransport::Nowhere,
    })
}

/// `errors@example.com` or `Errors <errors@example.com>`.
pub(super) fn parse_mailbox(text: &str) -> Option<Mailbox> {
    if text.chars().any(char::is_control) {
        return None;
    }
    text.parse().ok()
}

/// An address alone, in lower case.
pub(super) fn parse_address(text: &str) -> Option<String> {
    text.parse::<Address>().is_ok().then(|| text.to_lowercase())
}

/// Who mail comes from unless `DEFAULT_FROM_EMAIL` says so.
pub(super) fn default_from(public_url: &Url) -> Option<Mailbox> {
    let host = public_url.domain().unwrap_or("localhost");
    let address = Address::new("glitchbox", host).or_else(|_| Address::new("glitchbox", "localhost"));
    address.ok().map(|address| Mailbox::new(Some("glitchbox".to_owned()), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_password_is_a_secret() {
        let Some(MailTransport::Smtp(server)) = parse("smtp+tls://me:pa55word@mail") else { panic!("no server") };
        assert_eq!((server.host.as_str(), server.port, server.security), ("mail", 587, SmtpSecurity::StartTls));
        let (user, password) = server.credentials.as_ref().unwrap();
        assert_eq!((user.as_str(), password.expose()), ("me", "pa55word"));
        assert!(!format!("{server:?}").contains("pa55word"));
        assert_eq!(parse("consolemail://"), Some(MailTransport::Log));
        assert_eq!(parse("dummymail://"), Some(MailTransport::Nowhere));
        assert_eq!(parse("mail.example.com"), None);
    }

    #[test]
    fn senders_may_have_a_name() {
        assert_eq!(parse_mailbox("Errors <e@localhost>").unwrap().to_string(), "Errors <e@localhost>");
        assert_eq!(parse_mailbox("root@localhost").unwrap().email.to_string(), "root@localhost");
        for text in ["errors", "e@x\nBcc: b@y", "@x", "a b@x", "e@"] {
            assert_eq!(parse_mailbox(text), None, "{text}");
        }
        assert_eq!(
            default_from(&Url::parse("http://10.0.0.1:8000").unwrap()).unwrap().email.to_string(),
            "glitchbox@localhost"
        );
    }
}
