//! What is answered to a call by gRPC: by the receiver, or by a proxy in its place.
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses>

use anyhow::{Context as _, anyhow};
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::refusal;
use crate::config::sinks::Url;
use crate::sink::Failure;
use crate::sink::http::retry_after;

/// Bytes of one answer that are read.
const MAX_ANSWER: usize = 4 << 20;
/// What [`Status`] reads of the details, and panics at where they are not base64.
const DETAILS: &str = "grpc-status-details-bin";

pub(super) struct Answer {
    head: Parts,
    body: Collected<Bytes>,
}

impl Answer {
    /// Reads the whole answer, but not what a proxy has written for people.
    pub(super) async fn read(response: Response<Incoming>) -> anyhow::Result<Self> {
        let (head, body) = response.into_parts();
        let body = if head.status == StatusCode::OK && is_grpc(&head.headers) {
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            body.map_err(anyhow::Error::from_boxed).context("read the answer")?
        } else {
            Collected::default()
        };
        Ok(Self { head, body })
    }

    /// What it means for the request, which only the receiver can refuse: it gives a `grpc-status`.
    pub(super) fn outcome(self, url: &Url) -> Result<ExportLogsServiceResponse, Failure> {
        let Self { head, body } = self;
        let later =
            |said: &str| Err(Failure::Later(anyhow!("{url}: answered {said}"), retry_after(&head.headers)));
        let status = head.status;
        match status.as_u16() {
            200 if is_grpc(&head.headers) => {}
            200 => return later("what is not gRPC; correct its `url`"),
            // Half of it may pass.
            413 => return Err(Failure::Refused(format!("answered {status}"))),
            401 | 403 => return later(&format!("{status}; give it a key that may write there")),
            300..=399 | 404 | 405 => return later(&format!("{status}; correct its `url`")),
            _ => return later(&status.to_string()),
        }
        let said = said(&head.headers).or_else(|| said(body.trailers()?));
        match said {
            Some(status) if status.code() == Code::Ok => {}
            Some(status) => return Err(refusal::failure(&status, url)),
            None => return later("without a `grpc-status`: it was cut off"),
        }
        message(&body.to_bytes()).map_or_else(|| later("what OTLP does not"), Ok)
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn said(headers: &HeaderMap) -> Option<Status> {
    let mut headers = headers.clone();
    let details = MetadataMap::from_headers(headers.clone());
    if details.get_bin(DETAILS).is_some_and(|details| details.to_bytes().is_err()) {
        headers.remove(DETAILS);
    }
    Status::from_header_map(&headers)
}

/// A flag of compression, which nobody has offered, and the length of what follows.
fn message(body: &[u8]) -> Option<ExportLogsServiceResponse> {
    let ([0, length @ ..], message) = body.split_first_chunk::<5>()? else { return None };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (length == message.len()).then_some(())?;
    ExportLogsServiceResponse::decode(message).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_receiver_refuses() {
        let url = Url::try_from("http://127.0.0.1:4317".to_owned()).expect("a URL");
        let (grpc, page) = ("application/grpc+proto", "text/html");
        for (status, content, headers, body, expected) in [
            (200, grpc, [("grpc-status", "0"), ("a", "b")], &[0, 0, 0, 0, 0][..], Ok(())),
            (200, grpc, [("grpc-status", "0"), ("a", "b")], &[], Err("answered what OTLP does not")),
            (200, grpc, [("grpc-status", "0"), ("a", "b")], b"<html>", Err("answered what OTLP does not")),
            (200, grpc, [("grpc-status", "0"), ("a", "b")], &[0, 0, 0, 0, 2, 10], Err("answered what OTLP")),
            (200, grpc, [("grpc-status", "0"), ("a", "b")], &[1, 0, 0, 0, 0], Err("answered what OTLP")),
            (200, grpc, [("a", "b"), ("c", "d")], &[0, 0, 0, 0, 0], Err("answered without a `grpc-status`")),
            (200, page, [("a", "b"), ("c", "d")], &[], Err("answered what is not gRPC; correct its `url`")),
            (503, page, [("a", "b"), ("c", "d")], &[], Err("answered 503 Service Unavailable")),
            (400, page, [("a", "b"), ("c", "d")], &[], Err("answered 400 Bad Request")),
            (302, page, [("a", "b"), ("c", "d")], &[], Err("answered 302 Found; correct its `url`")),
            (
                200,
                grpc,
                [("grpc-status", "14"), (DETAILS, "not base64!")],
                &[],
                Err("answered Unavailable: The service is currently unavailable"),
            ),
        ] {
            let mut builder = Response::builder().status(status).header(CONTENT_TYPE, content);
            for (name, value) in headers {
                builder = builder.header(name, value);
            }
            let (head, ()) = builder.body(()).expect("an answer").into_parts();
            let body = http_body_util::Full::new(Bytes::copy_from_slice(body)).collect();
            let body = futures_util::FutureExt::now_or_never(body).expect("at once").expect("a body");
            let outcome = Answer { head, body }.outcome(&url);
            match (outcome, expected) {
                (Ok(_), Ok(())) => {}
                (Err(Failure::Later(error, _)), Err(said)) => {
                    let said = format!("{url}: {said}");
                    assert!(format!("{error:#}").starts_with(&said), "{error:#}, not {said}");
                }
                (outcome, expected) => panic!("{outcome:?}, not {expected:?}"),
            }
        }
    }
}
