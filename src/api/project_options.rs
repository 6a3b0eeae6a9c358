//! What is set for a project beside its name: what is taken out of what is sent, and the filters that Sentry has among a
//! project's options.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::access;
use super::caller::Caller;
use super::params::{JsonBody, PathParts};
use super::projects;
use crate::app::App;
use crate::http::ApiError;
use crate::protocol::Filter;
use crate::protocol::privacy_settings::field_names;
use crate::store::project_rules::{self, ProjectRules};

/// Options and their filters: lists, one entry a line, and switches.
const OPTIONS: [(&str, Filter); 6] = [
    ("filters:blacklisted_ips", Filter::ClientIps),
    ("filters:chunk-load-error", Filter::ChunkLoadErrors),
    ("filters:error_messages", Filter::ErrorMessages),
    ("filters:react-hydration-errors", Filter::HydrationErrors),
    ("filters:releases", Filter::Releases),
    ("sentry:csp_ignored_sources", Filter::CspSources),
];

/// What is to change; what is missing stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Given {
    data_scrubber: Option<bool>,
    data_scrubber_defaults: Option<bool>,
    scrub_exception_values: Option<bool>,
    #[serde(rename = "scrubIPAddresses")]
    scrub_ip_addresses: Option<bool>,
    sensitive_fields: Option<Vec<String>>,
    safe_fields: Option<Vec<String>>,
    #[serde(default)]
    options: BTreeMap<String, Value>,
}

/// `PUT /projects/{organization}/{project}/`
pub(super) async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<Given>,
) -> Result<Json<Value>, ApiError> {
    let access = access::managed_project(&app, &caller, &path, "project:write").await?;
    let rules = project_rules::change(&app.db, access.project.id, |rules| apply(&body, rules)).await?;
    Ok(Json(projects::detail(&app, &access, &rules)))
}

fn apply(given: &Given, rules: &mut ProjectRules) -> Result<(), ApiError> {
    let privacy = &mut rules.privacy;
    for (switch, value) in [
        (&mut privacy.scrub_data, given.data_scrubber),
        (&mut privacy.scrub_defaults, given.data_scrubber_defaults),
        (&mut privacy.scrub_exception_values, given.scrub_exception_values),
        (&mut privacy.scrub_ip_addresses, given.scrub_ip_addresses),
    ] {
        *switch = value.unwrap_or(*switch);
    }
    for (list, name, value) in [
        (&mut privacy.sensitive_fields, "sensitiveFields", &given.sensitive_fields),
        (&mut privacy.safe_fields, "safeFields", &given.safe_fields),
    ] {
        if let Some(names) = value {
            *list = field_names(name, names.iter().map(String::as_str))?;
        }
    }
    for (name, value) in &given.options {
        let option = OPTIONS.iter().find(|(known, _)| known == name);
        let (_, filter) = option.ok_or_else(|| ApiError::BadRequest(format!("There is no option `{name}`.")))?;
        match value {
            Value::Bool(is_on) => rules.filters.switch(*filter, *is_on)?,
            Value::String(lines) => rules.filters.set_entries(*filter, lines.lines())?,
            _ => {
                return Err(ApiError::BadRequest(format!("The option `{name}` is a text of lines, or true or false.")));
            }
        }
    }
    Ok(())
}

/// The same as they are now, for the project's JSON.
pub(super) fn fields(rules: &ProjectRules) -> Map<String, Value> {
    let privacy = &rules.privacy;
    let options: Map<String, Value> = OPTIONS
        .iter()
        .map(|(name, filter)| {
            let filters = &rules.filters;
            let value = if filter.is_list() {
                filters.entries(*filter).join("\n").into()
            } else {
                filters.is_on(*filter).into()
            };
            ((*name).to_owned(), value)
        })
        .collect();
    [
        ("dataScrubber", privacy.scrub_data.into()),
        ("dataScrubberDefaults", privacy.scrub_defaults.into()),
        ("scrubExceptionValues", privacy.scrub_exception_values.into()),
        ("scrubIPAddresses", privacy.scrub_ip_addresses.into()),
        ("sensitiveFields", json!(privacy.sensitive_fields)),
        ("safeFields", json!(privacy.safe_fields)),
        ("options", options.into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
