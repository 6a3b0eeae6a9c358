//! `glitchbox maintenance`: removes now what the worker removes once a day.

use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::Utc;

use super::instance::with_instance;
use super::output::{Output, Row};
use crate::config::Config;
use crate::jobs::{clean_up, remove_files};
use crate::store::job_run;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
}

impl Row for clean_up::Removed {
    const COLUMNS: &'static [&'static str] = &["what", "removed", "error"];

    fn cells(&self) -> Vec<String> {
        vec![self.what.to_owned(), self.removed.to_string(), self.error.clone().unwrap_or_default()]
    }
}

pub(super) fn run(args: &Args, config: Config) -> anyhow::Result<ExitCode> {
    let output = args.output;
    with_instance(config, async move |instance| {
        let Some(turn) = job_run::take_turn(&instance.db, clean_up::NAME).await? else {
            bail!("a worker is cleaning up at this moment; there is nothing to do");
        };
        let mut all = clean_up::remove_all(&instance.db, &instance.config).await;
        let config = instance.config.clone();
        let files = tokio::task::spawn_blocking(move || remove_files::remove_old(&config));
        let outcome = clean_up::sum_up(&all);
        match &outcome {
            Ok(()) => turn.succeeded().await?,
            Err(error) => turn.failed(Utc::now(), &format!("{error:#}")).await?,
        }
        all.push(files.await.context("look through the files")?);
        output.rows(&all)?;
        clean_up::sum_up(&all)
    })
}
