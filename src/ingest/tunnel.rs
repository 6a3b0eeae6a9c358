//! `POST /tunnel/` and `/api/tunnel/`: envelopes of pages that must not speak to us by the address of their DSN, since
//! something in their browser blocks it. A page's own server passes them on to here as they are.

use axum::extract::Request;

use super::accept::Reception;
use super::authorize::authorize;
use super::edge::Edge;
use super::reply::{Accepted, Refusal};
use super::{body, decompress, envelope};
use crate::app::App;
use crate::http::ClientInfo;
use crate::protocol::{Dsn, parse_envelope_header};

const INVALID: &str = "invalid event envelope";

/// Takes one envelope in; its header names the DSN, which must be of a project that is here. By what host the DSN calls
/// us is no matter: there may be any number of names for it.
pub(super) async fn receive(app: &App, edge: &Edge, request: Request) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let (body, _room) = body::read(&head.headers, body, app.config.max_upload_bytes).await?;
    let plain = decompress::decompress(&head.headers, body).await?;
    let header = parse_envelope_header(&plain.bytes).map_err(|error| Refusal::bad_request(INVALID, error))?;
    let dsn = header.dsn.ok_or_else(|| Refusal::bad_request(INVALID, "the envelope header has no dsn"))?;
    let dsn = Dsn::parse(&dsn).ok_or_else(|| {
        Refusal::bad_request(INVALID, "the dsn in the envelope header is not http(s)://KEY@HOST/PROJECT")
    })?;
    let known = authorize(app, edge, &dsn.public_key, Some(dsn.project_id)).await?;
    let reception = Reception::now(known.project_id, &head.headers, head.extensions.get::<ClientInfo>());
    envelope::receive_authorized(edge, &known, reception, &plain.bytes).await
}
