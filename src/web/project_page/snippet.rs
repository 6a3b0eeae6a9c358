//! What to paste into a program so that its errors arrive, with the DSN filled in.

use crate::web::text::Lang;

/// A way to send events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sdk {
    Python,
    Node,
    Browser,
    Rust,
    Go,
    SentryCli,
    Curl,
}

/// One thing to do.
#[derive(Debug)]
pub(super) struct Step {
    kind: StepKind,
    /// What to paste.
    pub(super) code: String,
}

#[derive(Debug, Clone, Copy)]
enum StepKind {
    Install,
    Configure,
    Send,
}

impl Step {
    /// What this step does.
    pub(super) fn title(&self, lang: Lang) -> &'static str {
        match self.kind {
            StepKind::Install => lang.step_install(),
            StepKind::Configure => lang.step_configure(),
            StepKind::Send => lang.step_send(),
        }
    }
}

impl Sdk {
    /// In the order they are offered.
    pub(super) const ALL: [Self; 7] =
        [Self::Python, Self::Node, Self::Browser, Self::Rust, Self::Go, Self::SentryCli, Self::Curl];

    /// Its name in the address.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Browser => "browser",
            Self::Rust => "rust",
            Self::Go => "go",
            Self::SentryCli => "sentry-cli",
            Self::Curl => "curl",
        }
    }

    /// Its name for people.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Node => "Node.js",
            Self::Browser => "Browser",
            Self::Rust => "Rust",
            Self::Go => "Go",
            Self::SentryCli => "sentry-cli",
            Self::Curl => "curl",
        }
    }

    /// The one with this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sdk| sdk.name() == name)
    }

    /// The one that suits a project of this platform; Python when nothing is known.
    pub(super) fn for_platform(platform: &str) -> Self {
        match platform.split(['-', '.']).next().unwrap_or_default() {
            "node" => Self::Node,
            "javascript" => Self::Browser,
            "rust" => Self::Rust,
            "go" => Self::Go,
            "native" => Self::SentryCli,
            "other" => Self::Curl,
            _ => Self::Python,
        }
    }

    /// What to do, in order.
    pub(super) fn steps(self, dsn: &str) -> Vec<Step> {
        let fill = |kind, code: &str| Step { kind, code: code.trim().replace("DSN_HERE", dsn) };
        let (install, configure, send) = match self {
            Self::Python => (INSTALL_PYTHON, PYTHON, "sentry_sdk.capture_message(\"Hello, glitchbox\")\n1 / 0"),
            Self::Node => ("npm install @sentry/node", NODE, NODE_SEND),
            Self::Browser => ("npm install @sentry/browser", BROWSER, NODE_SEND),
            Self::Rust => ("cargo add sentry", RUST, ""),
            Self::Go => ("go get github.com/getsentry/sentry-go", GO, ""),
            Self::SentryCli => ("npm install -g @sentry/cli", "export SENTRY_DSN='DSN_HERE'", CLI_SEND),
            Self::Curl => return vec![Step { kind: StepKind::Send, code: curl(dsn) }],
        };
        [(StepKind::Install, install), (StepKind::Configure, configure), (StepKind::Send, send)]
            .into_iter()
            .filter(|(_, code)| !code.is_empty())
            .map(|(kind, code)| fill(kind, code))
            .collect()
    }
}

const INSTALL_PYTHON: &str = "pip install sentry-sdk";

const PYTHON: &str = r#"
import sentry_sdk

sentry_sdk.init(
    dsn="DSN_HERE",
    environment="production",
    release="my-app@1.0.0",
)
"#;

const NODE: &str = r#"
// Before anything else is imported
import * as Sentry from "@sentry/node";

Sentry.init({
  dsn: "DSN_HERE",
  environment: "production",
  release: "my-app@1.0.0",
});
"#;

const NODE_SEND: &str = r#"Sentry.captureException(new Error("Hello, glitchbox"));"#;

const BROWSER: &str = r#"
import * as Sentry from "@sentry/browser";

Sentry.init({
  dsn: "DSN_HERE",
  environment: "production",
  release: "my-app@1.0.0",
});
"#;

const RUST: &str = r#"
fn main() {
    let _guard = sentry::init((
        "DSN_HERE",
        sentry::ClientOptions {
            release: sentry::release_name!(),
            ..Default::default()
        },
    ));

    sentry::capture_message("Hello, glitchbox", sentry::Level::Error);
}
"#;

const GO: &str = r#"
package main

import (
	"errors"
	"log"
	"time"

	"github.com/getsentry/sentry-go"
)

func main() {
	if err := sentry.Init(sentry.ClientOptions{Dsn: "DSN_HERE"}); err != nil {
		log.Fatal(err)
	}
	defer sentry.Flush(2 * time.Second)

	sentry.CaptureException(errors.New("Hello, glitchbox"))
}
"#;

const CLI_SEND: &str = r#"sentry-cli send-event -m "Hello, glitchbox""#;

/// A request without any SDK: the key and the project's number are parts of the DSN.
fn curl(dsn: &str) -> String {
    let parts = url::Url::parse(dsn).ok().and_then(|url| {
        let (base, project) = url.path().rsplit_once('/')?;
        let (base, project) = (base.to_owned(), project.to_owned());
        Some((url.username().to_owned(), format!("{}{base}", url.origin().ascii_serialization()), project))
    });
    let Some((key, address, project)) = parts else { return String::new() };
    format!(
        "curl '{address}/api/{project}/store/' \\\n  -H 'Content-Type: application/json' \\\n  \
         -H 'X-Sentry-Auth: Sentry sentry_version=7, sentry_key={key}' \\\n  \
         -d '{{\"message\": \"Hello, glitchbox\", \"level\": \"error\"}}'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DSN: &str = "https://0123456789abcdef0123456789abcdef@errors.example.org:8443/sub/7";

    #[test]
    fn every_sdk_shows_the_dsn() {
        for sdk in Sdk::ALL.into_iter().filter(|sdk| *sdk != Sdk::Curl) {
            let steps = sdk.steps(DSN);
            assert!(steps.iter().any(|step| step.code.contains(DSN)), "{sdk:?}");
            assert!(steps.iter().all(|step| !step.code.contains("DSN_HERE")), "{sdk:?}");
        }
    }

    #[test]
    fn curl_takes_the_dsn_apart() {
        let code = &Sdk::Curl.steps(DSN)[0].code;
        assert!(code.contains("'https://errors.example.org:8443/sub/api/7/store/'"), "{code}");
        assert!(code.contains("sentry_key=0123456789abcdef0123456789abcdef'"), "{code}");
    }

    #[test]
    fn snippet_follows_the_platform() {
        assert_eq!(Sdk::for_platform("javascript-react"), Sdk::Browser);
        assert_eq!(Sdk::for_platform("node-express"), Sdk::Node);
        assert_eq!(Sdk::for_platform(""), Sdk::Python);
    }
}
