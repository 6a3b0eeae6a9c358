//! Reports of content-security-policy violations inside an event.

use serde_json::{Map, Value};

use crate::protocol::security_report::field_name;

/// What a policy calls the page's own origin.
const SELF: &str = "'self'";

/// What browsers say was blocked when it has no address.
const KEYWORDS: [&str; 8] =
    ["", "self", SELF, "inline", "eval", "wasm-eval", "trusted-types-policy", "trusted-types-sink"];

/// Keys in snake case; the names of the Reporting API become those of `report-uri`.
pub(super) fn normalise(report: Map<String, Value>) -> Map<String, Value> {
    report
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (field_name(&key).map_or_else(|| snake_case(&key), str::to_owned), value))
        .collect()
}

fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(if character == '-' { '_' } else { character.to_ascii_lowercase() });
    }
    out
}

/// First word of the effective directive, else of the violated one.
pub(super) fn directive(report: &Map<String, Value>) -> &str {
    ["effective_directive", "violated_directive"]
        .iter()
        .find_map(|key| report.get(*key)?.as_str()?.split_whitespace().next())
        .unwrap_or_default()
}

/// What was blocked: `'self'` for the page's own, a host for http and https, else the scheme.
pub(super) fn blocked(report: &Map<String, Value>) -> String {
    let uri = text(report, "blocked_uri");
    if KEYWORDS.contains(&uri) {
        return SELF.to_owned();
    }
    match uri.split_once("://") {
        Some(("http" | "https", rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit('@').next().unwrap_or_default().to_owned()
        }
        Some((scheme, _)) if !scheme.contains(':') => format!("{scheme}://"),
        _ => format!("{}:", uri.split(':').next().unwrap_or_default()),
    }
}

/// What violations of a directive are told apart by: what was blocked, and of the page's own scripts the kind.
pub(super) fn target(report: &Map<String, Value>) -> String {
    let uri = text(report, "blocked_uri");
    if subject(directive(report)) == "script" && KEYWORDS.contains(&uri) && !matches!(uri, "" | "self" | SELF) {
        return uri.to_owned();
    }
    // A host in capitals, or with the port that goes without saying, is the same.
    let host = blocked(report).to_ascii_lowercase();
    let without_port = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).map(str::to_owned);
    without_port.unwrap_or(host)
}

/// What a directive is about: `script` for `script-src-elem`.
fn subject(directive: &str) -> &str {
    match directive.trim_end_matches("-elem").trim_end_matches("-attr").trim_end_matches("-src") {
        "img" => "image",
        "form-action" => "form",
        other => other,
    }
}

/// The violation in words.
pub(super) fn message(report: &Map<String, Value>) -> String {
    let what = subject(directive(report));
    let blocked = blocked(report);
    let uri = text(report, "blocked_uri");
    match (blocked == SELF, what, uri) {
        (true, _, "eval") => format!("Blocked unsafe eval() '{what}'"),
        (true, _, "wasm-eval") => format!("Blocked unsafe WebAssembly '{what}'"),
        (true, _, "trusted-types-policy") => "Blocked a 'trusted-types' policy".to_owned(),
        (true, _, "trusted-types-sink") => "Blocked a text where 'trusted-types' are required".to_owned(),
        (true, "script", "inline") => "Blocked unsafe inline 'script'".to_owned(),
        (true, "script", _) => "Blocked unsafe (eval() or inline) 'script'".to_owned(),
        (true, ..) => format!("Blocked inline '{what}'"),
        (false, "form", _) => format!("Blocked 'form' action to '{blocked}'"),
        (false, ..) => format!("Blocked '{what}' from '{blocked}'"),
    }
}

