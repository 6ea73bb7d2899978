//! A receiver of OpenTelemetry's protocol from its own definitions, that a test can let refuse.

use std::sync::{Arc, Mutex};

use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tonic::{Request, Response, Status, async_trait};

use super::lab::Lab;
use super::listener::{Identity, Listener};

/// What is done about a request, whose `authorization` header is told too.
type Behaviour =
    dyn FnMut(ExportLogsServiceRequest, Option<String>) -> Result<ExportLogsServiceResponse, Status> + Send;

const SILENCE: &str = "silence";

/// A receiver by gRPC, gone when dropped.
pub struct Receiver(#[expect(dead_code, reason = "it is dropped")] Listener);

#[derive(Clone)]
struct Service(Arc<Mutex<Box<Behaviour>>>);

impl Receiver {
    /// Listens on the loopback interface of the lab's host.
    pub fn start(
        lab: &Lab,
        port: u16,
        identity: Option<&Identity>,
        behaviour: impl FnMut(
            ExportLogsServiceRequest,
            Option<String>,
        ) -> Result<ExportLogsServiceResponse, Status>
        + Send
        + 'static,
    ) -> Self {
        let service = Service(Arc::new(Mutex::new(Box::new(behaviour))));
        Self(Listener::start(lab, port, identity, move |stream| {
            let service = TowerToHyperService::new(LogsServiceServer::new(service.clone()));
            tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service));
        }))
    }
}

#[async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let answer = (self.0.lock().expect("the behaviour"))(request.into_inner(), authorization);
        if answer.as_ref().is_err_and(|status| status.message() == SILENCE) {
            std::future::pending::<()>().await;
        }
        answer.map(Response::new)
    }
}

/// There is never an answer.
pub fn silence() -> Status {
    Status::cancelled(SILENCE)
}

/// All is taken.
pub fn taken() -> ExportLogsServiceResponse {
    ExportLogsServiceResponse { partial_success: None }
}

/// All is taken but some.
pub fn all_but(rejected_log_records: i64) -> ExportLogsServiceResponse {
    let error_message = "no room".to_owned();
    ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess { rejected_log_records, error_message }),
    }
}

/// The documents of a request, as JSON.
pub fn documents(request: ExportLogsServiceRequest) -> Vec<serde_json::Value> {
    records(request).map(|record| json(record.body.expect("a body"))).collect()
}

/// The records of a request.
pub fn records(request: ExportLogsServiceRequest) -> impl Iterator<Item = LogRecord> {
    let scopes = request.resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
    scopes.flat_map(|scope| scope.log_records)
}

/// A value as JSON.
pub fn json(value: AnyValue) -> serde_json::Value {
    match value.value.expect("a value") {
        Value::StringValue(text) => text.into(),
        Value::BoolValue(value) => value.into(),
        Value::IntValue(number) => number.into(),
        Value::DoubleValue(number) => number.into(),
        Value::ArrayValue(array) => array.values.into_iter().map(json).collect(),
        Value::KvlistValue(fields) => {
            let fields = fields.values.into_iter();
            fields.map(|field| (field.key, json(field.value.expect("a value")))).collect()
        }
        other @ (Value::BytesValue(_) | Value::StringValueStrindex(_)) => panic!("{other:?} in a document"),
    }
}
