//! What each request is answered.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::format::Format;
use super::scrapes::Scrapes;
use super::snapshot::Snapshot;
use super::{families, health};

/// `/metrics` in the format that the client takes, or `/healthz`.
pub(super) async fn answer(request: &Request<Incoming>, scrapes: &Scrapes) -> Response<Full<Bytes>> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let path = request.uri().path();
    if !["/metrics", "/healthz"].contains(&path) {
        return plain(StatusCode::NOT_FOUND, "there are /metrics and /healthz\n".to_owned());
    }
    match scrapes.snapshot().await {
        Some(snapshot) if path == "/metrics" => metrics(snapshot, Format::accepted(request.headers())),
        snapshot => {
            let (status, reason) = health::of(snapshot.as_ref());
            plain(status, reason + "\n")
        }
    }
}

fn metrics(snapshot: Snapshot, format: Format) -> Response<Full<Bytes>> {
    match format.encode(&families::registry(snapshot)) {
        Ok(text) => response(StatusCode::OK, format.content_type(), text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text)
}

fn response(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
