//! A gRPC client of one receiver: a connection that is kept, and one request at a time.

use anyhow::Context as _;
use hyper::client::conn::http2;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use tonic::Status;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;

use super::refusal;
use crate::config::sinks::{Tls, Url};
use crate::grpc::Sender;
use crate::sink::Failure;
use crate::sink::service::Service;

const METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

pub(super) struct Client {
    service: Service,
    connection: Option<Grpc<Sender>>,
}

impl Client {
    pub(super) fn new(url: &Url, tls: Tls) -> anyhow::Result<Self> {
        Ok(Self { service: Service::new(url, tls, b"h2")?, connection: None })
    }

    /// Only connects.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        self.service.check()
    }

    /// Sends a request, and waits for the answer.
    pub(super) fn send(
        &mut self,
        request: ExportLogsServiceRequest,
        authorization: Option<&HeaderValue>,
    ) -> Result<ExportLogsServiceResponse, Failure> {
        let mut request = tonic::Request::new(request);
        if let Some(value) = authorization {
            let mut headers = hyper::HeaderMap::new();
            headers.insert(AUTHORIZATION, value.clone());
            *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        }
        let Self { service, connection } = self;
        service.exchange(async {
            // The other side may have closed one that was kept, which is no failure.
            let mut kept = connection.take();
            if let Some(grpc) = &mut kept
                && grpc.ready().await.is_err()
            {
                kept = None;
            }
            let mut grpc = match kept {
                Some(grpc) => grpc,
                None => connect(service).await.map_err(Failure::later)?,
            };
            let answered = export(&mut grpc, request).await;
            // A connection that has failed tells so when it is used again.
            *connection = Some(grpc);
            answered.map_err(|status| refusal::failure(&status, &service.url))
        })
    }
}

async fn connect(service: &Service) -> anyhow::Result<Grpc<Sender>> {
    let stream = service.connect().await?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    // It ends with the sender, or the runtime. Whoever waits for an answer is told of its errors as well.
    tokio::spawn(connection);
    let origin = service.url.to_string().parse().context("the address of the receiver")?;
    Ok(Grpc::with_origin(Sender(sender), origin))
}

async fn export(
    grpc: &mut Grpc<Sender>,
    request: tonic::Request<ExportLogsServiceRequest>,
) -> Result<ExportLogsServiceResponse, Status> {
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let (path, codec) = (PathAndQuery::from_static(METHOD), ProstCodec::default());
    grpc.unary(request, path, codec).await.map(tonic::Response::into_inner)
}
