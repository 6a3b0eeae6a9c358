//! `glitchbox filter ...`

use std::process::ExitCode;

use serde::Serialize;

use super::instance::{Instance, with_instance};
use super::output::{Output, Row, yes_no};
use crate::config::Config;
use crate::protocol::{Filter, FilterSettings};
use crate::store::project::Project;
use crate::store::project_rules;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List a project's filters.
    List {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        output: Output,
    },
    /// Switch a filter on; `legacy-browsers`: for all that are old today.
    On {
        /// Its name, as `list` shows it.
        #[arg(value_parser = parse_filter)]
        filter: Filter,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        output: Output,
    },
    /// Switch a filter off, or empty its list.
    Off {
        /// Its name, as `list` shows it.
        #[arg(value_parser = parse_filter)]
        filter: Filter,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        output: Output,
    },
    /// Give a filter another list: browsers, patterns of messages or releases, addresses and networks.
    Set {
        /// Its name, as `list` shows it.
        #[arg(value_parser = parse_filter)]
        filter: Filter,
        /// What it holds back; takes the place of what was there.
        #[arg(required = true)]
        entries: Vec<String>,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        output: Output,
    },
}

/// Whose settings they are.
#[derive(Debug, clap::Args)]
pub(super) struct Whose {
    /// The project (slug or number).
    #[arg(long)]
    project: String,
    /// The project's organization (slug or number), when several have such a project.
    #[arg(long)]
    org: Option<String>,
}

impl Whose {
    pub(super) async fn find(&self, instance: &Instance) -> anyhow::Result<Project> {
        instance.project(self.org.as_deref(), &self.project).await
    }
}

#[derive(Serialize)]
struct FilterView {
    filter: &'static str,
    active: bool,
    /// Only of filters that have a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<String>>,
}

impl FilterView {
    fn of(filters: &FilterSettings, filter: Filter) -> Self {
        let entries = filter.is_list().then(|| filters.entries(filter).to_vec());
        Self { filter: filter.id(), active: filters.is_on(filter), entries }
    }

    fn list(&self) -> String {
        self.entries.as_deref().unwrap_or_default().join(", ")
    }
}

impl Row for FilterView {
    const COLUMNS: &'static [&'static str] = &["filter", "active", "entries"];

    fn cells(&self) -> Vec<String> {
        vec![self.filter.to_owned(), yes_no(self.active), self.list()]
    }
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_instance(config, |instance| async move {
        match command {
            Command::List { whose, output } => {
                let project = whose.find(&instance).await?;
                let filters = project_rules::find(&instance.db, project.id).await?.filters;
                let rows: Vec<FilterView> = Filter::ALL.iter().map(|one| FilterView::of(&filters, *one)).collect();
                output.rows(&rows)
            }
            Command::On { filter, whose, output } => {
                let set = |filters: &mut FilterSettings| Ok(filters.switch(filter, true)?);
                change(&instance, &whose, filter, output, set).await
            }
            Command::Off { filter, whose, output } => {
                let set = |filters: &mut FilterSettings| Ok(filters.switch(filter, false)?);
                change(&instance, &whose, filter, output, set).await
            }
            Command::Set { filter, entries, whose, output } => {
                let set =
                    |filters: &mut FilterSettings| Ok(filters.set_entries(filter, entries.iter().map(String::as_str))?);
                change(&instance, &whose, filter, output, set).await
            }
        }
    })
}

async fn change(
    instance: &Instance,
    whose: &Whose,
    filter: Filter,
    output: Output,
    set: impl FnOnce(&mut FilterSettings) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let project = whose.find(instance).await?;
    let rules = project_rules::change(&instance.db, project.id, |rules| set(&mut rules.filters)).await?;
    let view = FilterView::of(&rules.filters, filter);
    let state = match (view.active, view.entries.is_some()) {
        (false, _) => "off".to_owned(),
        (true, false) => "on".to_owned(),
        (true, true) => view.list(),
    };
    output.one(&view, &format!("project {}: {}: {state}", project.slug, filter.id()))
}

/// For clap: a filter.
fn parse_filter(text: &str) -> Result<Filter, String> {
    let names = || Filter::ALL.iter().map(|filter| filter.id()).collect::<Vec<_>>().join(", ");
    Filter::parse(text).ok_or_else(|| format!("expected one of {}", names()))
}
