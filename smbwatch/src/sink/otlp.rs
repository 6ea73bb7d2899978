//! A receiver of OpenTelemetry's protocol, over gRPC or HTTP. <https://opentelemetry.io/docs/specs/otlp/>

mod grpc;
mod answer;
mod refusal;

use anyhow::Context as _;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use prost::Message as _;

use super::http::{Client, Headers};
use super::stored::Stored;
use super::webhook;
use super::{Failure, Fate, Sink, encode};
use crate::config::sinks::{OtlpTarget, Protocol};

/// Where receivers take logs by HTTP.
const PATH: &str = "/v1/logs";

pub(super) struct Otlp {
    way: Way,
    /// Those that hold keys.
    headers: Headers,
}

enum Way {
    Grpc(grpc::Client),
    Http { client: Client, path: String },
}

impl Otlp {
    pub(super) fn new(target: &OtlpTarget) -> anyhow::Result<Self> {
        let OtlpTarget { url, protocol, bearer, headers, .. } = target;
        let way = match protocol {
            Protocol::Grpc => Way::Grpc(grpc::Client::new(url, target.tls())?),
            Protocol::Http => {
                let path = if url.path == "/" { PATH } else { &url.path };
                Way::Http { client: Client::new(url, target.tls())?, path: path.to_owned() }
            }
        };
        Ok(Self { way, headers: webhook::headers(bearer.as_ref(), headers)? })
    }

    fn send(&mut self, request: &ExportLogsServiceRequest) -> Result<ExportLogsServiceResponse, Failure> {
        match &mut self.way {
            Way::Grpc(client) => client.send(request, &self.headers),
            Way::Http { client, path } => {
                let content = (CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                let headers = std::iter::once(content).chain(self.headers.iter().cloned()).collect();
                let answer = client.send(Method::POST, path, headers, request.encode_to_vec())?;
                if let Some(failure) = answer.failure() {
                    return Err(failure);
                }
                let response = ExportLogsServiceResponse::decode(answer.body);
                response.context("answered what OTLP does not; correct its `url`").map_err(Failure::later)
            }
        }
    }
}

impl Sink for Otlp {
    fn deliver(&mut self, alerts: &[Stored]) -> Result<Vec<Fate>, Failure> {
        let response = self.send(&encode::otlp(alerts))?;
        let mut fates = vec![Fate::Delivered; alerts.len()];
        // How many were refused is told, but not which; they must not be sent again.
        if let Some(partial) = response.partial_success {
            let refused = usize::try_from(partial.rejected_log_records).unwrap_or(0).min(fates.len());
            let reason = Fate::Refused(partial.error_message);
            fates.iter_mut().rev().take(refused).for_each(|fate| fate.clone_from(&reason));
        }
        Ok(fates)
    }

    /// A request without data is to be taken, says the specification.
    fn check(&mut self) -> Result<(), Failure> {
        match &mut self.way {
            Way::Grpc(client) => client.check()?,
            Way::Http { client, .. } => client.check()?,
        }
        let Err(failure) = self.send(&ExportLogsServiceRequest::default()) else { return Ok(()) };
        let protocol = match self.way {
            Way::Grpc(_) => "gRPC",
            Way::Http { .. } => "HTTP",
        };
        Err(match failure {
            Failure::Later(error, after) if error.chain().any(|cause| cause.is::<hyper::Error>()) => {
                let advice = format!("does it speak {protocol}? if not, correct `url` or `protocol`");
                Failure::Later(error.context(advice), after)
            }
            Failure::Later(..) | Failure::Refused(_) => failure,
        })
    }
}
