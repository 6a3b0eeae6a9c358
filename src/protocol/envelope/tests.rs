//! A test for each case that the framing has to settle.

use proptest::prelude::*;

use super::*;

fn parse(body: &str) -> Result<Envelope, EnvelopeError> {
    parse_envelope(&Bytes::copy_from_slice(body.as_bytes()))
}

/// Types and payloads, which is all that most cases are about.
fn items(body: &str) -> Vec<(String, String)> {
    parse(body)
        .unwrap()
        .items
        .into_iter()
        .map(|item| (item.item_type, String::from_utf8_lossy(&item.payload).into_owned()))
        .collect()
}

fn pair(item_type: &str, payload: &str) -> (String, String) {
    (item_type.to_owned(), payload.to_owned())
}

#[test]
fn header_line_may_be_an_empty_object() {
    assert_eq!(parse("{}\n").unwrap().header, EnvelopeHeader::default());
}

#[test]
fn header_line_may_end_with_the_body() {
    let envelope = parse(r#"{"event_id":"9ec79c33-ec99-42ab-8353-589fcb2e04dc"}"#).unwrap();
    assert_eq!(envelope.header.event_id.unwrap().to_string(), "9ec79c33ec9942ab8353589fcb2e04dc");
    assert!(envelope.items.is_empty());
}

#[test]
fn header_line_that_is_no_object_is_malformed() {
    for body in ["[]\n", "x\n{\"type\":\"event\"}\n{}", "\n{}\n", "{\"a\":1\n}"] {
        assert!(matches!(parse(body), Err(EnvelopeError::InvalidHeader(_))), "{body}");
    }
}

#[test]
fn headers_are_read_leniently() {
    let id = "9ec79c33ec9942ab8353589fcb2e04dc";
    for (line, filename) in [
        // What SDKs for Python and JavaScript make of a name that is not UTF-8, and of an emoji that is cut.
        (r#"{"type":"attachment","filename":"caf\udce9.log"}"#.as_bytes(), "caf\u{fffd}.log"),
        (r#"{"type":"attachment","filename":"\ud83d\ude00\ud83d"}"#.as_bytes(), "\u{1f600}\u{fffd}"),
        (b"{\"type\":\"attachment\",\"filename\":\"caf\xe9.log\"}", "caf\u{fffd}.log"),
        (b"{\"type\":\"attachment\",\"filename\":\"a\tb\",\"mtime\":NaN}", "a\tb"),
    ] {
        let header = format!(r#"{{"event_id":"{id}","trace":{{"transaction":"\ud83d"}}}}"#);
        let body = [header.as_bytes(), line, b"x", br#"{"type":"event"}"#, b"{}"].join(&b'\n');
        let envelope = parse_envelope(&Bytes::from(body)).unwrap();
        assert_eq!(envelope.header.event_id.unwrap().to_string(), id);
        assert_eq!(envelope.items[0].header.filename.as_deref(), Some(filename));
        assert_eq!((envelope.items.len(), envelope.malformed), (2, None));
    }
}

#[test]
fn empty_body_is_malformed() {
    assert_eq!(parse(""), Err(EnvelopeError::Empty));
    assert_eq!(parse("\n \n"), Err(EnvelopeError::Empty));
}

#[test]
fn length_present_takes_exactly_that_many_bytes() {
    assert_eq!(
        items("{}\n{\"type\":\"attachment\",\"length\":5}\na\nb\nc\n{\"type\":\"event\",\"length\":3}\n\u{20ac}\n"),
        [pair("attachment", "a\nb\nc"), pair("event", "\u{20ac}")]
    );
}

#[test]
fn length_present_without_newline_after_it_is_malformed() {
    assert_eq!(parse("{}\n{\"type\":\"event\",\"length\":2}\n{}x\n"), Err(EnvelopeError::MissingNewline(1)));
}

#[test]
fn length_absent_runs_to_the_next_newline_or_the_end() {
    assert_eq!(
        items("{}\n{\"type\":\"event\"}\n{\"a\":1}\n{\"type\":\"session\"}\n{\"b\":2}"),
        [pair("event", "{\"a\":1}"), pair("session", "{\"b\":2}")]
    );
}

#[test]
fn length_zero_is_an_empty_payload() {
    assert_eq!(
        items("{}\n{\"type\":\"attachment\",\"length\":0}\n\n{\"type\":\"attachment\",\"length\":0}\n"),
        [pair("attachment", ""), pair("attachment", "")]
    );
    assert_eq!(items("{}\n{\"type\":\"attachment\",\"length\":0}"), [pair("attachment", "")]);
}

#[test]
fn length_null_is_as_if_absent() {
    assert_eq!(items("{}\n{\"type\":\"event\",\"length\":null}\n{}\n"), [pair("event", "{}")]);
}

#[test]
fn item_header_at_the_end_is_an_empty_item() {
    assert_eq!(items("{}\n{\"type\":\"event\"}"), [pair("event", "")]);
    assert_eq!(items("{}\n{\"type\":\"event\"}\n"), [pair("event", "")]);
}

#[test]
fn no_trailing_newline_one_and_two_are_valid() {
    for end in ["", "\n", "\n\n", "\n\r\n"] {
        assert_eq!(
            items(&format!("{{}}\n{{\"type\":\"event\",\"length\":2}}\n{{}}{end}")),
            [pair("event", "{}")],
            "{end:?}"
        );
    }
}

#[test]
fn carriage_return_belongs_to_the_line_it_ends() {
    assert_eq!(items("{}\r\n{\"type\":\"event\"}\r\n{}\r\n"), [pair("event", "{}\r")]);
}

#[test]
fn blank_lines_before_an_item_header_are_skipped() {
    assert_eq!(
        items("{}\n\n \n{\"type\":\"event\",\"length\":2}\n{}\n\n{\"type\":\"session\"}\n{}\n"),
        [pair("event", "{}"), pair("session", "{}")]
    );
}

#[test]
fn length_beyond_the_end_is_malformed() {
    assert_eq!(parse("{}\n{\"type\":\"event\",\"length\":3}\n{}"), Err(EnvelopeError::UnexpectedEnd(1)));
    assert_eq!(
        parse("{}\n{\"type\":\"event\",\"length\":18446744073709551615}\n{}"),
        Err(EnvelopeError::UnexpectedEnd(1))
    );
}

#[test]
fn items_before_a_malformed_one_are_kept() {
    for (rest, error) in [
        ("{\"type\":\"a\",\"length\":99}\nx", EnvelopeError::UnexpectedEnd(2)),
        ("{\"type\":\"a\",\"length\":1}\nxy", EnvelopeError::MissingNewline(2)),
    ] {
        let envelope = parse(&format!("{{}}\n{{\"type\":\"event\"}}\n{{}}\n{rest}")).unwrap();
        assert_eq!(envelope.items.len(), 1);
        assert_eq!(envelope.malformed, Some(error));
    }
    let envelope = parse("{}\n{\"type\":\"event\"}\n{}\n{\"no\":\"type\"}\n{}\n").unwrap();
    assert_eq!(envelope.items.len(), 1);
    assert!(matches!(envelope.malformed, Some(EnvelopeError::InvalidItemHeader { index: 2, .. })));
}

#[test]
fn header_only_is_valid() {
    assert!(parse("{\"sent_at\":\"2026-11-20T14:31:34Z\"}\n").unwrap().items.is_empty());
}

#[test]
fn unknown_item_types_are_handed_on_in_order() {
    assert_eq!(
        items("{}\n{\"type\":\"hologram\",\"future\":[1]}\nx\n{\"type\":\"event\"}\n{}\n"),
        [pair("hologram", "x"), pair("event", "{}")]
    );
}

#[test]
fn unknown_and_odd_header_attributes_are_ignored() {
    let envelope =
        parse("{\"trace\":7,\"sdk\":\"x\",\"dsn\":5,\"sent_at\":\"soon\"}\n{\"type\":\"event\",\"filename\":3}\n{}")
            .unwrap();
    assert_eq!(envelope.header, EnvelopeHeader::default());
    assert_eq!(envelope.items[0].header, ItemHeader::default());
}

#[test]
fn last_of_repeated_header_keys_wins() {
    let envelope =
        parse("{\"sent_at\":\"2026-11-20T14:31:34Z\",\"sent_at\":\"2026-11-20T15:31:34.5+01:00\"}\n").unwrap();
    assert_eq!(envelope.header.sent_at.unwrap().to_rfc3339(), "2026-11-20T14:31:34.500+00:00");
}

#[test]
fn same_item_type_twice_is_kept_twice() {
    assert_eq!(
        items("{}\n{\"type\":\"event\"}\n1\n{\"type\":\"event\"}\n2\n"),
        [pair("event", "1"), pair("event", "2")]
    );
}

#[test]
fn invalid_event_id_in_the_header_is_malformed() {
    for id in ["\"\"", "\"xyz\"", "17", "\"{9ec79c33ec9942ab8353589fcb2e04dc}\""] {
        assert_eq!(parse(&format!("{{\"event_id\":{id}}}\n")), Err(EnvelopeError::InvalidEventId), "{id}");
    }
}

#[test]
fn null_and_all_zero_event_ids_are_left_to_the_server() {
    for id in ["null", "\"00000000000000000000000000000000\""] {
        assert_eq!(parse(&format!("{{\"event_id\":{id}}}\n")).unwrap().header.event_id, None, "{id}");
    }
}

#[test]
fn reads_dsn_and_item_attributes() {
    let envelope = parse(
        "{\"dsn\":\"http://k@host/10\"}\n{\"type\":\"attachment\",\"length\":1,\"filename\":\"a.txt\",\"content_type\":\"text/plain\",\"attachment_type\":\"event.attachment\",\"item_count\":3}\nx",
    )
    .unwrap();
    assert_eq!(envelope.header.dsn.as_deref(), Some("http://k@host/10"));
    let header = &envelope.items[0].header;
    assert_eq!(header.filename.as_deref(), Some("a.txt"));
    assert_eq!(header.content_type.as_deref(), Some("text/plain"));
    assert_eq!(header.attachment_type.as_deref(), Some("event.attachment"));
    assert_eq!(header.item_count, Some(3));
}

#[test]
fn payloads_are_slices_of_the_body() {
    let body = Bytes::from_static(b"{}\n{\"type\":\"event\"}\n{\"a\":1}\n");
    let envelope = parse_envelope(&body).unwrap();
    assert_eq!(envelope.items[0].payload.as_ptr(), body.slice(20..).as_ptr());
}

#[test]
fn number_of_items_is_limited() {
    let body = format!("{{}}\n{}", "{\"type\":\"a\"}\n\n".repeat(MAX_ITEMS + 1));
    let envelope = parse(&body).unwrap();
    assert_eq!(envelope.items.len(), MAX_ITEMS);
    assert_eq!(envelope.malformed, Some(EnvelopeError::TooManyItems));
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(body in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _outcome = parse_envelope(&Bytes::from(body));
    }

    #[test]
    fn anything_behind_a_good_header_is_parsed_or_refused(lines in proptest::collection::vec(
        prop_oneof![
            Just("{\"type\":\"event\"}".to_owned()),
            Just(String::new()),
            (0_u16..40).prop_map(|length| format!("{{\"type\":\"a\",\"length\":{length}}}")),
            "[ -~]{0,24}",
        ], 0..12)) {
        let body = Bytes::from(format!("{{}}\n{}", lines.join("\n")));
        if let Ok(envelope) = parse_envelope(&body) {
            let total: usize = envelope.items.iter().map(|item| item.payload.len()).sum();
            prop_assert!(total <= body.len());
        }
    }
}
