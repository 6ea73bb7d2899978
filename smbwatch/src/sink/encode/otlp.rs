//! OpenTelemetry's log records. <https://opentelemetry.io/docs/specs/otel/logs/data-model/>
//!
//! An alert is a whole request, with its host as the resource: requests put one after another are a request with
//! all that is in them, as protocol buffers have it.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::Value as Json;

use super::priority;
use crate::alert::Document;
use crate::sink::Encode;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The document as the record's body, and what people filter by as its attributes.
pub(in crate::sink) fn otlp() -> Encode {
    Box::new(|document| {
        let record = record(document, serde_json::to_value(document)?);
        let source = [
            ("service.name", "smbwatch"),
            ("service.version", VERSION),
            ("host.name", &document.host.name),
            ("host.id", &document.host.id),
        ];
        let known = source.into_iter().filter(|(_, value)| !value.is_empty());
        let attributes = known.map(|(key, value)| attribute(key, value.into()));
        let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
        let scope = InstrumentationScope {
            name: "smbwatch".to_owned(),
            version: VERSION.to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_logs = ScopeLogs { scope: Some(scope), log_records: vec![record], ..ScopeLogs::default() };
        let logs = ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![scope_logs],
            ..ResourceLogs::default()
        };
        Ok(ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec())
    })
}

fn record(document: &Document, body: Json) -> LogRecord {
    let (event, source, destination) = (&document.event, &document.source, &document.destination);
    let nanoseconds = |time: jiff::Timestamp| time.as_nanosecond().try_into().unwrap_or(0);
    let (severity, name) = severity(event.severity);
    let attributes = [
        ("event.id", event.id.as_str().into()),
        ("event.action", event.action.into()),
        ("event.outcome", event.outcome.into()),
        ("source.address", source.ip.to_string().into()),
        ("source.port", source.port.into()),
        ("destination.address", destination.ip.to_string().into()),
        ("destination.port", destination.port.into()),
    ];
    LogRecord {
        time_unix_nano: nanoseconds(document.timestamp),
        observed_time_unix_nano: nanoseconds(event.created),
        severity_number: severity.into(),
        severity_text: name.to_owned(),
        body: value(body),
        attributes: attributes.into_iter().map(|(key, value)| attribute(key, value)).collect(),
        event_name: event.dataset.to_owned(),
        ..LogRecord::default()
    }
}

/// As the data model maps those of syslog.
const fn severity(severity: u8) -> (SeverityNumber, &'static str) {
    match priority(severity) {
        ..=2 => (SeverityNumber::Error2, "critical"),
        3 => (SeverityNumber::Error, "error"),
        4 => (SeverityNumber::Warn, "warning"),
        5.. => (SeverityNumber::Info2, "notice"),
    }
}

fn attribute(key: &str, json: Json) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value(json), ..KeyValue::default() }
}

/// None of null.
fn value(json: Json) -> Option<AnyValue> {
    let value = match json {
        Json::Null => return None,
        Json::Bool(value) => Value::BoolValue(value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::IntValue(value),
            None => Value::DoubleValue(number.as_f64()?),
        },
        Json::String(text) => Value::StringValue(text),
        Json::Array(values) => {
            Value::ArrayValue(ArrayValue { values: values.into_iter().filter_map(value).collect() })
        }
        Json::Object(fields) => {
            let values = fields.into_iter().map(|(key, json)| attribute(&key, json)).collect();
            Value::KvlistValue(KeyValueList { values })
        }
    };
    Some(AnyValue { value: Some(value) })
}
