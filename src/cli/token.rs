//! `glitchbox token ...`

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::instance::with_instance;
use super::output::Output;
use crate::auth::api_token;
use crate::auth::permission::{UnknownScope, parse_scopes};
use crate::config::Config;
use crate::ids::TokenId;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a token for the API and print it: it is shown this once.
    Create {
        /// Whom it stands for.
        #[arg(long, value_name = "EMAIL")]
        user: String,
        /// What it may do: scopes separated by commas, such as `event:read,project:read,org:read`.
        #[arg(long, value_name = "SCOPES", value_parser = Scopes::parse, required = true)]
        scope: Vec<Scopes>,
        /// Name for people.
        #[arg(long, default_value = "", hide_default_value = true)]
        label: String,
        #[command(flatten)]
        output: Output,
    },
}

/// One `--scope` argument.
#[derive(Debug, Clone)]
pub(super) struct Scopes(Vec<String>);

impl Scopes {
    fn parse(text: &str) -> Result<Self, UnknownScope> {
        parse_scopes(text).map(Self)
    }
}

#[derive(Serialize)]
struct TokenView<'a> {
    id: TokenId,
    token: &'a str,
    user: &'a str,
    label: &'a str,
    scopes: &'a [String],
    created_at: DateTime<Utc>,
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    let Command::Create { user, scope, label, output } = command;
    with_instance(config, |instance| async move {
        let scopes: Vec<String> = scope.into_iter().flat_map(|scopes| scopes.0).collect();
        let scopes = parse_scopes(&scopes.join(","))?;
        anyhow::ensure!(!scopes.is_empty(), "a token without a scope can do nothing: give at least one with --scope");
        let user = instance.user(&user).await?;
        let (token, row) = api_token::create(&instance.db, user.id, &label, &scopes).await?;
        let view = TokenView {
            id: row.id,
            token: token.expose(),
            user: &user.email,
            label: &row.label,
            scopes: &row.scopes,
            created_at: row.created_at,
        };
        output.one(&view, token.expose())
    })
}
