//! `EMAIL_URL`: how mail leaves, with the schemes of django-environ. Pure: the connection is the caller's business.

use std::fmt;

use url::{Url, form_urlencoded};

/// What `EMAIL_URL` takes, for whoever has to complain.
pub const EXPECTED: &str = "smtp://, smtp+tls:// (STARTTLS), smtps:// or smtp+ssl:// (TLS) with \
    user:password@host:port, special characters percent-encoded; or consolemail://";

/// How mail leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// By a server.
    Smtp(Server),
    /// Into the log: `consolemail://`.
    Log,
    /// Not at all: `dummymail://`, `memorymail://`.
    Nowhere,
}

/// A server that takes mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// 25, 587 or 465 unless the address says otherwise.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// What to sign in with.
    pub credentials: Option<Credentials>,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// The connection turns to TLS before anything is said; else it ends.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// Name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password; it does not show in debug output.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What the address says; `None` when it says nothing that can be right.
pub fn parse(text: &str) -> Option<Transport> {
    // The parser would leave line breaks out silently.
    if text.chars().any(char::is_control) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let security = match (url.scheme(), url.port()) {
        ("consolemail", _) => return Some(Transport::Log),
        ("dummymail" | "memorymail", _) => return Some(Transport::Nowhere),
        ("smtp", _) => Security::None,
        // django-environ means STARTTLS by `smtps`; these are the ports where only that works.
        ("smtp+tls", _) | ("smtps", Some(25 | 587 | 2525)) => Security::StartTls,
        ("smtps" | "smtp+ssl", _) => Security::Tls,
        _ => return None,
    };
    let port = url.port().unwrap_or(match security {
        Security::None => 25,
        Security::StartTls => 587,
        Security::Tls => 465,
    });
    // A path or a fragment is a password with a `/`, `?` or `#` in it.
    let host = url.host_str().filter(|host| !host.is_empty())?.trim_matches(['[', ']']).to_owned();
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() || port == 0 {
        return None;
    }
    let user = percent_decoded(url.username());
    let password = percent_decoded(url.password().unwrap_or_default());
    let credentials = (!user.is_empty()).then_some(Credentials { user, password });
    Some(Transport::Smtp(Server { host, port, security, credentials }))
}

fn percent_decoded(text: &str) -> String {
    // In a form, these three would be more than characters.
    let plain = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(plain.as_bytes()).map(|(name, _)| name.into_owned()).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> (String, u16, Security, Option<(String, String)>) {
        match parse(text) {
            Some(Transport::Smtp(server)) => {
                assert!(!format!("{server:?}").contains("a/b+c"), "a password shows");
                let credentials = server.credentials.map(|it| (it.user, it.password));
                (server.host, server.port, server.security, credentials)
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn addresses_are_those_of_django_environ() {
        let signed_in = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (text, wanted) in [
            ("smtp://mail", ("mail", 25, Security::None, None)),
            ("smtp://127.0.0.1:2525/?timeout=5", ("127.0.0.1", 2525, Security::None, None)),
            ("smtp://[::1]:2525", ("::1", 2525, Security::None, None)),
            ("smtp+tls://u:p@mail:587", ("mail", 587, Security::StartTls, signed_in("u", "p"))),
            ("smtp+tls://u:p@mail", ("mail", 587, Security::StartTls, signed_in("u", "p"))),
            ("smtps://u:p@mail:587", ("mail", 587, Security::StartTls, signed_in("u", "p"))),
            ("smtps://u:p@mail:465", ("mail", 465, Security::Tls, signed_in("u", "p"))),
            ("smtp+ssl://u:p@mail", ("mail", 465, Security::Tls, signed_in("u", "p"))),
            (
                "smtp://me%40example.com:a%2Fb+c%3D%26%25@mail",
                ("mail", 25, Security::None, signed_in("me@example.com", "a/b+c=&%")),
            ),
            ("smtp://me@example.com:p@mail", ("mail", 25, Security::None, signed_in("me@example.com", "p"))),
        ] {
            let (host, port, security, credentials) = server(text);
            assert_eq!((host.as_str(), port, security, credentials), wanted, "{text}");
        }
        assert_eq!(parse("consolemail://"), Some(Transport::Log));
        assert_eq!(parse("dummymail://"), Some(Transport::Nowhere));
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
}
