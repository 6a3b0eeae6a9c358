//! `glitchbox token ...`

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::instance::{Instance, MAX_ROWS, with_instance};
use super::output::{Output, Row};
use crate::auth::api_token;
use crate::auth::permission::{UnknownScope, parse_scopes};
use crate::config::Config;
use crate::ids::TokenId;
use crate::store;

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
    /// List the tokens of a user; the tokens themselves are not kept.
    List {
        /// Whose.
        #[arg(long, value_name = "EMAIL")]
        user: String,
        #[command(flatten)]
        output: Output,
    },
    /// Withdraw a token.
    Revoke {
        /// Whose it is.
        #[arg(long, value_name = "EMAIL")]
        user: String,
        /// Its number, as `token list` shows it.
        id: TokenId,
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

/// A token that has just been made.
#[derive(Serialize)]
struct NewTokenView<'a> {
    id: TokenId,
    token: &'a str,
    user: &'a str,
    label: &'a str,
    scopes: &'a [String],
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct TokenView {
    id: TokenId,
    label: String,
    scopes: Vec<String>,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
}

impl Row for TokenView {
    const COLUMNS: &'static [&'static str] = &["id", "label", "scopes", "created", "last used"];

    fn cells(&self) -> Vec<String> {
        let day = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
        let used = self.last_used_at.map_or_else(|| "never".to_owned(), day);
        vec![self.id.to_string(), self.label.clone(), self.scopes.join(","), day(self.created_at), used]
    }
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_instance(config, |instance| async move {
        match command {
            Command::Create { user, scope, label, output } => create(&instance, &user, scope, &label, output).await,
            Command::List { user, output } => {
                let user = instance.user(&user).await?;
                let tokens = store::api_token::list_of_user(&instance.db, user.id, None, MAX_ROWS).await?;
                let views = tokens.into_iter().map(|token| TokenView {
                    id: token.id,
                    label: token.label,
                    scopes: token.scopes,
                    created_at: token.created_at,
                    last_used_at: token.last_used_at,
                });
                output.rows(&views.collect::<Vec<_>>())
            }
            Command::Revoke { user, id, output } => {
                let user = instance.user(&user).await?;
                let is_gone = store::api_token::delete(&instance.db, user.id, id).await?;
                anyhow::ensure!(is_gone, "user {} has no token {id}; `glitchbox token list` shows all", user.email);
                let revoked = serde_json::json!({ "id": id, "user": user.email, "revoked": true });
                output.one(&revoked, &format!("token {id} of user {} is no longer valid", user.email))
            }
        }
    })
}

async fn create(
    instance: &Instance,
    user: &str,
    scope: Vec<Scopes>,
    label: &str,
    output: Output,
) -> anyhow::Result<()> {
    let scopes: Vec<String> = scope.into_iter().flat_map(|scopes| scopes.0).collect();
    let scopes = parse_scopes(&scopes.join(","))?;
    anyhow::ensure!(!scopes.is_empty(), "a token without a scope can do nothing: give at least one with --scope");
    let user = instance.user(user).await?;
    let (token, row) = api_token::create(&instance.db, user.id, label, &scopes).await?;
    let view = NewTokenView {
        id: row.id,
        token: token.expose(),
        user: &user.email,
        label: &row.label,
        scopes: &row.scopes,
        created_at: row.created_at,
    };
    output.one(&view, token.expose())
}
