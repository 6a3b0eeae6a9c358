//! `POST /api/{project}/minidump/` and `/unreal/{key}/`: what crash reporters send. Each becomes a fatal event; the files
//! are kept with it, as far as they are not too large.
//!
//! Crash reporters try for ever what is answered 429, so nothing here is: what a limit holds back is counted, and
//! answered as if it was kept.

use axum::extract::Request;
use axum::http::request::Parts;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::accept::{IncomingEvent, MAX_EVENT_BYTES, Reception, accept_all};
use super::authorize::{authorize_by_path, authorize_head};
use super::counters::TOTALS;
use super::edge::Edge;
use super::files::{content_type, file};
use super::kept::{ATTACHMENT, KeptItems};
use super::key_cache::Known;
use super::reply::{Accepted, Refusal};
use super::{body, decompress};
use crate::app::App;
use crate::http::ClientInfo;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{
    Category, Crash, Item, ItemHeader, Outcome, Part, boundary_of, crash_event, event_of_form, fields_of_item,
    lenient_json, parse_multipart, read_msgpack, read_msgpack_stream, says_what_crashed,
};

/// The field of the form that holds the dump.
const MINIDUMP_FIELD: &str = "upload_file_minidump";

/// The event as the crashed program had prepared it, as a file.
const EVENT_FILE: &str = "__sentry-event";

/// ... and what it did before.
const BREADCRUMB_FILE_1: &str = "__sentry-breadcrumb1";
const BREADCRUMB_FILE_2: &str = "__sentry-breadcrumb2";

/// How a minidump begins, or one that is packed: gzip, xz, bzip2, zstd.
const MAGIC: &[&[u8]] = &[b"MDMP", b"PMDM", b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd"];

/// What a minidump is among an event's files, and what it is called if nobody says.
const MINIDUMP_KIND: &str = "event.minidump";
const MINIDUMP_TYPE: &str = "application/x-dmp";
const MINIDUMP_NAME: &str = "minidump.dmp";

/// What the archive of Unreal Engine is called, which is named nowhere.
const UNREAL_NAME: &str = "unreal_crash";

const INVALID: &str = "invalid minidump";

/// Characters of the name that Unreal Engine gives a user.
const MAX_USER: usize = 128;

/// What was found in a body.
#[derive(Debug, Default)]
struct Found {
    event: Map<String, Value>,
    files: Vec<Item>,
}

/// Takes a minidump in, alone or in a form.
pub(super) async fn receive_minidump(
    app: &App,
    edge: &Edge,
    project: ProjectId,
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let known = match authorize_head(app, edge, &head, Some(project)).await {
        Ok(known) => known,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal.never_429()).await),
    };
    let (body, _room) = body::read(&head.headers, body, app.config.max_upload_bytes).await?;
    let plain = decompress::decompress(&head.headers, body).await?;
    let (content_type, bytes) = (content_type(&head.headers), plain.bytes.clone());
    // Large, as a rule: not where other requests wait.
    let read = tokio::task::spawn_blocking(move || read_minidump(&content_type, &bytes)).await;
    let found = read.unwrap_or_else(|_| Err(Refusal::bad_request(INVALID, "it could not be read")))?;
    keep(edge, &known, &head, Crash::Minidump, found).await
}

/// Takes in what the crash reporter of Unreal Engine sends: an archive, which nobody opens yet.
pub(super) async fn receive_unreal(
    app: &App,
    edge: &Edge,
    project: ProjectId,
    key: &str,
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let known = match authorize_by_path(app, edge, &head, Some(key), project).await {
        Ok(known) => known,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal.never_429()).await),
    };
    let (body, _room) = body::read(&head.headers, body, app.config.max_upload_bytes).await?;
    if body.is_empty() {
        return Err(Refusal::bad_request("invalid unreal report", "empty request body"));
    }
    let mut event = Map::new();
    if let Some(user) = user_of_query(head.uri.query().unwrap_or_default()) {
        event.insert("user".to_owned(), json!({ "id": user }));
    }
    let files = vec![crash_file(UNREAL_NAME, None, None, body)];
    keep(edge, &known, &head, Crash::Unreal, Found { event, files }).await
}

