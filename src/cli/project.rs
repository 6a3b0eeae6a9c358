//! `glitchbox project ...`

use std::process::ExitCode;

use anyhow::anyhow;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::instance::{Instance, MAX_ROWS, parse_name, parse_slug, with_instance};
use super::output::{Output, Row};
use crate::config::Config;
use crate::ids::ProjectId;
use crate::store::project::{self, NewProject, Project};
use crate::store::{project_key, slug};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a project with a key; prints its DSN.
    Create {
        /// Name for people.
        #[arg(value_parser = parse_name)]
        name: String,
        /// Slug or number of its organization; not needed when there is only one.
        #[arg(long)]
        org: Option<String>,
        /// Name in addresses; made from the name unless given.
        #[arg(long, value_parser = parse_slug)]
        slug: Option<String>,
        /// What it is written with (`python`, `javascript-react`, ...).
        #[arg(long, default_value = "", hide_default_value = true)]
        platform: String,
        #[command(flatten)]
        output: Output,
    },
    /// List projects.
    List {
        /// Only those of this organization (slug or number).
        #[arg(long)]
        org: Option<String>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Serialize)]
struct ProjectView {
    id: ProjectId,
    slug: String,
    name: String,
    organization: String,
    platform: String,
    created_at: DateTime<Utc>,
    first_event_at: Option<DateTime<Utc>>,
    /// Only of a new project; `key list` has those of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    dsn: Option<String>,
}

impl ProjectView {
    fn new(project: Project, organization: String) -> Self {
        Self {
            id: project.id,
            slug: project.slug,
            name: project.name,
            organization,
            platform: project.platform,
            created_at: project.created_at,
            first_event_at: project.first_event_at,
            dsn: None,
        }
    }
}

impl Row for ProjectView {
    const COLUMNS: &'static [&'static str] = &["id", "organization", "slug", "name", "platform"];

    fn cells(&self) -> Vec<String> {
        let texts = [&self.organization, &self.slug, &self.name, &self.platform];
        [self.id.to_string()].into_iter().chain(texts.map(String::clone)).collect()
    }
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_instance(config, |instance| async move {
        match command {
            Command::Create { name, org, slug, platform, output } => {
                let slug = slug.unwrap_or_else(|| slug::from_name(&name, "project"));
                create(&instance, org.as_deref(), &slug, &name, &platform, output).await
            }
            Command::List { org, output } => {
                let rows = match &org {
                    Some(org) => {
                        let organization = instance.organization(Some(org)).await?;
                        project::list_of_organization(&instance.db, organization.id, None, MAX_ROWS).await?
                    }
                    None => project::list(&instance.db, None, MAX_ROWS).await?,
                };
                let slug_of = instance.organization_slugs().await?;
                let rows = rows.into_iter().map(|row| {
                    let organization = slug_of(&row);
                    ProjectView::new(row, organization)
                });
                output.rows(&rows.collect::<Vec<_>>())
            }
        }
    })
}

async fn create(
    instance: &Instance,
    org: Option<&str>,
    slug: &str,
    name: &str,
    platform: &str,
    output: Output,
) -> anyhow::Result<()> {
    let organization = instance.organization(org).await?;
    let public_url = instance.public_url().await?;
    let mut transaction = instance.db.begin().await?;
    let new = NewProject { organization_id: organization.id, slug, name, platform };
    let project = project::insert(&mut *transaction, new).await.map_err(|error| {
        if error.is_duplicate_of("project_organization_id_slug_key") {
            return anyhow!("{} already has a project `{slug}`; give another --slug", organization.slug);
        }
        error.into()
    })?;
    let key = project_key::insert(&mut *transaction, project.id, "Default").await?;
    transaction.commit().await?;
    let dsn = key.dsn(&public_url);
    let text = format!("project {slug} has been created; its DSN is {dsn}");
    output.one(&ProjectView { dsn: Some(dsn), ..ProjectView::new(project, organization.slug) }, &text)
}
