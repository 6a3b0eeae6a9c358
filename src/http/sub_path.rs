//! Where the public address has a path (`https://example.com/errors`): requests and answers are what they would be at the
//! root of a host, and only here, at the edge, the path is taken off the ones and put back into the others.

use axum::body::{Body, to_bytes};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// The attributes of a page that are addresses, with the beginning of one of our own. What events bring cannot be taken
/// for them: a quotation mark of theirs is escaped, and a link of theirs names its host.
const OWN_ADDRESSES: [&str; 3] = [" href=\"/", " action=\"/", " src=\"/"];

/// `/errors/api/7/envelope/` -> `/api/7/envelope/`. A proxy in front may have taken the path off already, and health
/// checks do not know of it.
pub(super) fn take_off(public_path: &str, uri: &mut Uri) {
    let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let Some(rest) = whole.strip_prefix(public_path).filter(|_| !public_path.is_empty()) else { return };
    let inner = match rest.bytes().next() {
        Some(b'/') => rest.parse(),
        None | Some(b'?') => format!("/{rest}").parse(),
        // `/errors2/`
        Some(_) => return,
    };
    if let Ok(inner) = inner {
        *uri = inner;
    }
}

/// Puts the path before each of our addresses in a page, and in a redirect.
pub(super) async fn put_back(public_path: &str, response: Response) -> Response {
    if public_path.is_empty() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    redirect_below(public_path, &mut head.headers);
    if !is_page(&head.headers) {
        return Response::from_parts(head, body);
    }
    // A page is whole in memory already.
    let Ok(page) = to_bytes(body, usize::MAX).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(link_below(public_path, &String::from_utf8_lossy(&page))))
}

fn is_page(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|name| name.as_bytes().starts_with(b"text/html"))
}

fn redirect_below(public_path: &str, headers: &mut HeaderMap) {
    let Some(target) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else { return };
    let below = target.starts_with('/').then(|| HeaderValue::from_str(&format!("{public_path}{target}")));
    if let Some(Ok(below)) = below {
        headers.insert(header::LOCATION, below);
    }
}

fn link_below(public_path: &str, page: &str) -> String {
    OWN_ADDRESSES.iter().fold(page.to_owned(), |page, begin| {
        let (attribute, slash) = begin.split_at(begin.len().saturating_sub(1));
        page.replace(begin, &format!("{attribute}{public_path}{slash}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_public_address_is_taken_off() {
        for (public_path, whole, inner) in [
            ("/errors", "/errors/api/7/envelope/?sentry_key=x", "/api/7/envelope/?sentry_key=x"),
            ("/errors", "/errors/", "/"),
            ("/errors", "/errors", "/"),
            ("/errors", "/errors?next=x", "/?next=x"),
            ("/errors", "/errors2/", "/errors2/"),
            ("/errors", "/api/7/envelope/", "/api/7/envelope/"),
            ("/a/b", "/a/b/issues/", "/issues/"),
            ("", "/errors/", "/errors/"),
        ] {
            let mut uri = whole.parse().unwrap();
            take_off(public_path, &mut uri);
            assert_eq!(uri, *inner, "{whole} under {public_path:?}");
        }
    }

    #[test]
    fn addresses_of_ours_are_led_below_the_path_and_no_others() {
        let page = r##"<a class="x" href="/issues/"><form action="/login/"><script src="/static/a.js"></script>
            <a href="#parts"> <a href="https://x.example/"> <p>&quot; href=&quot;/etc/ href=/x</p>"##;
        let expected = page
            .replace("\"/issues", "\"/errors/issues")
            .replace("\"/login", "\"/errors/login")
            .replace("\"/static", "\"/errors/static");
        assert_eq!(link_below("/errors", page), expected);
    }

    #[test]
    fn redirects_stay_below_the_path() {
        for (target, expected) in [("/login/?next=%2F", "/errors/login/?next=%2F"), ("https://x/", "https://x/")] {
            let mut headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_static(target))]);
            redirect_below("/errors", &mut headers);
            assert_eq!(headers[header::LOCATION], expected);
        }
    }
}
