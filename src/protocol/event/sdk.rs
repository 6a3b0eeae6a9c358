//! The SDK that sent the event.

use serde::{Deserialize, Serialize};

/// Name, version and what was switched on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sdk {
    /// Such as `sentry.python.django`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Such as `2.75.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Installed from where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<SdkPackage>,
    /// Active integrations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub integrations: Vec<String>,
    /// Active features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Instructions to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<SdkSettings>,
}

/// One installed package of an SDK.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SdkPackage {
    /// Such as `pypi:sentry-sdk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Instructions of an SDK to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SdkSettings {
    /// `auto`: take the user's address from the connection; anything else: do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infer_ip: Option<String>,
}
