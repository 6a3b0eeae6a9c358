//! `glitchbox user ...`

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::instance::{Instance, MAX_ROWS, Password, parse_email, parse_switch, with_instance};
use super::output::{Output, Row, yes_no};
use crate::config::Config;
use crate::ids::UserId;
use crate::store::StoreError;
use crate::store::member::{self, Role};
use crate::store::user::{self, NewUser, User, UserChange};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make an account; prints a generated password unless one comes on standard input.
    Create {
        /// E-mail address, with which the person signs in.
        #[arg(value_parser = parse_email)]
        email: String,
        /// Name for people.
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Owner of every organization.
        #[arg(long)]
        superuser: bool,
        /// Also make the user a member of this organization (slug or number).
        #[arg(long)]
        org: Option<String>,
        /// Role in that organization.
        #[arg(long, value_enum, default_value = "member")]
        role: RoleArg,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        output: Output,
    },
    /// List all accounts.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Show one account.
    Info {
        /// E-mail address of the account.
        email: String,
        #[command(flatten)]
        output: Output,
    },
    /// Change address, name or language.
    Update {
        /// E-mail address of the account.
        email: String,
        /// New address.
        #[arg(long = "email", value_parser = parse_email, value_name = "ADDRESS")]
        new_email: Option<String>,
        /// New name.
        #[arg(long)]
        name: Option<String>,
        /// Language of the pages; `auto` is what the browser asks for.
        #[arg(long, value_parser = ["en", "zh-CN", "auto"])]
        language: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Delete an account with its sessions, tokens and memberships.
    Delete {
        /// E-mail address of the account.
        email: String,
        #[command(flatten)]
        output: Output,
    },
    /// Make an account owner of everything, or no longer.
    Superuser {
        /// E-mail address of the account.
        email: String,
        /// `off` takes it back.
        #[arg(value_parser = parse_switch, action = clap::ArgAction::Set, default_value = "on", value_name = "on|off")]
        switch: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Let an account in, or lock it out.
    Active {
        /// E-mail address of the account.
        email: String,
        /// `off` takes it back.
        #[arg(value_parser = parse_switch, action = clap::ArgAction::Set, default_value = "on", value_name = "on|off")]
        switch: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Set a new password and end all sessions; prints a generated one unless one comes on standard input.
    ResetPassword {
        /// E-mail address of the account.
        email: String,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        output: Output,
    },
    /// List an account's organizations.
    Organizations {
        /// E-mail address of the account.
        email: String,
        #[command(flatten)]
        output: Output,
    },
}

/// A role, as an argument.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum RoleArg {
    Member,
    Admin,
    Owner,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Member => Self::Member,
            RoleArg::Admin => Self::Admin,
            RoleArg::Owner => Self::Owner,
        }
    }
}

#[derive(Serialize)]
struct UserView {
    id: UserId,
    email: String,
    name: String,
    is_active: bool,
    is_superuser: bool,
    language: String,
    created_at: DateTime<Utc>,
    last_login_at: Option<DateTime<Utc>>,
    /// Only where it was generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            is_active: user.is_active,
            is_superuser: user.is_superuser,
            language: user.language,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
            password: None,
        }
    }
}

impl Row for UserView {
    const COLUMNS: &'static [&'static str] = &["id", "email", "name", "active", "superuser", "last sign-in"];

    fn cells(&self) -> Vec<String> {
        let last_login = self.last_login_at.map(|at| at.format("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
        vec![
            self.id.to_string(),
            self.email.clone(),
            self.name.clone(),
            yes_no(self.is_active),
            yes_no(self.is_superuser),
            last_login,
        ]
    }
}

#[derive(Serialize)]
struct MembershipView {
    slug: String,
    name: String,
    role: Role,
}

impl Row for MembershipView {
    const COLUMNS: &'static [&'static str] = &["organization", "name", "role"];

    fn cells(&self) -> Vec<String> {
        vec![self.slug.clone(), self.name.clone(), self.role.as_str().to_owned()]
    }
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_instance(config, |instance| async move {
        match command {
            Command::Create { email, name, superuser, org, role, password_stdin, output } => {
                let new = Create { email, name, superuser, org, role: role.into(), password_stdin };
                create(&instance, new, output).await
            }
            Command::List { output } => {
                let users = user::list(&instance.db, None, MAX_ROWS).await?;
                output.rows(&users.into_iter().map(UserView::from).collect::<Vec<_>>())
            }
            Command::Info { email, output } => info(&instance, &email, output).await,
            Command::Update { email, new_email, name, language, output } => {
                let language = language.as_deref().map(|language| if language == "auto" { "" } else { language });
                let change = UserChange {
                    email: new_email.as_deref(),
                    name: name.as_deref(),
                    language,
                    ..UserChange::default()
                };
                change_user(&instance, &email, change, output, "has been changed").await
            }
            Command::Delete { email, output } => delete(&instance, &email, output).await,
            Command::Superuser { email, switch, output } => {
                let change = UserChange { is_superuser: Some(switch), ..UserChange::default() };
                let what = if switch { "is a superuser" } else { "is no superuser" };
                change_user(&instance, &email, change, output, what).await
            }
            Command::Active { email, switch, output } => {
                let change = UserChange { is_active: Some(switch), ..UserChange::default() };
                let what = if switch { "is active" } else { "is locked out" };
                change_user(&instance, &email, change, output, what).await
            }
            Command::ResetPassword { email, password_stdin, output } => {
                reset_password(&instance, &email, password_stdin, output).await
            }
            Command::Organizations { email, output } => {
                let user = instance.user(&email).await?;
                let rows = member::list_of_user(&instance.db, user.id, MAX_ROWS).await?.into_iter();
                let rows = rows.map(|row| MembershipView { slug: row.slug, name: row.name, role: row.role });
                output.rows(&rows.collect::<Vec<_>>())
            }
        }
    })
}

