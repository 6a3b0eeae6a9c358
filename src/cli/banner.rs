//! `glitchbox banner`: what somebody who has just started the instance wants to know. The supervisor runs it once
//! everything is ready.

use std::fmt::Write;
use std::process::ExitCode;

use super::block_on;
use super::migrate::ADMIN_PASSWORD_FILE;
use crate::config::Config;
use crate::ids::ProjectId;
use crate::store::{pool, project_key, user};

/// The project made at first boot.
const FIRST_PROJECT: ProjectId = ProjectId(1);

pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    block_on(1, async {
        let pool = pool::connect(config)?;
        let admin = user::first_superuser(&pool).await?;
        let keys = project_key::list_of_project(&pool, FIRST_PROJECT, None, 100).await?;
        let mut text = format!("\n  glitchbox is ready\n\n  URL    {}\n", config.public_base());
        if let Some(admin) = admin {
            write!(text, "  Admin  {}", admin.email)?;
            if config.secret_path(ADMIN_PASSWORD_FILE).exists() {
                let shown = config.data_dir_shown.join("secrets").join(ADMIN_PASSWORD_FILE);
                write!(text, " (first password: {})", shown.display())?;
            }
            text.push('\n');
        }
        if let Some(key) = keys.iter().find(|key| key.is_active) {
            writeln!(text, "  DSN    {}", key.dsn(&config.public_url))?;
        }
        println!("{text}");
        pool.close().await;
        Ok(ExitCode::SUCCESS)
    })
}
