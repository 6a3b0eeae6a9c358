//! What browsers report of violated content security policies, in both of its shapes, and the events it becomes.
//!
//! `report-uri` sends `{"csp-report": {…}}`, the Reporting API a list of `{"type": "csp-violation", "body": {…}}`, with
//! reports of other kinds among them. Browsers agree neither on the spelling of the keys nor on what is a number.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

/// Reports of one request that are looked at; browsers send a handful.
pub const MAX_REPORTS: usize = 100;

/// Characters of a field.
const MAX_TEXT: usize = 2048;

/// Characters of a policy.
const MAX_POLICY: usize = 8192;

/// Bytes of a key that are worth comparing: more than the longest we know.
const MAX_KEY: usize = 40;

/// A report that waited longer than this in the browser, in milliseconds, is taken to be this old.
const MAX_AGE_MS: i64 = 7 * 24 * 3600 * 1000;

/// What a policy calls the page's own.
const OWN: &str = "self";

/// What a policy may be about. A report about anything else is none: whoever may report could make up any number of them.
const DIRECTIVES: &[&str] = &[
    "base-uri",
    "block-all-mixed-content",
    "child-src",
    "connect-src",
    "default-src",
    "fenced-frame-src",
    "font-src",
    "form-action",
    "frame-ancestors",
    "frame-src",
    "img-src",
    "manifest-src",
    "media-src",
    "navigate-to",
    "object-src",
    "plugin-types",
    "prefetch-src",
    "referrer",
    "require-sri-for",
    "require-trusted-types-for",
    "sandbox",
    "script-src",
    "script-src-attr",
    "script-src-elem",
    "style-src",
    "style-src-attr",
    "style-src-elem",
    "trusted-types",
    "upgrade-insecure-requests",
    "worker-src",
];

/// The reports of one request.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct SecurityReports {
    /// Violations of a content security policy.
    pub violations: Vec<Violation>,
    /// Reports of other kinds: deprecations, interventions, certificates, ….
    pub others: u64,
    /// What is no report at all, or a violation of nothing a policy knows.
    pub invalid: u64,
    /// Reports beyond [`MAX_REPORTS`].
    pub surplus: u64,
}

/// One violation.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    fields: Map<String, Value>,
    directive: String,
    /// The browser, if the report itself says.
    user_agent: Option<String>,
    /// How long it waited in the browser.
    age_ms: i64,
}

/// What is known of a report from around it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin<'a> {
    /// `sentry_release`, of the address or of the item's header.
    pub release: Option<&'a str>,
    /// `sentry_environment`, likewise.
    pub environment: Option<&'a str>,
    /// The request's `User-Agent`.
    pub user_agent: Option<&'a str>,
}

enum Report {
    Violation(Violation),
    Other,
    Invalid,
}

/// Reads the body of a report, or of a list of reports. An error: it is no JSON.
pub fn parse_security_reports(body: &[u8]) -> Result<SecurityReports, serde_json::Error> {
    let list = match serde_json::from_slice(body)? {
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut reports = SecurityReports::default();
    for (index, report) in list.into_iter().enumerate() {
        if index >= MAX_REPORTS {
            reports.surplus += 1;
            continue;
        }
        match read(report) {
            Report::Violation(violation) => reports.violations.push(violation),
            Report::Other => reports.others += 1,
            Report::Invalid => reports.invalid += 1,
        }
    }
    Ok(reports)
}

fn read(report: Value) -> Report {
    let Value::Object(mut report) = report else { return Report::Invalid };
    if let Some(body) = report.remove("csp-report") {
        return violation(body, &Map::new());
    }
    if report.get("type").and_then(Value::as_str) == Some("csp-violation") {
        return violation(report.remove("body").unwrap_or_default(), &report);
    }
    Report::Other
}

/// Reads a violation; `around` is what the Reporting API puts around it.
fn violation(body: Value, around: &Map<String, Value>) -> Report {
    let Value::Object(body) = body else { return Report::Invalid };
    let mut fields = Map::new();
    for (key, value) in body {
        if let Some(name) = field_name(&key)
            && let Some(value) = field_value(name, &value)
        {
            fields.entry(name).or_insert(value);
        }
    }
    if let (None, Some(url)) = (fields.get("document_uri"), around.get("url")) {
        fields.extend(field_value("document_uri", url).map(|url| ("document_uri".to_owned(), url)));
    }
    let first_word = |name: &str| fields.get(name)?.as_str()?.split_whitespace().next().map(str::to_ascii_lowercase);
    let directive = first_word("effective_directive").or_else(|| first_word("violated_directive"));
    let Some(directive) = directive.filter(|name| DIRECTIVES.contains(&name.as_str())) else { return Report::Invalid };
    fields.entry("blocked_uri").or_insert_with(|| OWN.into());
    Report::Violation(Violation {
        fields,
        directive,
        user_agent: around.get("user_agent").and_then(Value::as_str).map(|text| cut(text, MAX_TEXT).to_owned()),
        age_ms: around.get("age").and_then(Value::as_i64).unwrap_or_default().clamp(0, MAX_AGE_MS),
    })
}

/// Our name of a field, whatever way it is spelt: `blocked-uri`, `blocked_uri`, `blockedURI`, `blockedURL`.
pub fn field_name(key: &str) -> Option<&'static str> {
    if key.len() > MAX_KEY {
        return None;
    }
    let letters: String =
        key.chars().filter(|letter| !matches!(letter, '-' | '_')).map(|letter| letter.to_ascii_lowercase()).collect();
    Some(match letters.as_str() {
        "blockeduri" | "blockedurl" => "blocked_uri",
        "columnnumber" => "column_number",
        "disposition" => "disposition",
        "documenturi" | "documenturl" => "document_uri",
        "effectivedirective" => "effective_directive",
        "linenumber" => "line_number",
        "originalpolicy" => "original_policy",
        "referrer" => "referrer",
        "sample" | "scriptsample" => "script_sample",
        "sourcefile" => "source_file",
        "statuscode" => "status_code",
        "violateddirective" => "violated_directive",
        _ => return None,
    })
}

