//! `glitchbox org ...`

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::instance::{MAX_ROWS, parse_name, parse_slug, with_instance};
use super::output::{Output, Row};
use super::user::RoleArg;
use crate::config::Config;
use crate::ids::OrganizationId;
use crate::store::member::{self, Role};
use crate::store::organization::{self, Organization};
use crate::store::slug;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make an organization.
    Create {
        /// Name for people.
        #[arg(value_parser = parse_name)]
        name: String,
        /// Name in addresses; made from the name unless given.
        #[arg(long, value_parser = parse_slug)]
        slug: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// List all organizations.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Make a user a member, or change the role of one.
    AddUser {
        /// Slug or number of the organization.
        org: String,
        /// E-mail address of the user's account.
        email: String,
        /// Role in the organization.
        #[arg(long, value_enum, default_value = "member")]
        role: RoleArg,
        #[command(flatten)]
        output: Output,
    },
    /// End a membership.
    RemoveUser {
        /// Slug or number of the organization.
        org: String,
        /// E-mail address of the user's account.
        email: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Serialize)]
struct OrganizationView {
    id: OrganizationId,
    slug: String,
    name: String,
    created_at: DateTime<Utc>,
}

impl From<Organization> for OrganizationView {
    fn from(row: Organization) -> Self {
        Self { id: row.id, slug: row.slug, name: row.name, created_at: row.created_at }
    }
}

impl Row for OrganizationView {
    const COLUMNS: &'static [&'static str] = &["id", "slug", "name"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string(), self.slug.clone(), self.name.clone()]
    }
}

#[derive(Serialize)]
struct MemberView<'a> {
    organization: &'a str,
    email: &'a str,
    role: Option<Role>,
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_instance(config, |instance| async move {
        match command {
            Command::Create { name, slug, output } => {
                let slug = slug.unwrap_or_else(|| slug::from_name(&name, "organization"));
                let created = organization::insert(&instance.db, &slug, &name).await.map_err(|error| {
                    if error.is_duplicate_of("organization_slug_key") {
                        return anyhow!("there is already an organization `{slug}`; give another --slug");
                    }
                    error.into()
                })?;
                output.one(&OrganizationView::from(created), &format!("organization {slug} has been created"))
            }
            Command::List { output } => {
                let rows = organization::list(&instance.db, None, MAX_ROWS).await?;
                output.rows(&rows.into_iter().map(OrganizationView::from).collect::<Vec<_>>())
            }
            Command::AddUser { org, email, role, output } => {
                let (organization, user) = (instance.organization(Some(&org)).await?, instance.user(&email).await?);
                let member = member::upsert(&instance.db, organization.id, user.id, role.into()).await?;
                let text = format!("{} is {} of {}", user.email, member.role.as_str(), organization.slug);
                let view = MemberView { organization: &organization.slug, email: &user.email, role: Some(member.role) };
                output.one(&view, &text)
            }
            Command::RemoveUser { org, email, output } => {
                let (organization, user) = (instance.organization(Some(&org)).await?, instance.user(&email).await?);
                if !member::delete(&instance.db, organization.id, user.id).await? {
                    bail!("{} is no member of {}", user.email, organization.slug);
                }
                let text = format!("{} is no longer a member of {}", user.email, organization.slug);
                output.one(&MemberView { organization: &organization.slug, email: &user.email, role: None }, &text)
            }
        }
    })
}
