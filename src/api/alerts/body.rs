//! Reads an alert from a request's body, field by field, so that each mistake is named.

use serde_json::{Map, Value};

use crate::http::ApiError;
use crate::ids::AlertRecipientId;
use crate::store::alert::RecipientKind;
use crate::store::alert_draft::{AlertDraft, RecipientDraft, SecretDraft};

/// Changes `draft` as the body says; what the body does not name stays.
pub(super) fn apply(draft: &mut AlertDraft, body: &Map<String, Value>) -> Result<(), ApiError> {
    if let Some(value) = body.get("name") {
        draft.name = text(value, "name")?.unwrap_or_default();
    }
    if let Some(value) = body.get("timespanMinutes") {
        draft.timespan_minutes = number(value, "timespanMinutes")?;
    }
    if let Some(value) = body.get("quantity") {
        draft.quantity = number(value, "quantity")?;
    }
    if let Some(value) = body.get("isEnabled") {
        draft.is_enabled = flag(value, "isEnabled")?;
    }
    if let Some(value) = body.get("uptime")
        && flag(value, "uptime")?
    {
        let reason = "`uptime` cannot be true: this server has no uptime monitors.";
        return Err(ApiError::BadRequest(reason.to_owned()));
    }
    match body.get("alertRecipients") {
        None => {}
        Some(Value::Null) => draft.recipients = Vec::new(),
        Some(Value::Array(list)) => {
            draft.recipients =
                list.iter().enumerate().map(|(place, value)| recipient(place, value)).collect::<Result<_, _>>()?;
        }
        Some(_) => return Err(wrong("alertRecipients", "a list")),
    }
    Ok(())
}

fn recipient(place: usize, value: &Value) -> Result<RecipientDraft, ApiError> {
    let name = |field: &str| format!("alertRecipients[{place}].{field}");
    let Value::Object(fields) = value else { return Err(wrong(&format!("alertRecipients[{place}]"), "an object")) };
    let get = |field: &str| fields.get(field).unwrap_or(&Value::Null);
    let known = RecipientKind::ALL.map(RecipientKind::as_str).join(", ");
    let Some(kind) = text(get("recipientType"), &name("recipientType"))? else {
        return Err(ApiError::BadRequest(format!("`{}` is missing: it is one of {known}.", name("recipientType"))));
    };
    let kind = RecipientKind::from_name(&kind).ok_or_else(|| {
        ApiError::BadRequest(format!("`{}` cannot be {kind:?}: it is one of {known}.", name("recipientType")))
    })?;
    if get("tagsToAdd").as_array().is_some_and(|tags| !tags.is_empty()) {
        return Err(ApiError::BadRequest(format!("`{}` is not supported: leave it empty.", name("tagsToAdd"))));
    }
    let secret = match fields.get("secret") {
        None => SecretDraft::Keep,
        Some(value) => match text(value, &name("secret"))?.filter(|secret| !secret.is_empty()) {
            None => SecretDraft::Remove,
            Some(secret) => SecretDraft::Set(crate::config::Secret::new(secret)),
        },
    };
    Ok(RecipientDraft {
        id: number(get("id"), &name("id"))?.map(AlertRecipientId),
        kind,
        url: text(get("url"), &name("url"))?.unwrap_or_default(),
        secret,
    })
}

/// None for null.
fn text(value: &Value, name: &str) -> Result<Option<String>, ApiError> {
    match value {
        Value::Null => Ok(None),
        // PostgreSQL's text holds no NUL; every other oddity is the draft's to judge.
        Value::String(text) if !text.contains('\0') => Ok(Some(text.clone())),
        _ => Err(wrong(name, "a text")),
    }
}

/// None for null.
fn number(value: &Value, name: &str) -> Result<Option<i64>, ApiError> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => number.as_i64().map(Some).ok_or_else(|| wrong(name, "a whole number")),
        _ => Err(wrong(name, "a whole number")),
    }
}

fn flag(value: &Value, name: &str) -> Result<bool, ApiError> {
    value.as_bool().ok_or_else(|| wrong(name, "true or false"))
}

fn wrong(name: &str, expected: &str) -> ApiError {
    ApiError::BadRequest(format!("`{name}` must be {expected}."))
}
