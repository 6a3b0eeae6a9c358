//! A web site that is not the appliance: the pages in which the browser's SDK runs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What a path answers with.
pub(super) struct Page {
    pub(super) content_type: &'static str,
    /// Other headers, by name.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Page {
    /// A page of HTML.
    pub(super) fn html(body: &str) -> Self {
        Self { content_type: "text/html", headers: Vec::new(), body: body.into() }
    }

    /// A script.
    pub(super) fn script(body: Vec<u8>) -> Self {
        Self { content_type: "text/javascript", headers: Vec::new(), body }
    }
}

/// Serves pages on a port of 127.0.0.1 until it is dropped; 404 for every other path.
pub(super) struct Pages {
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Pages {
    /// Serves these, by path.
    pub(super) async fn serve(pages: impl IntoIterator<Item = (&'static str, Page)>) -> Self {
        let pages: Arc<BTreeMap<&str, Page>> = Arc::new(pages.into_iter().collect());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let pages = Arc::clone(&pages);
                let service = service_fn(move |request: Request<_>| {
                    let response = answer(pages.get(request.uri().path()));
                    std::future::ready(Ok::<_, Infallible>(response))
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { port, task }
    }

    /// The address of a page.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(page: Option<&Page>) -> Response<Full<Bytes>> {
    let Some(page) = page else {
        return Response::builder().status(404).body(Full::default()).unwrap();
    };
    let mut response = Response::builder().header("content-type", page.content_type);
    for (name, value) in &page.headers {
        response = response.header(*name, value);
    }
    response.body(Full::from(page.body.clone())).unwrap()
}
