//! Errors of browsers that tell nothing of the program: a new version of the page is there, or React has mended itself.

use crate::protocol::Event;
use crate::protocol::event::Exception;

/// Where React's messages lead, without the number of the error.
const REACT: [&str; 2] = ["https://reactjs.org/docs/error-decoder.html?invariant=", "https://react.dev/errors/"];

/// What the server and the browser have rendered is not the same; React renders once more.
const HYDRATION: [u32; 6] = [418, 419, 421, 422, 423, 425];

/// True for a part of the page that could not be loaded, as after a deployment.
pub(super) fn is_chunk_load(event: &Event) -> bool {
    let is_one = |exception: &Exception| {
        let (name, value) = parts(exception);
        let of_bundler = ["Loading chunk ", "Failed to load chunk "].iter().any(|text| value.contains(text));
        let is_named = name == "ChunkLoadError" || (name.contains("Uncaught ") && value.starts_with("ChunkLoadError:"));
        (is_named && of_bundler) || value.starts_with("Uncaught (in promise): ChunkLoadError")
    };
    event.exception.values.iter().any(is_one)
}

/// True for what React says, in production, when it hydrates a page that is not what it expected.
pub(super) fn is_hydration(event: &Event) -> bool {
    let number = |text: &str| {
        let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        text.get(..end).and_then(|digits| digits.parse::<u32>().ok())
    };
    let is_one = |exception: &Exception| {
        let (_, value) = parts(exception);
        let mut links = REACT.iter().filter_map(|link| value.split_once(link));
        links.any(|(_, rest)| number(rest).is_some_and(|number| HYDRATION.contains(&number)))
    };
    event.exception.values.iter().any(is_one)
}

fn parts(exception: &Exception) -> (&str, &str) {
    (exception.exception_type.as_deref().unwrap_or_default(), exception.value.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::process::tests::event;

    fn thrown(name: &str, value: &str) -> Event {
        event(&json!({ "exception": { "values": [{ "type": name, "value": value }] } }))
    }

    #[test]
    fn parts_of_pages_that_are_gone_are_known() {
        for (name, value, wanted) in [
            ("ChunkLoadError", "Loading chunk 3662 failed.\n(error: https://shop.example/3662.js)", true),
            ("ChunkLoadError", "Failed to load chunk /_next/static/chunks/x.js", true),
            ("Uncaught ChunkLoadError", "ChunkLoadError: Loading chunk 7 failed.", true),
            ("Error", "Uncaught (in promise): ChunkLoadError: Loading chunk 175 failed.", true),
            ("ChunkLoadError", "something else", false),
            ("Error", "Loading chunk 7 failed.", false),
            ("KeyError", "ChunkLoadError", false),
        ] {
            assert_eq!(is_chunk_load(&thrown(name, value)), wanted, "{name}: {value}");
        }
    }

    #[test]
    fn hydration_is_known_by_its_number() {
        for (value, wanted) in [
            ("Minified React error #423; visit https://reactjs.org/docs/error-decoder.html?invariant=423 for", true),
            ("Minified React error #418; visit https://react.dev/errors/418?args[]=HTML for the full message", true),
            ("Minified React error #31; visit https://react.dev/errors/31 for the full message", false),
            ("visit https://react.dev/errors/4180", false),
            ("Hydration failed", false),
        ] {
            assert_eq!(is_hydration(&thrown("Error", value)), wanted, "{value}");
        }
        assert!(!is_hydration(&event(&json!({ "message": "https://react.dev/errors/418" }))));
    }
}
