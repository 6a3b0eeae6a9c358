//! How mail leaves: `EMAIL_URL`, with the schemes of django-environ.

use lettre::Address;
use lettre::message::Mailbox;
use url::{Url, form_urlencoded};

use super::Secret;

/// What `EMAIL_URL` takes, for its error.
pub(super) const EXPECTED: &str = "smtp://, smtp+tls:// (STARTTLS), smtps:// or smtp+ssl:// (TLS) with \
    user:password@host:port, special characters percent-encoded; or consolemail://";

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

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// Not at all.
    None,
    /// The connection turns to TLS before anything is said; else it ends.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

pub(super) fn parse(text: &str) -> Option<MailTransport> {
    // The parser would leave line breaks out silently.
    if text.chars().any(char::is_control) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let security = match (url.scheme(), url.port()) {
        ("consolemail", _) => return Some(MailTransport::Log),
        ("dummymail" | "memorymail", _) => return Some(MailTransport::Nowhere),
        ("smtp", _) => SmtpSecurity::None,
        // django-environ means STARTTLS by `smtps`; these are the ports where only that works.
        ("smtp+tls", _) | ("smtps", Some(25 | 587 | 2525)) => SmtpSecurity::StartTls,
        ("smtps" | "smtp+ssl", _) => SmtpSecurity::Tls,
        _ => return None,
    };
    let port = url.port().unwrap_or(match security {
        SmtpSecurity::None => 25,
        SmtpSecurity::StartTls => 587,
        SmtpSecurity::Tls => 465,
    });
    // A path or a fragment is a password with a `/`, `?` or `#` in it.
    let host = url.host_str().filter(|host| !host.is_empty())?.trim_matches(['[', ']']).to_owned();
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() || port == 0 {
        return None;
    }
    let user = percent_decoded(url.username());
    let credentials =
        (!user.is_empty()).then(|| (user, Secret::new(percent_decoded(url.password().unwrap_or_default()))));
    Some(MailTransport::Smtp(SmtpServer { host, port, security, credentials }))
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

fn percent_decoded(text: &str) -> String {
    // In a form, these three would be more than characters.
    let plain = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(plain.as_bytes()).map(|(name, _)| name.into_owned()).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> (String, u16, SmtpSecurity, Option<(String, String)>) {
        match parse(text) {
            Some(MailTransport::Smtp(server)) => {
                let credentials = server.credentials.map(|(user, password)| (user, password.expose().to_owned()));
                (server.host, server.port, server.security, credentials)
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn addresses_are_those_of_django_environ() {
        let signed_in = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (text, wanted) in [
            ("smtp://mail", ("mail", 25, SmtpSecurity::None, None)),
            ("smtp://127.0.0.1:2525/?timeout=5", ("127.0.0.1", 2525, SmtpSecurity::None, None)),
            ("smtp://[::1]:2525", ("::1", 2525, SmtpSecurity::None, None)),
            ("smtp+tls://u:p@mail:587", ("mail", 587, SmtpSecurity::StartTls, signed_in("u", "p"))),
            ("smtp+tls://u:p@mail", ("mail", 587, SmtpSecurity::StartTls, signed_in("u", "p"))),
            ("smtps://u:p@mail:587", ("mail", 587, SmtpSecurity::StartTls, signed_in("u", "p"))),
            ("smtps://u:p@mail:465", ("mail", 465, SmtpSecurity::Tls, signed_in("u", "p"))),
            ("smtp+ssl://u:p@mail", ("mail", 465, SmtpSecurity::Tls, signed_in("u", "p"))),
            (
                "smtp://me%40example.com:a%2Fb+c%3D%26%25@mail",
                ("mail", 25, SmtpSecurity::None, signed_in("me@example.com", "a/b+c=&%")),
            ),
            ("smtp://me@example.com:p@mail", ("mail", 25, SmtpSecurity::None, signed_in("me@example.com", "p"))),
        ] {
            let (host, port, security, credentials) = server(text);
            assert_eq!((host.as_str(), port, security, credentials), wanted, "{text}");
        }
        assert_eq!(parse("consolemail://"), Some(MailTransport::Log));
        assert_eq!(parse("dummymail://"), Some(MailTransport::Nowhere));
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for text in [
            "smtp://",
            "mail.example.com",
            "http://mail",
            "smtp://u:a/b@mail",
            "smtp://u:a#b@mail",
            "smtp://ma\nil",
            "smtp://mail:0",
            "smtp://mail:99999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
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