/// The violated directive, with the page's own origin shown as `'self'`.
pub(super) fn culprit(report: &Map<String, Value>) -> String {
    let violated = text(report, "violated_directive");
    let document = text(report, "document_uri");
    let origin: String = document.split_inclusive('/').take(3).collect();
    let origin = origin.trim_end_matches('/');
    let violated = if violated.is_empty() { directive(report) } else { violated };
    let words = violated
        .split_whitespace()
        .map(|word| if !origin.is_empty() && word.trim_end_matches('/') == origin { SELF } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn text<'a>(report: &'a Map<String, Value>, key: &str) -> &'a str {
    report.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::process::grouping;
    use crate::process::tests::{event, stamp};
    use crate::protocol::parse_security_reports;
    use crate::protocol::security_report::Origin;

    fn report(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        normalise(map)
    }

    #[test]
    fn violations_are_put_into_words() {
        for (directive, uri, wanted) in [
            ("img-src", "https://evil.com/x.png", "Blocked 'image' from 'evil.com'"),
            ("script-src-elem", "inline", "Blocked unsafe inline 'script'"),
            ("script-src", "", "Blocked unsafe (eval() or inline) 'script'"),
            ("script-src", "eval", "Blocked unsafe eval() 'script'"),
            ("style-src-attr", "self", "Blocked inline 'style'"),
            ("form-action", "http://x:81/", "Blocked 'form' action to 'x:81'"),
            ("font-src", "data", "Blocked 'font' from 'data:'"),
            ("connect-src", "wss://x/y", "Blocked 'connect' from 'wss://'"),
            ("child-src", "https://me:pw@x/y", "Blocked 'child' from 'x'"),
            ("manifest-src", "blob:http://x", "Blocked 'manifest' from 'blob:'"),
            ("object-src", "'self'", "Blocked inline 'object'"),
            ("script-src-attr", "inline", "Blocked unsafe inline 'script'"),
            ("script-src", "wasm-eval", "Blocked unsafe WebAssembly 'script'"),
            ("trusted-types", "trusted-types-policy", "Blocked a 'trusted-types' policy"),
            ("style-src-elem", "http://cdn/x.css?y", "Blocked 'style' from 'cdn'"),
        ] {
            assert_eq!(message(&report(json!({"effectiveDirective": directive, "blocked-uri": uri}))), wanted);
        }
    }

    #[test]
    fn local_scripts_are_told_apart_by_their_kind() {
        for (directive, uri, wanted) in [
            ("script-src", "eval", "eval"),
            ("script-src-elem", "inline", "inline"),
            ("script-src", "self", SELF),
            ("style-src", "inline", SELF),
            ("script-src", "https://evil.com/x.js", "evil.com"),
        ] {
            let target = target(&report(json!({"effective-directive": directive, "blocked-uri": uri})));
            assert_eq!(target, wanted, "{directive} {uri}");
        }
    }

    #[test]
    fn reports_of_chromium_are_described_and_grouped() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/security");
        for (file, title, culprit, target) in [
            ("chromium-csp-img.http", "Blocked 'image' from '127.0.0.1:9'", "img-src", "127.0.0.1:9"),
            ("chromium-csp-inline.http", "Blocked unsafe inline 'script'", "script-src-elem", "inline"),
        ] {
            let request = std::fs::read_to_string(folder.join(file)).unwrap();
            let (_, body) = request.split_once("\n\n").unwrap();
            let violation = parse_security_reports(body.as_bytes()).unwrap().violations.remove(0);
            let payload = violation.into_event(Origin::default(), "2026-11-20T12:00:00Z".parse().unwrap());
            let event = event(&serde_json::from_slice(&payload).unwrap());
            assert_eq!((event.title.as_str(), event.culprit.as_str()), (title, culprit));
            assert_eq!(grouping::texts(&event), ["csp", culprit, target]);
            assert_eq!(event.user.unwrap().ip_address, stamp().client_ip, "the browser's own");
            assert_eq!(event.errors, [], "{file}");
        }
    }

    #[test]
    fn names_of_both_interfaces_are_read() {
        let old = report(
            json!({"violated-directive": "img-src http://x", "document-uri": "http://x/page", "blockedURL": "http://y/"}),
        );
        assert_eq!(
            (directive(&old), blocked(&old).as_str(), culprit(&old).as_str()),
            ("img-src", "y", "img-src 'self'")
        );
    }
}
