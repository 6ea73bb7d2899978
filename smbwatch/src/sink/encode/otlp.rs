//! OpenTelemetry's log records. <https://opentelemetry.io/docs/specs/otel/logs/data-model/>

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::Value as Json;

use super::priority;
use crate::sink::stored::{Opened, Stored};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What people filter by.
const ATTRIBUTES: [(&str, &str); 7] = [
    ("event.id", "/event/id"),
    ("event.action", "/event/action"),
    ("event.outcome", "/event/outcome"),
    ("source.address", "/source/ip"),
    ("source.port", "/source/port"),
    ("destination.address", "/destination/ip"),
    ("destination.port", "/destination/port"),
];

/// A record an alert, whose host is the resource.
pub(in crate::sink) fn otlp(alerts: &[Stored]) -> ExportLogsServiceRequest {
    let mut logs: Vec<ResourceLogs> = Vec::new();
    let mut host = None;
    for alert in alerts {
        let alert = alert.open();
        // A spool may have been begun under another name of the host.
        if host.as_ref() != alert.fields.get("host") || logs.is_empty() {
            logs.push(of_host(&alert));
            host = alert.fields.get("host").cloned();
        }
        let scopes = logs.last_mut().and_then(|logs| logs.scope_logs.last_mut());
        scopes.into_iter().for_each(|scope| scope.log_records.push(record(&alert)));
    }
    ExportLogsServiceRequest { resource_logs: logs }
}

fn of_host(alert: &Opened<'_>) -> ResourceLogs {
    let source = [
        ("service.name", "smbwatch".into()),
        ("service.version", VERSION.into()),
        ("host.name", alert.text("/host/name")),
        ("host.id", alert.text("/host/id")),
    ];
    let known = source.into_iter().filter(|(_, value)| !value.is_empty());
    let attributes = known.map(|(key, value)| attribute(key, &Json::from(value)));
    let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
    let scope = InstrumentationScope {
        name: "smbwatch".to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_logs = ScopeLogs { scope: Some(scope), ..ScopeLogs::default() };
    ResourceLogs { resource: Some(resource), scope_logs: vec![scope_logs], ..ResourceLogs::default() }
}

/// The document is the record's body.
fn record(alert: &Opened<'_>) -> LogRecord {
    let nanoseconds = |pointer| alert.time(pointer).as_nanosecond().try_into().unwrap_or(0);
    let (severity, name) = severity(alert.severity());
    let attributes =
        ATTRIBUTES.iter().filter_map(|(key, pointer)| Some(attribute(key, alert.fields.pointer(pointer)?)));
    LogRecord {
        time_unix_nano: nanoseconds("/@timestamp"),
        observed_time_unix_nano: nanoseconds("/event/created"),
        severity_number: severity.into(),
        severity_text: name.to_owned(),
        body: value(&alert.fields),
        attributes: attributes.collect(),
        event_name: alert.text("/event/dataset").into_owned(),
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

fn attribute(key: &str, json: &Json) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value(json), ..KeyValue::default() }
}

/// None of null.
fn value(json: &Json) -> Option<AnyValue> {
    let value = match json {
        Json::Null => return None,
        Json::Bool(value) => Value::BoolValue(*value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::IntValue(value),
            None => Value::DoubleValue(number.as_f64()?),
        },
        Json::String(text) => Value::StringValue(text.clone()),
        Json::Array(values) => {
            Value::ArrayValue(ArrayValue { values: values.iter().filter_map(value).collect() })
        }
        Json::Object(fields) => {
            let values = fields.iter().map(|(key, json)| attribute(key, json)).collect();
            Value::KvlistValue(KeyValueList { values })
        }
    };
    Some(AnyValue { value: Some(value) })
}
