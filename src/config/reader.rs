//! Reads variables one by one and keeps every complaint.

use std::fmt;
use std::path::Path;

use url::Url;

use super::{FROM_SUPERVISOR, Secret, env_value, read_secret_file};

/// Everything that is wrong with the environment: one line each, naming the variable.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// True when nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The complaints, in the order the variables are read.
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Variables of the deployment contract that only the supervisor or a later stage acts upon; their
/// values are checked here all the same, so that a slip shows at the start and not years later.
const FLAGS: &[&str] = &[
    "ENABLE_USER_REGISTRATION",
    "ENABLE_ORGANIZATION_CREATION",
    "DISABLE_REDIS",
    "EXPOSE_WEB_PORT",
    "EXPOSE_DB_PORT",
    "EXPOSE_REDIS_PORT",
    "PERSIST_DATA",
];

const WEBHOOKS: &[&str] = &["FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL", "RESTART_WEBHOOK_URL"];

/// One pass over the environment.
pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    errors: ConfigErrors,
    /// Values are as meant already.
    is_settled: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, errors: ConfigErrors::default(), is_settled: lookup(FROM_SUPERVISOR).is_some() }
    }

    /// The variable's text; empty or blank counts as unset.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = (self.lookup)(name)?;
        let value = if self.is_settled { text.trim() } else { env_value::meant(name, &text) };
        (!value.trim().is_empty()).then(|| value.to_owned())
    }

    /// A value that `parse` understands.
    pub(super) fn parsed<T>(&mut self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.errors.0.push(format!("{name}: expected {expected}, not `{}`", shorten(&text)));
        }
        value
    }

    /// Values separated by commas.
    pub(super) fn list<T>(&mut self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
        self.parsed(name, expected, |text| {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(&parse).collect()
        })
    }

    /// `true`, `1`, `yes`, `on` or their opposites, in any case.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, "`true` or `false`", parse_flag)
    }

    /// A secret from `NAME`, or from the file that `NAME_FILE` names.
    pub(super) fn secret(&mut self, name: &str) -> Option<Secret> {
        if let Some(value) = self.text(name) {
            return Some(Secret::new(value));
        }
        let file_variable = format!("{name}_FILE");
        let path = self.text(&file_variable)?;
        match read_secret_file(Path::new(&path)) {
            Ok(secret) => Some(secret).filter(|secret| !secret.expose().is_empty()),
            Err(error) => {
                self.errors.0.push(format!("{file_variable}: cannot read {path}: {error}"));
                None
            }
        }
    }

    /// An address with one of `schemes`. A wrong one is not shown: it may hold a password.
    pub(super) fn secret_url(&mut self, name: &str, expected: &str, schemes: &[&str]) -> Option<Secret> {
        let secret = self.secret(name)?;
        if Url::parse(secret.expose()).is_ok_and(|url| schemes.contains(&url.scheme())) {
            return Some(secret);
        }
        self.errors.0.push(format!("{name}: expected {expected}"));
        None
    }

    /// A secret that `parse` understands. A wrong one is not shown.
    pub(super) fn parsed_secret<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let secret = self.secret(name)?;
        let value = parse(secret.expose());
        if value.is_none() {
            self.errors.0.push(format!("{name}: expected {expected}"));
        }
        value
    }

    /// Checks what nobody asked for, and hands over the complaints.
    pub(super) fn finish(mut self) -> ConfigErrors {
        for name in FLAGS {
            self.flag(name);
        }
        for name in WEBHOOKS {
            self.secret_url(name, "an http:// or https:// address", &["http", "https"]);
        }
        self.errors
    }
}

/// `true`, `1`, `yes`, `on` or their opposites, in any case.
pub(super) fn parse_flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Some(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Some(false),
        _ => None,
    }
}

/// The beginning of a value, in one line.
fn shorten(text: &str) -> String {
    text.chars().take(80).map(|character| if character.is_control() { ' ' } else { character }).collect()
}