/// A field's value, if it says anything.
fn field_value(name: &str, value: &Value) -> Option<Value> {
    if matches!(name, "column_number" | "line_number" | "status_code") {
        let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
        return number.map(Value::from);
    }
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let text = match name {
        "original_policy" => cut(&without_destination(&text), MAX_POLICY).to_owned(),
        _ => cut(&text, MAX_TEXT).to_owned(),
    };
    (!text.is_empty()).then_some(Value::String(text))
}

/// A policy without the addresses it reports to: they carry our own key, and say nothing of a violation.
fn without_destination(policy: &str) -> String {
    let directives = policy.split(';').map(str::trim).filter(|directive| {
        let name = directive.split_whitespace().next().unwrap_or_default();
        !name.eq_ignore_ascii_case("report-uri") && !name.eq_ignore_ascii_case("report-to")
    });
    directives.collect::<Vec<_>>().join("; ")
}

/// At most `limit` characters.
fn cut(text: &str, limit: usize) -> &str {
    text.char_indices().nth(limit).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

impl Violation {
    /// The event in JSON, as an SDK could have sent it. The user's address is left to be filled in with the sender's.
    pub fn into_event(self, origin: Origin<'_>, received_at: DateTime<Utc>) -> Vec<u8> {
        let text = |name: &str| self.fields.get(name).and_then(Value::as_str);
        let blocked = text("blocked_uri").unwrap_or(OWN);
        let mut tags = vec![json!(["effective-directive", self.directive]), json!(["blocked-uri", blocked])];
        tags.extend(host(blocked).map(|host| json!(["blocked-host", host])));
        let user_agent = self.user_agent.as_deref().or(origin.user_agent).map(|text| json!(["User-Agent", text]));
        let referrer = text("referrer").map(|text| json!(["Referer", text]));
        let headers: Vec<Value> = user_agent.into_iter().chain(referrer).collect();
        let event = json!({
            "type": "csp",
            "platform": "other",
            "logger": "csp",
            "timestamp": (received_at - TimeDelta::milliseconds(self.age_ms)).to_rfc3339(),
            "release": origin.release,
            "environment": origin.environment,
            "request": { "url": text("document_uri"), "headers": headers },
            "user": { "ip_address": "{{auto}}" },
            "tags": tags,
            "csp": self.fields,
        });
        event.to_string().into_bytes()
    }
}

/// The host (with its port) of an address by http or https.
fn host(address: &str) -> Option<&str> {
    let (scheme, rest) = address.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit('@').next().filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &Value) -> SecurityReports {
        parse_security_reports(body.to_string().as_bytes()).unwrap()
    }

    fn event(violation: Violation, origin: Origin<'_>) -> Value {
        let at = "2026-11-20T12:00:00Z".parse().unwrap();
        serde_json::from_slice(&violation.into_event(origin, at)).unwrap()
    }

    #[test]
    fn the_csp_report_object_becomes_an_event() {
        let body = json!({"csp-report": {
            "document-uri": "http://shop.example/cart", "referrer": "http://shop.example/", "violated-directive": "img-src",
            "effective-directive": "img-src", "blocked-uri": "https://me@evil.com:8443/x.png", "line-number": 1,
            "original-policy": "default-src 'self'; img-src 'none'; report-uri https://errors/api/1/security/?sentry_key=k",
            "status-code": "200", "script-sample": "", "column-number": 103, "disposition": "enforce"}});
        let reports = parse(&body);
        let origin = Origin { release: Some("1.0"), environment: Some("prod"), user_agent: Some("Browser/1") };
        assert_eq!(
            event(reports.violations[0].clone(), origin),
            json!({
                "type": "csp", "platform": "other", "logger": "csp", "timestamp": "2026-11-20T12:00:00+00:00",
                "release": "1.0", "environment": "prod", "user": {"ip_address": "{{auto}}"},
                "request": {"url": "http://shop.example/cart",
                    "headers": [["User-Agent", "Browser/1"], ["Referer", "http://shop.example/"]]},
                "tags": [["effective-directive", "img-src"], ["blocked-uri", "https://me@evil.com:8443/x.png"],
                    ["blocked-host", "evil.com:8443"]],
                "csp": {
                    "document_uri": "http://shop.example/cart", "referrer": "http://shop.example/",
                    "violated_directive": "img-src", "effective_directive": "img-src", "disposition": "enforce",
                    "blocked_uri": "https://me@evil.com:8443/x.png", "line_number": 1, "column_number": 103,
                    "status_code": 200, "original_policy": "default-src 'self'; img-src 'none'"},
            })
        );
    }

    #[test]
    fn the_reporting_api_sends_several_kinds_at_once() {
        let violation = json!({"type": "csp-violation", "age": 1500, "url": "http://x/", "user_agent": "Own/2", "body": {
            "blockedURL": "inline", "effectiveDirective": "script-src-elem", "sample": "alert(1)", "lineNumber": "7"}});
        let reports =
            parse(&json!([violation, {"type": "deprecation", "body": {}}, {"type": "crash"}, 7, {}, violation]));
        assert_eq!((reports.violations.len(), reports.others, reports.invalid), (2, 3, 1));
        let event = event(reports.violations[0].clone(), Origin { user_agent: Some("Other/1"), ..Origin::default() });
        assert_eq!(event["timestamp"], "2026-11-20T11:59:58.500+00:00");
        assert_eq!(event["request"], json!({"url": "http://x/", "headers": [["User-Agent", "Own/2"]]}));
        let csp = json!({"blocked_uri": "inline", "effective_directive": "script-src-elem", "script_sample": "alert(1)",
            "line_number": 7, "document_uri": "http://x/"});
        assert_eq!(event["csp"], csp);
        assert_eq!(parse(&violation).violations.len(), 1, "also by itself");
    }

    #[test]
    fn every_spelling_of_a_key_is_understood() {
        for (name, spellings) in [
            ("blocked_uri", ["blocked-uri", "blocked_uri", "blockedUri", "blockedURL"]),
            ("document_uri", ["document-uri", "document_uri", "documentURI", "documentURL"]),
            ("script_sample", ["script-sample", "script_sample", "scriptSample", "sample"]),
            ("source_file", ["source-file", "source_file", "sourceFile", "SourceFile"]),
        ] {
            for spelling in spellings {
                assert_eq!(field_name(spelling), Some(name), "{spelling}");
            }
        }
        assert_eq!(field_name("csp-version"), None);
    }

    #[test]
    fn without_blocked_uri_it_is_self_and_an_unknown_directive_is_invalid() {
        let report = |body: Value| parse(&json!({ "csp-report": body }));
        let old = report(json!({"violated-directive": "style-src 'self' http://x"}));
        assert_eq!(event(old.violations[0].clone(), Origin::default())["csp"]["blocked_uri"], "self");
        for body in [
            json!({"effective-directive": "made-up"}),
            json!({"blocked-uri": "http://x"}),
            json!({}),
            json!([]),
            json!("x"),
            json!({"effective-directive": 5, "violated-directive": {"a": 1}}),
        ] {
            let reports = report(body.clone());
            assert_eq!((reports.violations.len(), reports.invalid), (0, 1), "{body}");
        }
    }

    #[test]
    fn reports_and_their_fields_are_limited() {
        let long = "é".repeat(MAX_POLICY + 1);
        let one =
            json!({"csp-report": {"effective-directive": "img-src", "blocked-uri": long, "original-policy": long}});
        let reports = parse(&Value::Array(vec![one; MAX_REPORTS + 3]));
        assert_eq!((reports.violations.len(), reports.surplus), (MAX_REPORTS, 3));
        let csp = &reports.violations[0].fields;
        let length = |name: &str| csp[name].as_str().unwrap().chars().count();
        assert_eq!((length("blocked_uri"), length("original_policy")), (MAX_TEXT, MAX_POLICY));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z':/.; -]{0,20}".prop_map(Value::from),
            Just(json!("img-src 'none'")),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            let key = prop_oneof![
                Just("csp-report".to_owned()),
                Just("type".to_owned()),
                Just("body".to_owned()),
                Just("age".to_owned()),
                Just("effectiveDirective".to_owned()),
                Just("blocked-uri".to_owned()),
                "[a-z]{1,6}",
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((key, inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_counted_once_and_every_violation_is_an_event(body in value()) {
            let reports = parse(&body);
            let length = body.as_array().map_or(1, Vec::len) as u64;
            prop_assert_eq!(reports.violations.len() as u64 + reports.others + reports.invalid + reports.surplus, length);
            for violation in reports.violations {
                let event = event(violation, Origin::default());
                prop_assert!(event["csp"]["blocked_uri"].is_string());
                prop_assert_eq!(&event["type"], "csp");
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _outcome = parse_security_reports(&body);
        }
    }
}
