//! What is taken out of what is sent to a project. Names and meanings are those that Sentry's clients know.

use serde::{Deserialize, Serialize};

use super::filter_settings::{Fault, tidy};

/// What is taken out before anything is stored. By default: secrets, by the built-in rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct PrivacySettings {
    /// Takes secrets out at all.
    pub scrub_data: bool,
    /// Knows names and forms of secrets by itself.
    pub scrub_defaults: bool,
    /// Looks into the values of exceptions, too.
    pub scrub_exception_values: bool,
    /// Stores no IP addresses.
    pub scrub_ip_addresses: bool,
    /// More names of secrets.
    pub sensitive_fields: Vec<String>,
    /// Names whose values stay as they are, whatever else says otherwise.
    pub safe_fields: Vec<String>,
}

impl Default for PrivacySettings {
    fn default() -> Self {
        Self {
            scrub_data: true,
            scrub_defaults: true,
            scrub_exception_values: true,
            scrub_ip_addresses: false,
            sensitive_fields: Vec::new(),
            safe_fields: Vec::new(),
        }
    }
}

/// The names of a list, put in order; `name` is the list's. A name needs a letter or digit: without one it would be part
/// of every field's.
pub fn field_names<'a>(name: &'static str, given: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, Fault> {
    let names = tidy(name, given)?;
    match names.iter().find(|one| !one.chars().any(char::is_alphanumeric)) {
        Some(nameless) => Err(Fault::NoName(name, nameless.clone())),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_in_order_and_one_without_letters_is_none() {
        assert_eq!(field_names("safeFields", [" a ", "", "b_c", "a"]), Ok(vec!["a".to_owned(), "b_c".to_owned()]));
        let error = field_names("safeFields", ["ok", "**"]).unwrap_err().to_string();
        assert_eq!(error, "`safeFields`: `**` has no letter and no digit");
    }
}