async fn keep(edge: &Edge, known: &Known, head: &Parts, crash: Crash, found: Found) -> Result<Accepted, Refusal> {
    let mut reception = Reception::now(known.project_id, &head.headers, head.extensions.get::<ClientInfo>());
    let given = found.event.get("event_id").and_then(Value::as_str).and_then(EventId::parse);
    let event_id = given.filter(|id| !id.0.is_nil()).unwrap_or_else(EventId::random);
    let (mut event, mut kept) = (None, KeptItems::default());
    if let Err(reason) = reception.admit(edge, known, Category::Error, 1) {
        // Its files go with it.
        let files = u64::try_from(found.files.len()).unwrap_or(u64::MAX);
        reception.count(Category::Attachment, Outcome::RateLimited, reason, files);
    } else {
        kept.take_files(edge, known, &mut reception, found.files);
        let payload = payload_of(crash, found.event).unwrap_or_else(|| event_of_forms(crash, &[]));
        event = Some(IncomingEvent { event_id, sent_at: None, payload });
    }
    let has_event = event.is_some();
    let files = kept.into_incoming(Some(event_id), None);
    accept_all(edge, reception, event, files).await.map_err(Refusal::never_429)?;
    if has_event {
        TOTALS.event();
    }
    Ok(Accepted::Crash(event_id))
}

