//! A message as the request that each kind of webhook wants.

use glitchbox_notify::{Kind, Request, Target, generic};
use serde_json::Value;

use super::content::Content;
use crate::store::alert::RecipientKind;

/// Makes the request. `id` is the same whenever the same message is sent again; `now` is in milliseconds since 1970.
///
/// # Errors
/// What is wrong with the address, without repeating it.
pub fn request(
    kind: RecipientKind,
    url: &str,
    content: &Content,
    secret: Option<&str>,
    id: &str,
    now: i64,
) -> Result<Request, String> {
    let kind = kind_of(kind, url);
    let mut request =
        glitchbox_notify::request(&Target { kind, url, secret }, &content.message(), id, content.kind, now)?;
    if kind == Kind::Generic {
        request.body = with_data(&request.body, &content.data);
        request.headers.retain(|(name, _)| *name == "Content-Type");
        request.headers.extend(generic::headers(secret, id, &request.body));
    }
    Ok(request)
}

/// The form of request that a recipient takes.
pub fn kind_of(kind: RecipientKind, url: &str) -> Kind {
    match kind.service() {
        Some(Kind::Feishu) if glitchbox_notify::kind_of(url) == Some(Kind::Lark) => Kind::Lark,
        Some(service) => service,
        None => Kind::Slack,
    }
}

/// The body with what programs want to read beside what people do.
fn with_data(body: &[u8], data: &Value) -> Vec<u8> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut fields)) => {
            fields.extend(data.as_object().cloned().unwrap_or_default());
            Value::Object(fields).to_string().into_bytes()
        }
        _ => body.to_vec(),
    }
}
