//! `glitchbox limit ...`

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use serde::Serialize;

use super::instance::{Instance, MAX_ROWS, with_instance};
use super::key::public_key;
use super::output::{Output, Row};
use crate::config::Config;
use crate::ids::RateLimitId;
use crate::store::rate_limit::{self, Allowance, Covers, MAX_WINDOW_S, RateLimit, Target};
use crate::store::{organization, project, project_key};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List limits.
    List {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        output: Output,
    },
    /// Let no more than so many items through in each window of time.
    Set {
        #[command(flatten)]
        whose: Whose,
        /// What it counts: `error` (events) or `all` (items of every kind).
        #[arg(long, default_value = "error", value_parser = parse_category)]
        category: Covers,
        /// How many.
        #[arg(long)]
        count: i64,
        /// In how much time: seconds, or a number with s, m, h or d behind it; up to 31d.
        #[arg(long, value_parser = parse_window)]
        window: i64,
        #[command(flatten)]
        output: Output,
    },
    /// Switch limits off.
    Clear {
        #[command(flatten)]
        whose: Whose,
        /// Only the one that counts this: `error` or `all`.
        #[arg(long, value_parser = parse_category)]
        category: Option<Covers>,
        #[command(flatten)]
        output: Output,
    },
}

/// Whose limits they are.
#[derive(Debug, clap::Args)]
pub(super) struct Whose {
    /// Of what is sent with this key (the public key, or a DSN that has it).
    #[arg(long, conflicts_with_all = ["project", "org"])]
    key: Option<String>,
    /// Of what is sent to this project (slug or number).
    #[arg(long)]
    project: Option<String>,
    /// Of what is sent to this organization (slug or number); beside --project: the project's organization.
    #[arg(long)]
    org: Option<String>,
}

impl Whose {
    async fn find(&self, instance: &Instance) -> anyhow::Result<Option<Target>> {
        if let Some(text) = &self.key {
            let name = public_key(text);
            let found = project_key::find(&instance.db, &name).await?;
            let key = found.ok_or_else(|| anyhow!("there is no key `{name}`; `glitchbox key list` shows all"))?;
            return Ok(Some(Target::Key(key.key_id)));
        }
        if let Some(slug) = &self.project {
            return Ok(Some(Target::Project(instance.project(self.org.as_deref(), slug).await?.id)));
        }
        match &self.org {
            Some(slug) => Ok(Some(Target::Organization(instance.organization(Some(slug)).await?.id))),
            None => Ok(None),
        }
    }

    async fn one(&self, instance: &Instance) -> anyhow::Result<Target> {
        self.find(instance).await?.ok_or_else(|| anyhow!("name what is limited with --key, --project or --org"))
    }
}

#[derive(Serialize)]
struct LimitView {
    id: RateLimitId,
    scope: &'static str,
    /// Slug of the project or organization, or the public key.
    name: String,
    category: &'static str,
    count: i64,
    window: i32,
}

impl Row for LimitView {
    const COLUMNS: &'static [&'static str] = &["scope", "name", "category", "count", "window"];

    fn cells(&self) -> Vec<String> {
        let seconds = format!("{} s", self.window);
        vec![self.scope.to_owned(), self.name.clone(), self.category.to_owned(), self.count.to_string(), seconds]
    }
}

pub(super) fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_instance(config, |instance| async move {
        match command {
            Command::List { whose, output } => {
                let limits = match whose.find(&instance).await? {
                    Some(target) => rate_limit::list_of_target(&instance.db, target).await?,
                    None => rate_limit::list(&instance.db, MAX_ROWS).await?,
                };
                output.rows(&views(&instance, &limits).await?)
            }
            Command::Set { whose, category, count, window, output } => {
                let Some(allowance) = Allowance::new(count, window) else {
                    bail!("the count must be at least 1, the window 1 to {MAX_WINDOW_S} seconds");
                };
                let target = whose.one(&instance).await?;
                let limit = rate_limit::set(&instance.db, target, category, allowance).await?;
                let view = view(&instance, &limit).await?;
                let items = if category == Covers::Error { "events" } else { "items of all kinds" };
                let text = format!("{} {}: at most {count} {items} in {window} s", view.scope, view.name);
                output.one(&view, &text)
            }
            Command::Clear { whose, category, output } => {
                let target = whose.one(&instance).await?;
                let limits = rate_limit::clear(&instance.db, target, category).await?;
                output.rows(&views(&instance, &limits).await?)
            }
        }
    })
}

async fn views(instance: &Instance, limits: &[RateLimit]) -> anyhow::Result<Vec<LimitView>> {
    let mut views = Vec::with_capacity(limits.len());
    for limit in limits {
        views.push(view(instance, limit).await?);
    }
    Ok(views)
}

async fn view(instance: &Instance, limit: &RateLimit) -> anyhow::Result<LimitView> {
    let (scope, name) = match limit.target {
        Target::Key(id) => ("key", project_key::find_by_id(&instance.db, id).await?.map(|key| key.public_key)),
        Target::Project(id) => ("project", project::find(&instance.db, id).await?.map(|project| project.slug)),
        Target::Organization(id) => {
            ("organization", organization::find(&instance.db, id).await?.map(|organization| organization.slug))
        }
    };
    Ok(LimitView {
        id: limit.id,
        scope,
        name: name.unwrap_or_default(),
        category: limit.covers.as_str(),
        count: limit.allowance.quantity,
        window: limit.allowance.window_s,
    })
}

/// For clap: what a limit counts.
fn parse_category(text: &str) -> Result<Covers, String> {
    Covers::parse(text).ok_or_else(|| "expected `error` or `all`".to_owned())
}

/// For clap: seconds, or a number with a unit.
fn parse_window(text: &str) -> Result<i64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let (number, seconds) =
        units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds))).unwrap_or((text, 1));
    let number: i64 = number.parse().map_err(|_| "expected seconds, or a number with s, m, h or d".to_owned())?;
    number.checked_mul(seconds).ok_or_else(|| "the window is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_seconds_or_a_number_with_a_unit() {
        for (text, seconds) in [("60", 60), ("90s", 90), ("5m", 300), ("1h", 3600), ("31d", 2_678_400)] {
            assert_eq!(parse_window(text), Ok(seconds), "{text}");
        }
        for text in ["", "d", "1w", "9223372036854775807d", "1.5h"] {
            assert!(parse_window(text).is_err(), "{text}");
        }
    }
}