struct Create {
    email: String,
    name: String,
    superuser: bool,
    org: Option<String>,
    role: Role,
    password_stdin: bool,
}

async fn create(instance: &Instance, new: Create, output: Output) -> anyhow::Result<()> {
    let organization = match &new.org {
        Some(org) => Some(instance.organization(Some(org)).await?),
        None => None,
    };
    let password = Password::obtain(new.password_stdin).await?;
    let mut transaction = instance.db.begin().await?;
    let row = NewUser {
        email: &new.email,
        name: &new.name,
        password_hash: Some(&password.hash),
        is_superuser: new.superuser,
    };
    let user = user::insert(&mut *transaction, row).await.map_err(|error| taken(error, &new.email))?;
    if let Some(organization) = organization {
        member::upsert(&mut *transaction, organization.id, user.id, new.role).await?;
    }
    transaction.commit().await?;
    let text = format!("user {} has been created{}", user.email, password.sentence());
    output.one(&UserView { password: password.generated, ..user.into() }, &text)
}

async fn info(instance: &Instance, email: &str, output: Output) -> anyhow::Result<()> {
    let user = instance.user(email).await?;
    let last_login = user.last_login_at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339());
    let text = format!(
        "email         {}\nname          {}\nid            {}\nactive        {}\nsuperuser     {}\nlanguage      {}\n\
         created       {}\nlast sign-in  {last_login}",
        user.email,
        user.name,
        user.id,
        yes_no(user.is_active),
        yes_no(user.is_superuser),
        if user.language.is_empty() { "auto" } else { &user.language },
        user.created_at.to_rfc3339(),
    );
    output.one(&UserView::from(user), &text)
}

async fn change_user(
    instance: &Instance,
    email: &str,
    change: UserChange<'_>,
    output: Output,
    what: &str,
) -> anyhow::Result<()> {
    let user = instance.user(email).await?;
    if change.is_active == Some(false) || change.is_superuser == Some(false) {
        keep_one_superuser(instance, &user).await?;
    }
    let changed = user::update(&instance.db, user.id, change)
        .await
        .map_err(|error| taken(error, change.email.unwrap_or_default()))?
        .ok_or_else(|| anyhow!("the user `{email}` has just been deleted"))?;
    let text = format!("user {} {what}", changed.email);
    output.one(&UserView::from(changed), &text)
}

async fn delete(instance: &Instance, email: &str, output: Output) -> anyhow::Result<()> {
    let user = instance.user(email).await?;
    keep_one_superuser(instance, &user).await?;
    user::delete(&instance.db, user.id).await?;
    let text = format!("user {} has been deleted", user.email);
    output.one(&UserView::from(user), &text)
}

async fn reset_password(instance: &Instance, email: &str, from_stdin: bool, output: Output) -> anyhow::Result<()> {
    let user = instance.user(email).await?;
    let password = Password::obtain(from_stdin).await?;
    user::set_password(&instance.db, user.id, &password.hash).await?;
    let text = format!("user {} has a new password{}", user.email, password.sentence());
    output.one(&UserView { password: password.generated, ..user.into() }, &text)
}

/// An instance without an active superuser could not be managed from its pages any more.
async fn keep_one_superuser(instance: &Instance, user: &User) -> anyhow::Result<()> {
    let counts = user.is_superuser && user.is_active;
    if counts && user::count_other_superusers(&instance.db, user.id).await? == 0 {
        bail!("`{}` is the last active superuser; make another one first", user.email);
    }
    Ok(())
}

fn taken(error: StoreError, email: &str) -> anyhow::Error {
    if error.is_duplicate_of("app_user_email_key") {
        return anyhow!("there is already a user `{email}`");
    }
    error.into()
}
