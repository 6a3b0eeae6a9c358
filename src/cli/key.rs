//! `glitchbox key ...`

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::anyhow;
use chrono::{DateTime, Utc};
use serde::Serialize;
use url::Url;

use super::instance::{Instance, MAX_ROWS, with_instance};
use super::output::{Output, Row, yes_no};
use crate::config::Config;
use crate::ids::{ProjectId, ProjectKeyId};
use crate::store::project::{self, Project};
use crate::store::project_key::{self, ProjectKey};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List keys with their DSNs.
    List {
        /// Only those of this project (slug or number).
        #[arg(long)]
        project: Option<String>,
        /// The project's organization, when several have a project of that slug.
        #[arg(long)]
        org: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Make another key for a project.
    Create {
        /// Slug or number of the project.
        #[arg(long)]
        project: String,
        /// The project's organization, when several have a project of that slug.
        #[arg(long)]
        org: Option<String>,
        /// Name for people.
        #[arg(long, default_value = "Default")]
        label: String,
        #[command(flatten)]
        output: Output,
    },
    /// Refuse events sent with a key.
    Disable {
        /// The public key, or a DSN that has it.
        key: String,
        #[command(flatten)]
        output: Output,
    },
    /// Take events sent with a key again.
    Enable {
        /// The public key, or a DSN that has it.
        key: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Serialize)]
struct KeyView {
    id: ProjectKeyId,
    organization: String,
    project: String,
    project_id: ProjectId,
    label: String,
    public_key: String,
    is_active: bool,
    created_at: DateTime<Utc>,
    dsn: String,
}

impl KeyView {
    fn new(key: ProjectKey, project: &Project, organization: String, public_url: &Url) -> Self {
        Self {
            dsn: key.dsn(public_url),
            id: key.id,
            organization,
            project: project.slug.clone(),
            project_id: key.project_id,
            label: key.label,
            public_key: key.public_key,
            is_active: key.is_active,
            created_at: key.created_at,
        }
    }
}

impl Row for KeyView {
    const COLUMNS: &'static [&'static str] = &["organization", "project", "label", "active", "dsn"];

    fn cells(&self) -> Vec<String> {
        let texts = [self.organization.clone(), self.project.clone(), self.label.clone()];
        texts.into_iter().chain([yes_no(self.is_active), self.dsn.clone()]).collect()
    }
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_instance(config, |instance| async move {
        match command {
            Command::List { project, org, output } => {
                let keys = match &project {
                    Some(slug) => {
                        let project = instance.project(org.as_deref(), slug).await?;
                        project_key::list_of_project(&instance.db, project.id, None, MAX_ROWS).await?
                    }
                    None => project_key::list(&instance.db, None, MAX_ROWS).await?,
                };
                output.rows(&views(&instance, keys).await?)
            }
            Command::Create { project, org, label, output } => {
                let project = instance.project(org.as_deref(), &project).await?;
                let key = project_key::insert(&instance.db, project.id, &label).await?;
                show(&instance, key, output, "has been created").await
            }
            Command::Disable { key, output } => set_active(&instance, &key, false, output).await,
            Command::Enable { key, output } => set_active(&instance, &key, true, output).await,
        }
    })
}

async fn set_active(instance: &Instance, key: &str, is_active: bool, output: Output) -> anyhow::Result<()> {
    let public_key = public_key(key);
    let found = project_key::set_active(&instance.db, &public_key, is_active).await?;
    let found = found.ok_or_else(|| anyhow!("there is no key `{public_key}`; `glitchbox key list` shows all"))?;
    show(instance, found, output, if is_active { "has been enabled" } else { "has been disabled" }).await
}

async fn show(instance: &Instance, key: ProjectKey, output: Output, what: &str) -> anyhow::Result<()> {
    let view = views(instance, vec![key]).await?.pop().ok_or_else(|| anyhow!("its project has just been deleted"))?;
    output.one(&view, &format!("key {} of project {} {what}; DSN {}", view.public_key, view.project, view.dsn))
}

async fn views(instance: &Instance, keys: Vec<ProjectKey>) -> anyhow::Result<Vec<KeyView>> {
    let public_url = instance.public_url().await?;
    let slug_of = instance.organization_slugs().await?;
    let projects = project::list(&instance.db, None, MAX_ROWS).await?;
    let projects: HashMap<ProjectId, Project> = projects.into_iter().map(|project| (project.id, project)).collect();
    let view = |key: ProjectKey| {
        let project = projects.get(&key.project_id)?;
        Some(KeyView::new(key, project, slug_of(project), &public_url))
    };
    Ok(keys.into_iter().filter_map(view).collect())
}

/// The key out of a DSN, or the text itself; dashes and case do not matter.
pub(super) fn public_key(text: &str) -> String {
    let key = Url::parse(text).ok().map(|url| url.username().to_owned()).filter(|name| !name.is_empty());
    key.unwrap_or_else(|| text.to_owned()).replace('-', "").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_itself_or_by_its_dsn() {
        let key = "0123456789abcdef0123456789abcdef";
        assert_eq!(public_key(key), key);
        assert_eq!(public_key(&format!("http://{key}@localhost:8000/1")), key);
        assert_eq!(public_key("01234567-89AB-CDEF-0123-456789ABCDEF"), key);
    }
}
