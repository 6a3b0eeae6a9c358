//! Errors that extensions of browsers cause in other people's pages: where their code lies, and what they are known to
//! say.

use serde_json::Value;

use crate::protocol::Event;
use crate::protocol::event::{Exception, Frame};

/// Schemes that only a browser's own code and its extensions have.
const SCHEMES: [&str; 7] = [
    "chrome-extension:",
    "chrome:",
    "moz-extension:",
    "ms-browser-extension:",
    "safari-extension:",
    "safari-web-extension:",
    "webkit-masked-url:",
];

/// Scripts that extensions, toolbars and filters put into pages, or that are blocked by them; in lower case.
const SOURCES: [&str; 9] = [
    "graph.facebook.com",
    "connect.facebook.net",
    "eatdifferent.com.woopra-ns.com",
    "static.woopra.com/js/woopra.js",
    "127.0.0.1:4001/isrunning",
    "webappstoolbarba.texthelp.com/",
    "metrics.itunes.apple.com.edgesuite.net/",
    "kaspersky-labs.com",
    "webkit-masked-url",
];

/// What such errors say; in lower case.
const MESSAGES: [&str; 21] = [
    "top.globals",
    "originalcreatenotification",
    "canvas.contentdocument",
    "myapp_removeallhighlights",
    "http://tt.epicplay.com",
    "can't find variable: zitereader",
    "jigsaw is not defined",
    "combosearch is not defined",
    "http://loading.retry.widdit.com/",
    "atomicfindclose",
    "fb_xd_fragment",
    "bmi_safeaddonload",
    "ebcallbackmessagereceived",
    "_gcrweb",
    "conduitpage",
    "null is not an object (evaluating 'elt.parentnode')",
    "plugin.setsuspendstate is not a function",
    "extension context invalidated",
    "webkit-masked-url:",
    "can't access dead object",
    "message channel closed before a response was received",
];

/// Places that say nothing.
const NOWHERE: [&str; 2] = ["<anonymous>", "[native code]"];

/// True if an extension is to blame for the event.
pub(super) fn is_at_fault(event: &Event) -> bool {
    let page = event.request.as_ref().and_then(|request| request.url.as_deref());
    let blocked = ["blocked_uri", "source_file"].iter().filter_map(|key| event.csp.get(*key).and_then(Value::as_str));
    page.into_iter().chain(blocked).any(has_scheme) || event.exception.values.iter().any(is_of_extension)
}

fn is_of_extension(exception: &Exception) -> bool {
    let says = exception.value.as_deref().map(str::to_ascii_lowercase);
    if says.is_some_and(|text| MESSAGES.iter().any(|message| text.contains(message))) {
        return true;
    }
    let frames = exception.stacktrace.as_ref().map(|stack| stack.frames.as_slice()).unwrap_or_default();
    let place = frames.iter().rev().filter_map(place).find(|place| !NOWHERE.contains(place));
    place.is_some_and(|place| {
        let place = place.to_ascii_lowercase();
        has_scheme(&place) || SOURCES.iter().any(|source| place.contains(source))
    })
}

fn place(frame: &Frame) -> Option<&str> {
    frame.abs_path.as_deref().or(frame.filename.as_deref())
}

/// What browsers report of a blocked script may be the scheme alone, without its colon.
fn has_scheme(text: &str) -> bool {
    let starts = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    SCHEMES.iter().any(|scheme| starts(scheme) || text.eq_ignore_ascii_case(scheme.trim_end_matches(':')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::process::tests::event;

    fn thrown(value: &str, places: &[&str]) -> Event {
        let frames: Vec<Value> = places.iter().map(|place| json!({ "abs_path": place, "lineno": 1 })).collect();
        let exception = json!({ "type": "Error", "value": value, "stacktrace": { "frames": frames } });
        event(&json!({ "platform": "javascript", "exception": { "values": [exception] } }))
    }

    #[test]
    fn code_of_extensions_is_known_by_where_it_lies() {
        for (places, wanted) in [
            (&["https://shop.example/app.js", "chrome-extension://abc/content.js"][..], true),
            (&["chrome-extension://abc/content.js", "https://shop.example/app.js"], false),
            (&["moz-extension://abc/content.js", "<anonymous>"], true),
            (&["safari-web-extension://abc/content.js"], true),
            (&["safari-extension://abc/content.js"], true),
            (&["chrome://global/content.js"], true),
            (&["https://connect.facebook.net/en_US/sdk.js"], true),
            (&["https://ff.kis.v2.scr.kaspersky-labs.com/main.js"], true),
            (&["https://shop.example/chrome-extension.js"], false),
            (&["<anonymous>"], false),
            (&[], false),
        ] {
            assert_eq!(is_at_fault(&thrown("x is not a function", places)), wanted, "{places:?}");
        }
    }

    #[test]
    fn what_they_say_is_known() {
        for (value, wanted) in [
            ("Extension context invalidated.", true),
            ("Can't find variable: ZiteReader", true),
            ("TypeError: can't access dead object", true),
            ("undefined is not an object (evaluating 'window._gCrWeb.x')", true),
            ("the context of the extension is fine", false),
            ("", false),
        ] {
            assert_eq!(is_at_fault(&thrown(value, &["https://shop.example/app.js"])), wanted, "{value}");
        }
    }

    #[test]
    fn reports_and_pages_of_extensions_are_known_too() {
        let report = |uri: &str, source: &str| {
            let csp = json!({ "effective_directive": "script-src", "blocked_uri": uri, "source_file": source });
            event(&json!({ "type": "csp", "csp": csp, "request": { "url": "https://shop.example/" } }))
        };
        assert!(is_at_fault(&report("chrome-extension", "")) && is_at_fault(&report("chrome-extension://a/b.js", "")));
        assert!(is_at_fault(&report("inline", "moz-extension://a/b.js")));
        assert!(!is_at_fault(&report("https://evil.example/x.js", "https://shop.example/")));
        assert!(is_at_fault(&event(
            &json!({ "message": "m", "request": { "url": "chrome-extension://a/popup.html" } })
        )));
    }
}
