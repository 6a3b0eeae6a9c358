//! `POST /api/{project}/events/{event_id}/attachments/`: files that go with an event which was sent before, or will be.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::Bytes;

use super::accept::{Reception, accept_all, refuse_limited};
use super::authorize::authorize_head;
use super::edge::Edge;
use super::kept::KeptItems;
use super::reply::{Accepted, Refusal};
use super::{body, decompress};
use crate::app::App;
use crate::http::ClientInfo;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{Item, ItemHeader, Part, boundary_of, parse_multipart};

const INVALID: &str = "invalid multipart";

/// Takes the files of a form in.
pub(super) async fn receive(
    app: &App,
    edge: &Edge,
    project: ProjectId,
    event: &str,
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let admitted = authorize_head(app, edge, &head, Some(project)).await;
    let (known, event_id) = match admitted.and_then(|known| Ok((known, parse_id(event)?))) {
        Ok(admitted) => admitted,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal).await),
    };
    let (body, _room) = body::read(&head.headers, body, app.config.max_upload_bytes).await?;
    let plain = decompress::decompress(&head.headers, body).await?;
    let (content_type, bytes) = (content_type(&head.headers), plain.bytes.clone());
    // Large, as a rule: not where other requests wait.
    let read = tokio::task::spawn_blocking(move || files_of_form(&content_type, &bytes)).await;
    let files = read.unwrap_or_else(|_| Err(Refusal::bad_request(INVALID, "it could not be read")))?;
    let mut reception = Reception::now(known.project_id, &head.headers, head.extensions.get::<ClientInfo>());
    let mut kept = KeptItems::default();
    kept.take_files(edge, &known, &mut reception, files);
    if kept.is_empty() && !reception.limits.is_empty() {
        return Err(refuse_limited(edge, reception).await);
    }
    let refusal = kept.refusal().filter(|_| kept.is_empty());
    accept_all(edge, reception, None, kept.into_incoming(Some(event_id), None)).await?;
    refusal.map_or(Ok(Accepted::Files), Err)
}

fn parse_id(text: &str) -> Result<EventId, Refusal> {
    let id = EventId::parse(text).filter(|id| !id.0.is_nil());
    id.ok_or_else(|| Refusal::bad_request("invalid event id", "the event in the path is not 32 hexadecimal digits"))
}

pub(super) fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn files_of_form(content_type: &str, body: &Bytes) -> Result<Vec<Item>, Refusal> {
    let boundary = boundary_of(content_type)
        .ok_or_else(|| Refusal::bad_request(INVALID, "the content type is not multipart/form-data with a boundary"))?;
    let parts = parse_multipart(body, &boundary).map_err(|error| Refusal::bad_request(INVALID, error))?;
    let files: Vec<Item> = parts.into_iter().filter(|part| part.filename.is_some()).map(file).collect();
    if files.is_empty() {
        return Err(Refusal::bad_request(INVALID, "the form has no file"));
    }
    Ok(files)
}

/// A form's file as the item that the same file would be in an envelope.
pub(super) fn file(part: Part) -> Item {
    let Part { name, filename, content_type, content } = part;
    let filename = filename.filter(|name| !name.is_empty()).unwrap_or(name);
    let attachment_type = (filename == "view-hierarchy.json").then(|| "event.view_hierarchy".to_owned());
    let header = ItemHeader { content_type, filename: Some(filename), attachment_type, ..ItemHeader::default() };
    Item { item_type: "attachment".to_owned(), header, payload: content }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_form_the_files_count() {
        let part =
            |head: &str, content: &str| format!("--B\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n");
        let body = [
            part("name=\"a\"; filename=\"a.log\"\r\nContent-Type: text/plain", "1"),
            part("name=\"note\"", "2"),
            part("name=\"b\"; filename=\"\"", "3"),
            part("name=\"c\"; filename=\"view-hierarchy.json\"", "{}"),
            "--B--".to_owned(),
        ];
        let files = files_of_form("multipart/form-data; boundary=B", &body.concat().into()).unwrap();
        let seen: Vec<_> = files
            .iter()
            .map(|file| {
                let ItemHeader { content_type, filename, attachment_type, .. } = &file.header;
                (filename.as_deref(), content_type.as_deref(), attachment_type.as_deref(), file.payload.as_ref())
            })
            .collect();
        assert_eq!(
            seen,
            [
                (Some("a.log"), Some("text/plain"), None, b"1".as_slice()),
                (Some("b"), None, None, b"3"),
                (Some("view-hierarchy.json"), None, Some("event.view_hierarchy"), b"{}"),
            ]
        );
    }

    #[test]
    fn what_has_no_file_is_refused() {
        for (content_type, body) in [
            ("multipart/form-data; boundary=B", "--B--"),
            ("multipart/form-data; boundary=B", "text"),
            ("application/octet-stream", "--B--"),
        ] {
            let refused = files_of_form(content_type, &Bytes::from_static(body.as_bytes())).unwrap_err();
            assert_eq!(refused.status().as_u16(), 400, "{content_type}");
        }
        for id in ["", "short", "00000000000000000000000000000000"] {
            assert_eq!(parse_id(id).unwrap_err().status().as_u16(), 400, "{id}");
        }
    }
}
