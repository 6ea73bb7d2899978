//! A gRPC client of one receiver: a connection that is kept, and one request at a time.
//!
//! Tonic's makes statuses of its own for what is no answer of the receiver's, and they look like refusals.

use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, TE, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use prost::Message as _;

use super::answer::Answer;
use crate::config::sinks::{Tls, Url};
use crate::sink::Failure;
use crate::sink::http::Headers;
use crate::sink::service::Service;

const METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

pub(super) struct Client {
    service: Service,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(super) fn new(url: &Url, tls: Tls) -> anyhow::Result<Self> {
        Ok(Self { service: Service::new(url, tls, b"h2")?, connection: None })
    }

    /// Only connects.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.service.check()
    }

    /// Sends a request, and waits for the answer.
    pub(super) fn send(
        &mut self,
        request: &ExportLogsServiceRequest,
        headers: &Headers,
    ) -> Result<ExportLogsServiceResponse, Failure> {
        let Self { service, connection } = self;
        let url = &service.url;
        let body = frame(request).map_err(Failure::later)?;
        let request = || {
            let mut request = Request::builder()
                .method(Method::POST)
                .uri(format!("{url}{METHOD}"))
                .header(TE, "trailers")
                .header(CONTENT_TYPE, "application/grpc")
                .header(USER_AGENT, concat!("smbwatch/", env!("CARGO_PKG_VERSION")))
                .body(Full::new(body.clone()))?;
            request.headers_mut().extend(headers.iter().cloned());
            anyhow::Ok(request)
        };
        let answer = service.ask(
            connection,
            async || connect(service).await,
            async |kept| answer(kept, request()?).await,
        )?;
        answer.outcome(url)
    }
}

/// A message as it is sent: a flag that says it is not compressed, its length, and itself.
fn frame(request: &ExportLogsServiceRequest) -> anyhow::Result<Bytes> {
    let length = u32::try_from(request.encoded_len()).context("a request of more than 4 GiB")?;
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    request.encode(&mut frame)?;
    Ok(frame.into())
}

async fn connect(service: &Service) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioExecutor::new(), service.connect().await?).await?;
    // It ends with the sender, or the runtime. Whoever waits for an answer is told of its errors as well.
    tokio::spawn(connection);
    Ok(sender)
}

async fn answer(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Answer> {
    sender.ready().await?;
    Answer::read(sender.send_request(request).await?).await
}
