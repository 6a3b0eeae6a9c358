//! Each filter by itself and all together.

use serde_json::json;

use super::*;
use crate::process::tests::captures::{files, incoming};
use crate::process::tests::stamp;
use crate::process::{Incoming, ProjectRules, Rejected, ScrubRules, item, process_for};

fn with(set: impl FnOnce(&mut FilterSettings)) -> ProjectRules {
    let mut settings = FilterSettings::default();
    set(&mut settings);
    ProjectRules { filters: Filters::new(&settings), scrub: ScrubRules::default() }
}

fn all_on() -> FilterSettings {
    let mut settings = FilterSettings::default();
    for filter in Filter::ALL {
        let entry = match filter {
            Filter::ClientIps => "203.0.113.0/24",
            Filter::LegacyBrowsers => "ie9",
            Filter::Releases => "0.*",
            Filter::CspSources => "*.evil.example",
            _ => "Ignored*",
        };
        if filter.is_list() {
            settings.set_entries(*filter, [entry]).unwrap();
        } else {
            settings.switch(*filter, true).unwrap();
        }
    }
    settings
}

fn fate(rules: &ProjectRules, payload: &Value) -> Option<Filter> {
    let (stamp, payload) = (stamp(), payload.to_string());
    match process_for(Incoming { stamp: &stamp, payload: payload.as_bytes() }, rules) {
        Ok(_) => None,
        Err(Rejected::Filtered(filter)) => Some(filter),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn each_filter_holds_back_its_own_and_nothing_else() {
    let agent = |text: &str| json!({ "message": "m", "request": { "headers": { "user-agent": text } } });
    let thrown = |name: &str, value: &str| json!({ "exception": { "values": [{ "type": name, "value": value }] } });
    let cases = [
        (Filter::Localhost, json!({ "message": "m", "request": { "url": "http://localhost:3000/" } })),
        (Filter::Localhost, json!({ "message": "m", "user": { "ip_address": "127.0.0.1" } })),
        (
            Filter::BrowserExtensions,
            json!({ "exception": { "values": [{ "type": "E", "value": "Extension context invalidated." }] } }),
        ),
        (Filter::LegacyBrowsers, agent("Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1)")),
        (Filter::WebCrawlers, agent("Googlebot/2.1")),
        (Filter::ErrorMessages, json!({ "exception": { "values": [{ "type": "Ignored", "value": "x" }] } })),
        (Filter::ErrorMessages, json!({ "exception": { "values": [{ "type": "Ignored" }, { "type": "Other" }] } })),
        (Filter::ErrorMessages, json!({ "logentry": { "message": "Ignored %s", "params": ["x"] } })),
        (Filter::Releases, json!({ "message": "m", "release": "0.9.1" })),
        (Filter::ChunkLoadErrors, thrown("ChunkLoadError", "Loading chunk 7 failed.")),
        (Filter::HydrationErrors, thrown("Error", "Minified React error #418; visit https://react.dev/errors/418")),
        (
            Filter::CspSources,
            json!({ "type": "csp", "csp": { "effective_directive": "img-src", "blocked_uri": "https://a.evil.example/" } }),
        ),
    ];
    for (filter, payload) in &cases {
        for one in Filter::ALL.iter().filter(|one| **one != Filter::ClientIps) {
            let (all, mut alone) = (all_on(), FilterSettings::default());
            if one.is_list() {
                alone.set_entries(*one, all.entries(*one).iter().map(String::as_str)).unwrap();
            } else {
                alone.switch(*one, true).unwrap();
            }
            let rules = ProjectRules { filters: Filters::new(&alone), scrub: ScrubRules::default() };
            assert_eq!(fate(&rules, payload), (one == filter).then_some(*one), "{} and {payload}", one.id());
        }
        assert_eq!(fate(&ProjectRules::default(), payload), None, "as shipped: {payload}");
    }
}

#[test]
fn ordinary_events_pass_all_filters() {
    let rules = ProjectRules { filters: Filters::new(&all_on()), scrub: ScrubRules::default() };
    let chrome =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
    for payload in [
        json!({}),
        json!({ "message": "not Ignored", "release": "1.0.0" }),
        json!({ "transaction": "/health", "exception": { "values": [{ "type": "KeyError", "value": "Ignored" }] } }),
        json!({ "message": "m", "request": { "url": "https://shop.example/", "headers": { "User-Agent": chrome } } }),
    ] {
        assert_eq!(fate(&rules, &payload), None, "{payload}");
    }
}

#[test]
fn an_event_is_attributed_to_one_filter() {
    let rules = ProjectRules { filters: Filters::new(&all_on()), scrub: ScrubRules::default() };
    let payload = json!({
        "message": "Ignored", "release": "0.1", "request": { "url": "http://localhost/", "headers": { "User-Agent": "Googlebot/2.1" } },
    });
    assert_eq!(fate(&rules, &payload), Some(Filter::Releases));
}

#[test]
fn senders_are_known_by_their_address() {
    for (list, wanted) in [
        (&["203.0.113.9"][..], true),
        (&["10.0.0.1", "203.0.113.0/24"], true),
        (&["203.0.113.10", "2001:db8::/32"], false),
        (&[], false),
    ] {
        let rules = with(|settings| settings.set_entries(Filter::ClientIps, list.iter().copied()).unwrap());
        assert_eq!(rules.filters.of_sender(&stamp()).is_some(), wanted, "{list:?}");
    }
    let rules = with(|settings| settings.set_entries(Filter::ClientIps, ["2001:db8::/32"]).unwrap());
    let from = |ip: Option<&str>| {
        let stamp = Stamp { client_ip: ip.map(|ip| ip.parse().unwrap()), ..stamp() };
        rules.filters.of_sender(&stamp)
    };
    assert_eq!((from(Some("2001:db8::7")), from(None)), (Some(Filter::ClientIps), None));
}

fn read(rules: &ProjectRules, item_type: &str, payload: &Value) -> Result<KeptItem, item::Unkept> {
    let stamp = Stamp { item_type: item_type.to_owned(), ..stamp() };
    item::read_for(&stamp, &bytes::Bytes::from(payload.to_string()), rules)
}

#[test]
fn transactions_are_held_back_with_their_spans() {
    let transaction = |name: &str, headers: Value| {
        json!({
            "type": "transaction", "transaction": name, "start_timestamp": 1_795_176_000.0, "timestamp": 1_795_176_001.0,
            "release": "1.0", "request": { "url": "https://shop.example/", "headers": headers },
            "contexts": { "trace": { "trace_id": "0123456789abcdef0123456789abcdef", "span_id": "0123456789abcdef" } },
            "spans": [{
                "trace_id": "0123456789abcdef0123456789abcdef", "span_id": "fedcba9876543210",
                "start_timestamp": 1_795_176_000.1, "timestamp": 1_795_176_000.2, "description": "http://localhost/",
                "data": { "url.full": "http://localhost:9000/internal" },
            }],
        })
    };
    let rules = ProjectRules { filters: Filters::new(&all_on()), scrub: ScrubRules::default() };
    let crawler = json!({ "User-Agent": "Googlebot/2.1" });
    for (payload, wanted) in [
        (transaction("GET /healthz", json!({})), Some(Filter::HealthChecks)),
        (transaction("GET /cart", crawler), Some(Filter::WebCrawlers)),
        (transaction("GET /cart", json!([["user-agent", "Googlebot/2.1"]])), Some(Filter::WebCrawlers)),
        (transaction("GET /cart", json!({})), None),
    ] {
        let reason = match read(&rules, "transaction", &payload) {
            Err(item::Unkept::HeldBack(filter)) => Some(filter),
            Err(other) => panic!("{other:?}"),
            Ok(KeptItem::Spans(spans)) => {
                assert_eq!(spans.len(), 2);
                None
            }
            Ok(other) => panic!("{other:?}"),
        };
        assert_eq!(reason, wanted, "{payload}");
    }
}

#[test]
fn of_a_container_only_what_is_meant_is_dropped() {
    let span = |id: &str, segment: &str, name: &str| {
        json!({
            "trace_id": "0123456789abcdef0123456789abcdef", "span_id": id, "name": name, "is_segment": id == segment,
            "start_timestamp": 1_795_176_000.1, "end_timestamp": 1_795_176_000.2, "status": "ok",
            "attributes": { "sentry.segment.id": { "type": "string", "value": segment } },
        })
    };
    let (one, two, three) = ("0000000000000001", "0000000000000002", "0000000000000003");
    let health = [span(one, one, "/ready"), span(two, one, "select 1")];
    let rules = ProjectRules { filters: Filters::new(&all_on()), scrub: ScrubRules::default() };
    let kept =
        read(&rules, "span", &json!({ "version": 2, "items": [health[0], health[1], span(three, three, "/cart")] }));
    let Ok(KeptItem::Spans(spans)) = kept else { panic!("{kept:?}") };
    assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["/cart"]);
    let kept = read(&rules, "span", &json!({ "version": 2, "items": health }));
    assert_eq!(kept, Err(item::Unkept::HeldBack(Filter::HealthChecks)));
}

#[test]
fn what_real_sdks_sent_is_held_back_only_where_it_came_from_localhost() {
    let mut settings = FilterSettings::default();
    for filter in Filter::ALL.iter().filter(|filter| !filter.is_list() || **filter == Filter::LegacyBrowsers) {
        settings.switch(*filter, *filter != Filter::Localhost).unwrap();
    }
    let noise = ProjectRules { filters: Filters::new(&settings), scrub: ScrubRules::default() };
    let local = with(|settings| settings.switch(Filter::Localhost, true).unwrap());
    let mut held = Vec::new();
    for file in files() {
        let (stamp, payload) = incoming(&file);
        let incoming = Incoming { stamp: &stamp, payload: &payload };
        let passed = process_for(incoming, &noise);
        assert!(passed.is_ok(), "{file}: {:?}", passed.err());
        if matches!(process_for(incoming, &local), Err(Rejected::Filtered(Filter::Localhost))) {
            held.push(file);
        }
    }
    insta::assert_debug_snapshot!(held);
}
