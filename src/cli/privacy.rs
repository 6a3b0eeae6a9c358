//! `glitchbox privacy ...`

use std::process::ExitCode;

use anyhow::bail;
use serde::Serialize;

use super::filter::Whose;
use super::instance::{parse_switch, with_instance};
use super::output::{Output, yes_no};
use crate::config::Config;
use crate::protocol::PrivacySettings;
use crate::protocol::privacy_settings::field_names;
use crate::store::project_rules;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what is taken out of what is sent to a project.
    Show {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        output: Output,
    },
    /// Change it; what is not named stays.
    Set {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        change: Change,
        #[command(flatten)]
        output: Output,
    },
}

/// What is to change.
#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// Take secrets out at all: `on` or `off`.
    #[arg(long, value_parser = parse_switch)]
    scrub_data: Option<bool>,
    /// Know names and forms of secrets without being told: `on` or `off`.
    #[arg(long, value_parser = parse_switch)]
    scrub_defaults: Option<bool>,
    /// Look into the values of exceptions, too: `on` or `off`.
    #[arg(long, value_parser = parse_switch)]
    scrub_exception_values: Option<bool>,
    /// Store no IP addresses: `on` or `off`.
    #[arg(long, value_parser = parse_switch)]
    scrub_ip_addresses: Option<bool>,
    /// More names of secrets, with commas between them; empty for none.
    #[arg(long)]
    sensitive_fields: Option<String>,
    /// Names whose values stay, with commas between them; empty for none.
    #[arg(long)]
    safe_fields: Option<String>,
}

impl Change {
    fn is_nothing(&self) -> bool {
        let switches = [self.scrub_data, self.scrub_defaults, self.scrub_exception_values, self.scrub_ip_addresses];
        switches.iter().all(Option::is_none) && self.sensitive_fields.is_none() && self.safe_fields.is_none()
    }

    fn apply(&self, privacy: &mut PrivacySettings) -> anyhow::Result<()> {
        for (switch, value) in [
            (&mut privacy.scrub_data, self.scrub_data),
            (&mut privacy.scrub_defaults, self.scrub_defaults),
            (&mut privacy.scrub_exception_values, self.scrub_exception_values),
            (&mut privacy.scrub_ip_addresses, self.scrub_ip_addresses),
        ] {
            *switch = value.unwrap_or(*switch);
        }
        if let Some(names) = &self.sensitive_fields {
            privacy.sensitive_fields = field_names("--sensitive-fields", names.split(','))?;
        }
        if let Some(names) = &self.safe_fields {
            privacy.safe_fields = field_names("--safe-fields", names.split(','))?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct PrivacyView {
    project: String,
    #[serde(flatten)]
    privacy: PrivacySettings,
}

impl PrivacyView {
    fn text(&self) -> String {
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let lines = [
            ("secrets are taken out", yes_no(self.privacy.scrub_data)),
            ("by the built-in rules", yes_no(self.privacy.scrub_defaults)),
            ("in values of exceptions", yes_no(self.privacy.scrub_exception_values)),
            ("no IP addresses", yes_no(self.privacy.scrub_ip_addresses)),
            ("sensitive fields", list(&self.privacy.sensitive_fields)),
            ("safe fields", list(&self.privacy.safe_fields)),
        ];
        let lines = lines.map(|(name, value)| format!("{name:<23}  {value}"));
        format!("project {}\n{}", self.project, lines.join("\n"))
    }
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_instance(config, |instance| async move {
        let (project, privacy, output) = match command {
            Command::Show { whose, output } => {
                let project = whose.find(&instance).await?;
                let privacy = project_rules::find(&instance.db, project.id).await?.privacy;
                (project, privacy, output)
            }
            Command::Set { whose, change, output } => {
                if change.is_nothing() {
                    bail!("name what is to change; `glitchbox privacy set --help` lists it");
                }
                let project = whose.find(&instance).await?;
                let set = |rules: &mut project_rules::ProjectRules| change.apply(&mut rules.privacy);
                let privacy = project_rules::change(&instance.db, project.id, set).await?.privacy;
                (project, privacy, output)
            }
        };
        let view = PrivacyView { project: project.slug, privacy };
        output.one(&view, &view.text())
    })
}
