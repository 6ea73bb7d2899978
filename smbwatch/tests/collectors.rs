//! A real OpenTelemetry collector reads the file sink by the configuration that is packaged for it.

mod support;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use prost::Message as _;
use serde_json::Value;
use support::agent::{PATIENCE, PROGRAM, document, text};
use support::alerts::{Maker, close, send, start};
use support::guard::Guard;
use support::lab::{End, Lab};
use support::otlp;
use support::server::{Reply, Server};
use support::skip::skip;

const CONFIG: &str = include_str!("../../packaging/collectors/otel-collector.yaml");

#[test]
fn the_opentelemetry_collector_reads_the_file_sink() {
    let test = "the_opentelemetry_collector_reads_the_file_sink";
    let Some(lab) = Lab::make(test) else { return };
    let program = program();
    if !program.exists() {
        return skip(test, "no OpenTelemetry collector: `cargo xtask setup --lab` installs one");
    }
    let path = lab.folder().join("alerts.ndjson");
    let sink = start(&lab, &format!("[[sinks]]\ntype = \"file\"\npath = \"{}\"", path.display()));
    let mut maker = Maker::new();
    sink.send(&Arc::new(maker.attempted()));
    send(&sink, &mut maker, 300);
    close(sink);

    let arrived: Arc<Mutex<Vec<LogRecord>>> = Arc::default();
    let seen = Arc::clone(&arrived);
    let _server = Server::start(&lab, 4318, move |asked| {
        assert_eq!(asked.path, "/v1/logs");
        let mut body = Vec::new();
        if asked.headers.get("content-encoding").is_some_and(|value| value == "gzip") {
            GzDecoder::new(asked.body.as_slice()).read_to_end(&mut body).expect("gzip");
        } else {
            body = asked.body;
        }
        let request = ExportLogsServiceRequest::decode(body.as_slice()).expect("a request");
        seen.lock().expect("what arrived").extend(otlp::records(request));
        Reply::Answer(200, String::new())
    });
    let config = CONFIG
        .replace("/var/log/smbwatch/alerts.ndjson", &path.display().to_string())
        .replace("https://otlp.example.org:4318", "http://127.0.0.1:4318");
    assert!(!config.contains("example.org") && !config.contains("/var/log"), "{config}");
    let file = lab.folder().join("collector.yaml");
    fs::write(&file, config).expect("write the configuration");
    let mut command = lab.at(End::Host, &program);
    command.arg("--config").arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
    let log = fs::File::create(lab.folder().join("collector.log")).expect("create a log");
    let _collector = Guard(command.stderr(log).spawn().expect("start the collector"));

    let written = fs::read_to_string(&path).expect("the file");
    let written: Vec<Value> = written.lines().map(document).collect();
    let deadline = Instant::now() + 3 * PATIENCE;
    while arrived.lock().expect("what arrived").len() < written.len() {
        let log = || fs::read_to_string(lab.folder().join("collector.log")).expect("its log");
        assert!(Instant::now() < deadline, "it does not hand over every alert: {}", log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let arrived = arrived.lock().expect("what arrived");
    assert_eq!(arrived[0].severity_number(), SeverityNumber::Info2);
    assert_eq!(arrived[1].severity_number(), SeverityNumber::Error);
    for (record, document) in arrived.iter().zip(&written) {
        let body = otlp::json(record.body.clone().expect("a body"));
        assert_eq!(floats(&body), floats(document));
        let time: jiff::Timestamp = text(document, "@timestamp").parse().expect("a time");
        assert_eq!(i128::from(record.time_unix_nano), time.as_nanosecond());
    }
}

/// A document whose numbers are floating, as those of the collector are.
fn floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(values) => values.iter().map(floats).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), floats(value))).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

fn program() -> PathBuf {
    let target = Path::new(PROGRAM).ancestors().nth(2).expect("a target folder");
    target.join("tools/python/otel_collector/bin/otelcol-contrib_linux_amd64")
}
