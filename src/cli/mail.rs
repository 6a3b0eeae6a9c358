//! `glitchbox mail ...`

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use uuid::Uuid;

use super::block_on;
use super::instance::parse_email;
use crate::alert::content::{self, Content};
use crate::alert::mail;
use crate::config::{Config, MailTransport};
use crate::jobs::send_alerts::transport::{Parcel, Transport};
use crate::store::alert::RecipientKind;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Send a mail by the settings of the environment, and say how the mail server took it.
    Test {
        /// Whom to.
        #[arg(long, value_name = "ADDRESS", value_parser = parse_email)]
        to: String,
    },
}

pub(super) fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    let Command::Test { to } = command;
    let content = content::trial(config.public_base());
    let by = match &config.mail {
        MailTransport::Nowhere => bail!("EMAIL_URL is not set, so no mail is sent"),
        MailTransport::Log => {
            println!("{}", mail::text(&content).trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        MailTransport::Smtp(server) => format!("{}:{}", server.host, server.port),
    };
    block_on(1, async { send(config, &content, &to).await.map_err(|error| anyhow!("{by}: {error}")) })?;
    println!("{by} took a mail from {} to {to}", config.mail_from.email);
    Ok(ExitCode::SUCCESS)
}

async fn send(config: &Config, content: &Content, to: &str) -> Result<(), String> {
    let id = format!("test.{}", Uuid::new_v4());
    let parcel = Parcel {
        kind: RecipientKind::Email,
        destination: to,
        secret: None,
        content,
        id: &id,
        thread: None,
        alerts_page: None,
        list: "test".to_owned(),
    };
    Transport::new(config).send(&parcel).await.map_err(|unsent| unsent.why)
}
