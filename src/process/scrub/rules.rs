//! What is taken out of an event.

use super::name::{self, Name};
use crate::protocol::PrivacySettings;

/// What is taken out of an event. By default: secrets, by name and by form; addresses of people stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubRules {
    defaults: bool,
    exception_values: bool,
    ip_addresses: bool,
    sensitive: Vec<String>,
    safe: Vec<String>,
}

impl Default for ScrubRules {
    fn default() -> Self {
        Self { defaults: true, exception_values: true, ip_addresses: false, sensitive: Vec::new(), safe: Vec::new() }
    }
}

/// What a name says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Somebody said that it stays.
    Safe,
    /// Nothing.
    Ordinary,
    /// A secret if it names an account at a host.
    Address,
    /// A secret if it looks like one (`sig` of an address, `HEROKU_KEY`).
    Random,
    /// A secret, though the word has other meanings, too (`token`, `pass`).
    Likely,
    /// A secret (`password`, `api_key`).
    Sure,
}

impl ScrubRules {
    /// As a project's settings say. Addresses of people are a matter of their own: they go by their switch, whether
    /// secrets are taken out or not.
    pub fn of(settings: &PrivacySettings) -> Self {
        let names = |list: &[String]| folded(list.iter().map(String::as_str));
        let mut rules = Self { ip_addresses: settings.scrub_ip_addresses, ..Self::default() };
        if settings.scrub_data {
            rules.defaults = settings.scrub_defaults;
            rules.exception_values = settings.scrub_exception_values;
            rules.sensitive = names(&settings.sensitive_fields);
            rules.safe = names(&settings.safe_fields);
        } else {
            rules.defaults = false;
        }
        rules
    }

    /// Leaves the built-in names and forms alone; names of one's own and addresses still count.
    #[must_use]
    pub fn without_defaults(mut self) -> Self {
        self.defaults = false;
        self
    }

    /// Leaves secrets in the values of exceptions.
    #[must_use]
    pub fn without_exception_values(mut self) -> Self {
        self.exception_values = false;
        self
    }

    /// Takes out IP addresses, too: of the user, of the connection, and wherever they stand in a text.
    #[must_use]
    pub fn without_ip_addresses(mut self) -> Self {
        self.ip_addresses = true;
        self
    }

    /// More names of secrets. A name counts wherever it is part of a field's; case, `_`, `-` and `.` do not matter.
    #[must_use]
    pub fn with_sensitive<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.sensitive.extend(folded(names));
        self
    }

    /// Names whose values stay as they are, whatever else says otherwise; compared as [`Self::with_sensitive`] does.
    #[must_use]
    pub fn with_safe<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.safe.extend(folded(names));
        self
    }

    /// True if texts are read: for secrets, or for addresses.
    pub(super) fn reads_texts(&self) -> bool {
        self.defaults || !self.sensitive.is_empty() || self.ip_addresses
    }

    /// True if secrets are looked for in the values of exceptions.
    pub(super) fn reads_exception_values(&self) -> bool {
        self.exception_values
    }

    /// True if the built-in names and forms count.
    pub(super) fn has_defaults(&self) -> bool {
        self.defaults
    }

    /// True if IP addresses are taken out.
    pub(super) fn takes_ip_addresses(&self) -> bool {
        self.ip_addresses
    }

    /// False if [`Self::judge`] would say that the name is ordinary; costs a nanosecond a byte.
    pub(super) fn may_judge(&self, field: &str) -> bool {
        !self.sensitive.is_empty() || !self.safe.is_empty() || (self.defaults && name::has_stem(field.as_bytes()))
    }

    pub(super) fn judge(&self, field: &str) -> Verdict {
        if !self.may_judge(field) {
            return Verdict::Ordinary;
        }
        let name = Name::new(field);
        let is_in = |list: &[String]| list.iter().any(|part| name.contains(part));
        if is_in(&self.safe) {
            Verdict::Safe
        } else if is_in(&self.sensitive) {
            Verdict::Sure
        } else if self.defaults {
            match name.verdict() {
                Verdict::Ordinary if name::is_key_of_environment(field) => Verdict::Random,
                verdict => verdict,
            }
        } else {
            Verdict::Ordinary
        }
    }
}

/// As names are compared; what has no letter or digit would be part of every name.
fn folded<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(|name| Name::new(name).into_glued()).filter(|name| !name.is_empty()).collect()
}
