//! `glitchbox migrate`: schema, partitions and, on an empty database, the first content. The supervisor runs it
//! before web and worker.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use chrono::{Days, Utc};
use sqlx::PgPool;

use super::block_on;
use crate::auth::password;
use crate::config::{Config, is_supervised};
use crate::store::member::{self, Role};
use crate::store::organization;
use crate::store::project::{self, NewProject};
use crate::store::schema::{self, SchemaError};
use crate::store::user::{self, NewUser};
use crate::store::{StoreError, instance, partition, pool, project_key};

/// A migration or the first content could not be put in place.
const EXIT_FAILED: u8 = 12;
/// The database belongs to a newer version.
const EXIT_NEWER: u8 = 13;
/// The database cannot be reached, can do nothing at the moment, or others were in the way: another time may be better
/// (`EX_TEMPFAIL`). Only the supervisor, which tries again, is told so; for people it has failed.
const EXIT_AWAY: u8 = 75;

/// Partitions are made from yesterday (the queue may hold what came before midnight) to a week ahead.
const DAYS_AHEAD: u64 = 7;

/// The file of the generated password, under `secrets/`.
pub(super) const ADMIN_PASSWORD_FILE: &str = "admin-password";

pub(super) fn run(config: &Config) -> ExitCode {
    let outcome = block_on(1, async {
        let options = pool::options(config)?;
        schema::migrate(&options).await?;
        let pool = pool::connect(config)?;
        let today = Utc::now().date_naive();
        partition::ensure(&pool, today - Days::new(1)..=today + Days::new(DAYS_AHEAD)).await?;
        first_content(&pool, config).await.context("set up the first organization")?;
        instance::set(&pool, instance::PUBLIC_URL, config.public_url.as_str()).await?;
        pool.close().await;
        Ok(())
    });
    match outcome {
        Ok(()) => {
            println!("The database is up to date (migration {}).", schema::newest());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("glitchbox migrate: {error:#}");
            let code = exit_code(error);
            ExitCode::from(if code == EXIT_AWAY && !is_supervised() { EXIT_FAILED } else { code })
        }
    }
}

fn exit_code(error: anyhow::Error) -> u8 {
    match error.downcast::<SchemaError>() {
        Ok(SchemaError::Newer(..)) => EXIT_NEWER,
        Ok(SchemaError::Store(error)) if error.is_retryable() => EXIT_AWAY,
        Ok(_) => EXIT_FAILED,
        Err(error) => {
            let error = error.downcast::<sqlx::Error>().map(StoreError::from).or_else(anyhow::Error::downcast);
            if error.is_ok_and(|error| error.is_retryable()) { EXIT_AWAY } else { EXIT_FAILED }
        }
    }
}

/// Organization and project `default`, a key and the administrator, unless there is an organization already. The
/// password is on disk before the account exists, so no interruption leaves an account nobody can enter.
async fn first_content(pool: &PgPool, config: &Config) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    organization::lock_first_boot(&mut transaction).await?;
    if organization::count(&mut *transaction).await? > 0 {
        return Ok(());
    }
    let organization = organization::insert(&mut *transaction, "default", "Default").await?;
    let new = NewProject { organization_id: organization.id, slug: "default", name: "Default", platform: "" };
    let project = project::insert_first(&mut transaction, new).await?;
    project_key::insert(&mut *transaction, project.id, "Default").await?;

    let admin = if let Some(admin) = user::find_by_email(&mut *transaction, &config.admin_email).await? {
        admin
    } else {
        let password = if let Some(given) = &config.admin_password {
            given.expose().to_owned()
        } else {
            let generated = password::generate();
            write_password(&config.secret_path(ADMIN_PASSWORD_FILE), &generated)?;
            generated
        };
        let hash = password::hash(password).await?;
        let new = NewUser { email: &config.admin_email, name: "", password_hash: Some(&hash), is_superuser: true };
        user::insert(&mut *transaction, new).await?
    };
    member::upsert(&mut *transaction, organization.id, admin.id, Role::Owner).await?;
    transaction.commit().await?;
    Ok(())
}

/// Puts the password in place whole, and on disk, readable by the owner only.
fn write_password(path: &Path, password: &str) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("create {}", directory.display()))?;
    let unfinished = path.with_extension("new");
    if let Err(error) = fs::remove_file(&unfinished)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("remove {}", unfinished.display()));
    }
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(password.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        fs::File::open(directory)?.sync_all()
    };
    write().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_database_that_is_away_is_told_from_one_that_cannot_be_migrated() {
        let away = || sqlx::Error::Io(io::Error::from(io::ErrorKind::ConnectionRefused));
        let later = [
            anyhow::Error::from(SchemaError::from(StoreError::from(away()))),
            anyhow::Error::from(StoreError::from(away())).context("set up the first organization"),
            anyhow::Error::from(away()),
        ];
        assert_eq!(later.map(exit_code), [EXIT_AWAY; 3]);
        assert_eq!(exit_code(SchemaError::Newer(9, 8).into()), EXIT_NEWER);
        assert_eq!(exit_code(SchemaError::from(StoreError::Settings("no".to_owned())).into()), EXIT_FAILED);
        assert_eq!(exit_code(io::Error::from(io::ErrorKind::NotFound).into()), EXIT_FAILED);
    }
}
