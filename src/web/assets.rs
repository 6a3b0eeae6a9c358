//! The style sheet, the script and the icon: in the binary, under names that change with their
//! content, so that browsers may keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::failure::Failure;

/// A file as it is served.
pub(super) struct Asset {
    /// `/static/app.0123456789ab.css`
    pub(super) path: String,
    content_type: &'static str,
    content: &'static [u8],
}

/// The style sheet.
pub(super) static CSS: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("app", "css", "text/css; charset=utf-8", include_bytes!("static/app.css")));
/// The script.
pub(super) static JS: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("app", "js", "text/javascript; charset=utf-8", include_bytes!("static/app.js")));
/// The icon.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("static/icon.svg")));

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, content: &'static [u8]) -> Self {
        let hash = hex::encode(Sha256::digest(content));
        let short = hash.get(..12).unwrap_or_default();
        Self { path: format!("/static/{name}.{short}.{extension}"), content_type, content }
    }

    fn respond(&self, caching: &'static str) -> Response {
        ([(header::CONTENT_TYPE, self.content_type), (header::CACHE_CONTROL, caching)], self.content).into_response()
    }
}

/// `GET /static/{name}`
pub(super) async fn show(Path(name): Path<String>) -> Result<Response, Failure> {
    let wanted = format!("/static/{name}");
    [&CSS, &JS, &ICON]
        .into_iter()
        .find(|asset| asset.path == wanted)
        .map(|asset| asset.respond("public, max-age=31536000, immutable"))
        .ok_or(Failure::NotFound)
}

/// `GET /favicon.ico`: for those who do not read the page's own link.
pub(super) async fn icon() -> Response {
    ICON.respond("public, max-age=86400")
}

#[cfg(test)]
mod tests {
    #[test]
    fn script_stays_small() {
        assert!(super::JS.content.len() < 5 * 1024, "{} bytes", super::JS.content.len());
    }
}
