//! What each request is answered.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::format::Format;
use super::scrapes::{Asked, Scrapes};
use super::snapshot::Snapshot;
use super::{families, health, local};

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The Unix socket: who may open that may know what names hosts and owners.
    Unix,
    /// TCP: anyone on this host, or beyond.
    Tcp,
}

/// `/metrics` in the format that the client takes, `/healthz`, or what [`local`] tells.
pub(super) async fn answer(
    request: &Request<Incoming>,
    scrapes: &Scrapes,
    door: Door,
) -> Response<Full<Bytes>> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match (request.uri().path(), door) {
        ("/metrics", _) => match scrapes.ask(Asked::Snapshot).await {
            Some(snapshot) => metrics(snapshot, Format::accepted(request.headers())),
            None => health(None),
        },
        ("/healthz", _) => health(scrapes.ask(Asked::Snapshot).await.as_ref()),
        (path, Door::Unix) => local::answer(path, scrapes).await,
        (_, Door::Tcp) => plain(StatusCode::NOT_FOUND, "there are /metrics and /healthz\n".to_owned()),
    }
}

fn metrics(snapshot: Snapshot, format: Format) -> Response<Full<Bytes>> {
    match format.encode(&families::registry(snapshot)) {
        Ok(text) => response(StatusCode::OK, format.content_type(), text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

pub(super) fn health(snapshot: Option<&Snapshot>) -> Response<Full<Bytes>> {
    let (status, reason) = health::of(snapshot);
    plain(status, reason + "\n")
}

pub(super) fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text)
}

pub(super) fn response(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
