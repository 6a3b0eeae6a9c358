//! A DSN: the address that an SDK is configured with.

use std::fmt;

use url::Url;

use super::PublicKey;
use crate::ids::ProjectId;

/// `{scheme}://{public_key}@{host}[:{port}][/{path_prefix}]/{project_id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dsn {
    /// `http` or `https`.
    pub scheme: String,
    /// Who may write.
    pub public_key: PublicKey,
    /// Host name or address, with its port when that is not the scheme's own.
    pub host: String,
    /// Empty, or the sub-path under which the server is mounted, with a leading slash and no trailing one.
    pub path_prefix: String,
    /// What is written to.
    pub project_id: ProjectId,
}

impl Dsn {
    /// The DSN of a key on the server reached at `base`.
    pub fn new(base: &Url, public_key: PublicKey, project_id: ProjectId) -> Self {
        Self {
            scheme: base.scheme().to_owned(),
            public_key,
            host: host_of(base),
            path_prefix: base.path().trim_end_matches('/').to_owned(),
            project_id,
        }
    }

    /// Reads a DSN; a secret (old clients) is ignored. `None` if it has no well-formed key or numeric project.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text.trim()).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let (path_prefix, project) = url.path().trim_end_matches('/').rsplit_once('/')?;
        if !project.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            public_key: PublicKey::parse(url.username())?,
            host: host_of(&url),
            path_prefix: path_prefix.trim_end_matches('/').to_owned(),
            project_id: project.parse().ok()?,
        })
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, public_key, host, path_prefix, project_id } = self;
        write!(f, "{scheme}://{public_key}@{host}{path_prefix}/{project_id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a0b1c2d3e4f5061728394a5b6c7d8e9f";

    #[test]
    fn reads_and_writes_the_same_dsn() {
        for text in [
            format!("http://{KEY}@localhost:8000/1"),
            format!("https://{KEY}@errors.example.com/42"),
            format!("https://{KEY}@example.com/tools/errors/7"),
            format!("http://{KEY}@[::1]:8000/1"),
        ] {
            assert_eq!(Dsn::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn ignores_a_secret_and_a_trailing_slash() {
        let dsn = Dsn::parse(&format!("http://{KEY}:secret@host/10/")).unwrap();
        assert_eq!(dsn.to_string(), format!("http://{KEY}@host/10"));
        assert_eq!(dsn.project_id, ProjectId(10));
    }

    #[test]
    fn is_built_from_the_address_people_use() {
        let base = Url::parse("https://example.com:8443/errors/").unwrap();
        let dsn = Dsn::new(&base, PublicKey::parse(KEY).unwrap(), ProjectId(3));
        assert_eq!(dsn.to_string(), format!("https://{KEY}@example.com:8443/errors/3"));
    }

    #[test]
    fn refuses_what_no_sdk_could_use() {
        for text in [
            "",
            "localhost/1",
            "http://localhost/1",
            "http://short@localhost/1",
            &format!("ftp://{KEY}@localhost/1"),
            &format!("http://{KEY}@localhost/shop"),
            &format!("http://{KEY}@localhost/"),
            &format!("http://{KEY}@localhost/99999999999999999999"),
        ] {
            assert_eq!(Dsn::parse(text), None, "{text}");
        }
    }
}
