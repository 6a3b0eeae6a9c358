//! What a reload comes to, for whoever asked for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{Difference, Fate, KeyChange, ServiceChange};

/// What has come of a reload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Settings beside the services, which count from now on.
    pub settings: Vec<KeyChange>,
    /// The services affected.
    pub services: Vec<Taken>,
}

/// What has come of it for one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// What is different.
    #[serde(flatten)]
    pub change: ServiceChange,
    /// Whether it has taken; none as long as nothing has been done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// One sentence, either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Reloaded {
    /// What would come of it.
    pub fn planned(difference: Difference) -> Self {
        let services = difference.services.into_iter().map(|change| Taken { change, ok: None, message: None });
        Self { settings: difference.settings, services: services.collect() }
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.services.is_empty()
    }

    /// The same with every value and sentence as `clean` wants it.
    #[must_use]
    pub fn cleaned(self, clean: impl Fn(String) -> String) -> Self {
        let clean_all = |keys: Vec<KeyChange>| keys.into_iter().map(|change| change.cleaned(&clean)).collect();
        let services = self.services.into_iter().map(|mut taken| {
            taken.message = taken.message.map(&clean);
            taken.change.keys = clean_all(taken.change.keys);
            taken
        });
        Self { services: services.collect(), settings: clean_all(self.settings) }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.change.fate {
            Fate::Added => "new",
            Fate::Removed => "removed",
            Fate::Restarted => "changed, needs a new generation",
            Fate::Adjusted => "changed in place",
        };
        write!(f, "{} ({fate})", self.change.service)?;
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}
