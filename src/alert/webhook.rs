//! A message as the request that each kind of webhook wants.

use glitchbox_notify::{feishu, generic, slack};
use serde_json::Value;

use super::content::Content;
use crate::store::alert::RecipientKind;

/// A POST of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Beside `Content-Type`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// Makes the request. `id` is the same whenever the same message is sent again; `now` is in seconds since 1970.
pub fn request(kind: RecipientKind, content: &Content, secret: Option<&str>, id: &str, now: i64) -> Request {
    let message = content.message();
    let mut headers = vec![(generic::IDEMPOTENCY_HEADER, id.to_owned())];
    let body = match kind {
        RecipientKind::Feishu => text(&feishu::body(&message, secret.map(|secret| (secret, now)))),
        RecipientKind::Generic => {
            let body = with_data(&generic::body(&message, content.kind), &content.data);
            if let Some(secret) = secret {
                let signature = generic::signature(secret, &body);
                headers.extend(generic::SIGNATURE_HEADERS.map(|name| (name, signature.clone())));
            }
            body
        }
        RecipientKind::Webhook | RecipientKind::Email => text(&slack::body(&message)),
    };
    Request { headers, body }
}

/// Whether an answer with status 2xx and this body means success.
///
/// # Errors
/// What the service said against it.
pub fn check_answer(kind: RecipientKind, answer: &[u8]) -> Result<(), String> {
    match kind {
        RecipientKind::Feishu => feishu::check_response(answer),
        _ => Ok(()),
    }
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The body with what programs want to read beside what people do.
fn with_data(body: &[u8], data: &Value) -> Vec<u8> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut fields)) => {
            fields.extend(data.as_object().cloned().unwrap_or_default());
            text(&Value::Object(fields))
        }
        _ => body.to_vec(),
    }
}
