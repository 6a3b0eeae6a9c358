//! The instance an admin command works on, found through `DATA_DIR` or `DATABASE_URL`; and how its arguments are
//! read.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use sqlx::PgPool;
use url::Url;

use super::block_on;
use crate::auth::password;
use crate::config::{Config, environment};
use crate::store::organization::{self, Organization};
use crate::store::project::{self, Project};
use crate::store::user::{self, PasswordHash, User};
use crate::store::{self, instance, pool, slug};

/// More rows than any list of an admin command is read for by a person.
pub(super) const MAX_ROWS: i64 = 10_000;

/// An open instance.
pub(super) struct Instance {
    pub(super) db: PgPool,
    pub(super) config: Config,
}

/// Runs an admin command: 0 when it did what was asked, 1 with a message otherwise.
pub(super) fn with_instance<F>(config: Config, command: impl FnOnce(Instance) -> F) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<()>>,
{
    block_on(1, async {
        pool::probe(&config).await.with_context(|| match &config.database_url {
            Some(_) => "cannot reach the instance at DATABASE_URL".to_owned(),
            None => format!("cannot reach the instance in {} (is it running?)", config.data_dir_shown.display()),
        })?;
        let db = pool::connect(&config)?;
        let instance = Instance { db: db.clone(), config };
        let outcome = command(instance).await;
        db.close().await;
        outcome.map(|()| ExitCode::SUCCESS)
    })
}

impl Instance {
    /// The public address: as the environment says, else as the instance was last started with.
    pub(super) async fn public_url(&self) -> anyhow::Result<Url> {
        let is_set = |name| environment(name).is_some_and(|value| !value.trim().is_empty());
        if is_set("GLITCHTIP_DOMAIN") || is_set("PORT") {
            return Ok(self.config.public_url.clone());
        }
        let noted = instance::find(&self.db, instance::PUBLIC_URL).await?;
        Ok(noted.and_then(|text| Url::parse(&text).ok()).unwrap_or_else(|| self.config.public_url.clone()))
    }

    /// The user with this address.
    pub(super) async fn user(&self, email: &str) -> anyhow::Result<User> {
        let found = user::find_by_email(&self.db, email).await?;
        found.ok_or_else(|| anyhow!("there is no user `{email}`; `glitchbox user list` shows all"))
    }

    /// The organization with this slug or number; without one, the only organization there is.
    pub(super) async fn organization(&self, slug_or_id: Option<&str>) -> anyhow::Result<Organization> {
        if let Some(text) = slug_or_id {
            let found = organization::find_by_slug_or_id(&self.db, text).await?;
            return found.ok_or_else(|| anyhow!("there is no organization `{text}`; `glitchbox org list` shows all"));
        }
        let mut all = organization::list(&self.db, None, 2).await?;
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => bail!("there is no organization yet: make one with `glitchbox org create`"),
            _ => bail!("there are several organizations: name one with --org"),
        }
    }

    /// The project with this slug or number. Without an organization, the slug must be the only one of its kind.
    pub(super) async fn project(&self, organization: Option<&str>, slug_or_id: &str) -> anyhow::Result<Project> {
        let missing = || anyhow!("there is no project `{slug_or_id}`; `glitchbox project list` shows all");
        if organization.is_some() {
            let organization = self.organization(organization).await?;
            let found = project::find_by_slug_or_id(&self.db, organization.id, slug_or_id).await?;
            return found.ok_or_else(missing);
        }
        if let Ok(id) = slug_or_id.parse() {
            return project::find(&self.db, id).await?.ok_or_else(missing);
        }
        let mut all = project::list(&self.db, None, MAX_ROWS).await?;
        all.retain(|project| project.slug == slug_or_id);
        let found = all.pop().ok_or_else(missing)?;
        if !all.is_empty() {
            bail!("several organizations have a project `{slug_or_id}`: name one with --org");
        }
        Ok(found)
    }

    /// The slug of each organization.
    pub(super) async fn organization_slugs(&self) -> store::Result<impl Fn(&Project) -> String + use<>> {
        let all = organization::list(&self.db, None, MAX_ROWS).await?;
        Ok(move |project: &Project| {
            all.iter().find(|one| one.id == project.organization_id).map(|one| one.slug.clone()).unwrap_or_default()
        })
    }
}

/// A password that is set: given on standard input, or made up (and then to be shown once).
pub(super) struct Password {
    pub(super) hash: PasswordHash,
    pub(super) generated: Option<String>,
}

impl Password {
    /// Reads or makes a password. Never taken from the command line, where every process could read it.
    pub(super) async fn obtain(from_stdin: bool) -> anyhow::Result<Self> {
        if !from_stdin {
            let generated = password::generate();
            return Ok(Self { hash: password::hash(generated.clone()).await?, generated: Some(generated) });
        }
        let mut text = String::new();
        std::io::stdin().take(4096).read_to_string(&mut text).context("read the password from standard input")?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.chars().count() < password::MIN_LENGTH {
            bail!("the password must have at least {} characters", password::MIN_LENGTH);
        }
        Ok(Self { hash: password::hash(text.to_owned()).await?, generated: None })
    }

    /// `; its password is ...` when it was made up.
    pub(super) fn sentence(&self) -> String {
        self.generated.as_ref().map(|text| format!("; the password is {text}")).unwrap_or_default()
    }
}

/// For clap: an e-mail address, in lower case.
pub(super) fn parse_email(text: &str) -> Result<String, String> {
    let email = user::normalize_email(text);
    let sound = email.parse::<lettre::Address>().is_ok() && !email.contains(char::is_whitespace) && email.len() <= 254;
    if sound { Ok(email) } else { Err("not an e-mail address".to_owned()) }
}

/// Checks a name on the command line: something to show in lists.
pub(super) fn parse_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() { Err("a name cannot be empty") } else { Ok(name.to_owned()) }
}

/// For clap: a slug.
pub(super) fn parse_slug(text: &str) -> Result<String, slug::InvalidSlug> {
    slug::check(text).map(str::to_owned)
}

/// For clap: `on` or `off`.
pub(super) fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "yes" | "true" => Ok(true),
        "off" | "no" | "false" => Ok(false),
        _ => Err("expected `on` or `off`".to_owned()),
    }
}