fn read_minidump(content_type: &str, body: &Bytes) -> Result<Found, Refusal> {
    if body.is_empty() {
        return Err(Refusal::bad_request(INVALID, "empty request body"));
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(essence.as_str(), "application/octet-stream" | "application/x-dmp") {
        check_magic(body)?;
        return Ok(Found { event: Map::new(), files: vec![minidump(None, body.clone())] });
    }
    let no_form = || Refusal::bad_request("invalid multipart", "the body is neither a form nor a minidump by its type");
    let boundary = boundary_of(content_type).ok_or_else(no_form)?;
    let parts = parse_multipart(body, &boundary).map_err(|error| Refusal::bad_request("invalid multipart", error))?;
    let is_dump = |part: &&Part| part.name == MINIDUMP_FIELD;
    let missing = || Refusal::bad_request(INVALID, "the form has no field upload_file_minidump");
    let dump = parts.iter().find(is_dump).ok_or_else(missing)?;
    check_magic(&unnested(dump.content.clone()))?;
    let mut known = Map::new();
    let mut breadcrumbs = Vec::new();
    let mut fields = Vec::new();
    let mut files = Vec::new();
    for part in parts {
        match part.filename.as_deref().unwrap_or(&part.name) {
            EVENT_FILE => {
                if let Some(Value::Object(event)) = read_msgpack(&part.content) {
                    known = event;
                }
            }
            BREADCRUMB_FILE_1 | BREADCRUMB_FILE_2 => breadcrumbs.extend(read_msgpack_stream(&part.content)),
            _ if part.name == MINIDUMP_FIELD => files.push(minidump(part.filename, unnested(part.content))),
            _ if part.filename.is_some() => files.push(file(part)),
            _ => fields.push((part.name, String::from_utf8_lossy(&part.content).into_owned())),
        }
    }
    if !breadcrumbs.is_empty() {
        // Two files are written in turn, and either may be the older one.
        breadcrumbs.sort_by(|one, other| time_of(one).cmp(time_of(other)));
        known.insert("breadcrumbs".to_owned(), Value::Array(breadcrumbs));
    }
    Ok(Found { event: event_of_form(known, fields), files })
}

fn minidump(filename: Option<String>, content: Bytes) -> Item {
    let name = filename.filter(|name| !name.is_empty()).unwrap_or_else(|| MINIDUMP_NAME.to_owned());
    crash_file(&name, Some(MINIDUMP_TYPE), Some(MINIDUMP_KIND), content)
}

fn crash_file(name: &str, content_type: Option<&str>, kind: Option<&str>, payload: Bytes) -> Item {
    let header = ItemHeader {
        filename: Some(name.to_owned()),
        content_type: content_type.map(str::to_owned),
        attachment_type: kind.map(str::to_owned),
        ..ItemHeader::default()
    };
    Item { item_type: ATTACHMENT.to_owned(), header, payload }
}

/// What crashed, for an item of an envelope that is a crash's dump.
pub(super) fn kind_of_item(item: &Item) -> Option<Crash> {
    match (item.item_type.as_str(), item.header.attachment_type.as_deref()) {
        ("unreal_report", _) => Some(Crash::Unreal),
        (ATTACHMENT, Some(MINIDUMP_KIND)) => Some(Crash::Minidump),
        _ => None,
    }
}

/// The event of a crash, with what its forms say; one of too much text says only that it crashed.
pub(super) fn event_of_forms(crash: Crash, forms: &[Item]) -> Bytes {
    let whole = payload_of(crash, with_forms(Map::new(), forms));
    whole.unwrap_or_else(|| Value::Object(crash_event(crash, Map::new())).to_string().into())
}

/// The event beside a crash's dump with what it leaves to the dump to say: that it crashed, and what the forms say. `None`
/// for one that says it itself, that cannot be read, or that would become too large: it stays as it was sent.
pub(super) fn completed(crash: Crash, event: &[u8], forms: &[Item]) -> Option<Bytes> {
    let event = lenient_json::parse_object(event).ok().filter(|event| !says_what_crashed(event))?;
    payload_of(crash, with_forms(event, forms))
}

fn with_forms(event: Map<String, Value>, forms: &[Item]) -> Map<String, Value> {
    event_of_form(event, forms.iter().flat_map(|form| fields_of_item(&form.payload)))
}

/// `None` if it is too large for an event.
fn payload_of(crash: Crash, event: Map<String, Value>) -> Option<Bytes> {
    let payload = Value::Object(crash_event(crash, event)).to_string();
    (payload.len() <= MAX_EVENT_BYTES).then(|| payload.into())
}

/// When a breadcrumb was left: all are written in one form, which sorts as it is.
fn time_of(breadcrumb: &Value) -> &str {
    breadcrumb.get("timestamp").and_then(Value::as_str).unwrap_or_default()
}

/// Old versions of Electron put the dump into a form inside the form.
fn unnested(content: Bytes) -> Bytes {
    let first_line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let boundary =
        first_line.trim_ascii_end().strip_prefix(b"--".as_slice()).and_then(|line| str::from_utf8(line).ok());
    let inner = boundary.and_then(|boundary| parse_multipart(&content, boundary).ok());
    let dump = inner.and_then(|parts| parts.into_iter().find(|part| part.name == MINIDUMP_FIELD));
    dump.map_or(content, |part| part.content)
}

fn check_magic(dump: &[u8]) -> Result<(), Refusal> {
    if MAGIC.iter().any(|magic| dump.starts_with(magic)) {
        return Ok(());
    }
    Err(Refusal::bad_request(INVALID, "it begins with neither MDMP nor PMDM"))
}

/// `UserID` of Unreal Engine.
fn user_of_query(query: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, user) = pairs.find(|(name, value)| name == "UserID" && !value.is_empty())?;
    Some(user.chars().take(MAX_USER).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str =
        "--B\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"; filename=\"a.dmp\"\r\n\r\n";

    fn read(content_type: &str, body: &str) -> Result<Found, u16> {
        let found = read_minidump(content_type, &Bytes::copy_from_slice(body.as_bytes()));
        found.map_err(|refusal| refusal.status().as_u16())
    }

    fn names(files: &[Item]) -> Vec<(&str, Option<&str>, &str)> {
        files
            .iter()
            .map(|file| {
                let ItemHeader { filename, attachment_type, .. } = &file.header;
                (filename.as_deref().unwrap(), attachment_type.as_deref(), str::from_utf8(&file.payload).unwrap())
            })
            .collect()
    }

    #[test]
    fn a_minidump_comes_alone_in_a_form_or_in_a_form_in_a_form() {
        let alone = read("application/x-dmp", "MDMP…").unwrap().files;
        assert_eq!(names(&alone), [("minidump.dmp", Some("event.minidump"), "MDMP…")]);
        let form = format!(
            "{DUMP}MDMP\r\n--B\r\nContent-Disposition: form-data; name=\"sentry[release]\"\r\n\r\n1.0\r\n--B\r\n\
             Content-Disposition: form-data; name=\"log\"; filename=\"a.log\"\r\n\r\nlines\r\n--B--\r\n"
        );
        let found = read("multipart/form-data; boundary=B", &form).unwrap();
        let files = [("a.dmp", Some("event.minidump"), "MDMP"), ("a.log", None, "lines")];
        assert_eq!((names(&found.files), Value::Object(found.event)), (files.to_vec(), json!({"release": "1.0"})));
        let inner = "--C\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"\r\n\r\nMDMP\r\n--C--";
        let nested = read("multipart/form-data; boundary=B", &format!("{DUMP}{inner}\r\n--B--")).unwrap().files;
        assert_eq!(names(&nested), [("a.dmp", Some("event.minidump"), "MDMP")]);
    }

    #[test]
    fn the_crashed_program_may_have_prepared_the_event() {
        let file = |name: &str, content: &[u8]| {
            let head =
                format!("\r\n--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\r\n");
            [head.as_bytes(), content].concat()
        };
        let body = [
            DUMP.as_bytes(),
            b"MDMP",
            &file(EVENT_FILE, b"\x81\xa7release\xa31.0"),
            &file(BREADCRUMB_FILE_1, b"\x81\xa9timestamp\xa42026"),
            &file(BREADCRUMB_FILE_2, b"\x81\xa9timestamp\xa42025\x81\xa9timestamp\xa42024\xc1"),
            b"\r\n--B--",
        ];
        let found = read_minidump("multipart/form-data; boundary=B", &body.concat().into()).unwrap();
        let times = ["2024", "2025", "2026"].map(|time| json!({"timestamp": time}));
        assert_eq!(
            (found.files.len(), Value::Object(found.event)),
            (1, json!({"release": "1.0", "breadcrumbs": times}))
        );
    }

    #[test]
    fn an_event_beside_a_dump_stays_as_it_is_unless_it_can_be_completed() {
        let form = [Item {
            item_type: "form_data".to_owned(),
            header: ItemHeader::default(),
            payload: Bytes::from_static(br#"["sentry[release]","1"]"#),
        }];
        let completed = |event: &str| completed(Crash::Minidump, event.as_bytes(), &form);
        let whole: Value = serde_json::from_slice(&completed(r#"{"tags":{"a":"b"}}"#).unwrap()).unwrap();
        assert_eq!((&whole["release"], &whole["level"]), (&json!("1"), &json!("fatal")));
        assert_eq!((&whole["tags"]["a"], &whole["exception"]["values"][0]["type"]), (&json!("b"), &json!("Minidump")));
        let large = json!({"message": "x".repeat(MAX_EVENT_BYTES - 20)}).to_string();
        for event in [r#"{"exception":[{"type":"E"}]}"#, "nonsense", "[]", "", &large] {
            assert_eq!(completed(event), None, "{}", event.len());
        }
    }

    #[test]
    fn what_is_no_minidump_is_refused() {
        for (content_type, body) in [
            ("application/octet-stream", ""),
            ("application/octet-stream", "not a dump"),
            ("multipart/form-data", "--B--"),
            ("multipart/form-data; boundary=B", "--B--"),
            ("multipart/form-data; boundary=B", "MDMP"),
            ("application/json", "{}"),
        ] {
            assert_eq!(read(content_type, body).unwrap_err(), 400, "{content_type} {body}");
        }
        assert_eq!(read("multipart/form-data; boundary=B", &format!("{DUMP}text\r\n--B--")).unwrap_err(), 400);
    }
}
