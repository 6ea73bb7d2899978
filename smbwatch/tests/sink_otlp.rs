//! OpenTelemetry's protocol: what a receiver is sent, and what is made of its answers.

mod support;

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use prost::Message as _;
use serde_json::Value;
use support::agent::text;
use support::alerts::{Maker, close, send, start, wait_for};
use support::lab::Lab;
use support::listener::Identity;
use support::otlp::{Receiver, all_but, documents, taken};
use support::server::{Reply, Server};
use tonic::{Code, Status};

const GRPC: &str = "[[sinks]]\ntype = \"otlp\"\nurl = \"http://127.0.0.1:4317\"";
const HTTP: &str = "[[sinks]]\ntype = \"otlp\"\nurl = \"http://127.0.0.1:4318\"\nprotocol = \"http\"";

fn id(document: &Value) -> String {
    text(document, "event.id").to_owned()
}

#[test]
fn a_record_holds_the_whole_alert() {
    let Some(lab) = Lab::make("a_record_holds_the_whole_alert") else { return };
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let _receiver = Receiver::start(&lab, 4317, None, move |request, _| {
        seen.lock().expect("the requests").push(request);
        Ok(taken())
    });
    let sink = start(&lab, GRPC);
    let alert = Maker::new().smb();
    let document = serde_json::to_value(&alert).expect("a document");
    sink.send(&Arc::new(alert));
    wait_for(&sink, "it is delivered", |counts| counts.delivered == 1);
    close(sink);
    let mut requests = requests.lock().expect("the requests");
    let request = requests.pop().expect("a request");
    let [logs] = &request.resource_logs[..] else { panic!("{request:?}") };
    let resource = logs.resource.as_ref().expect("a resource");
    let keys: Vec<&str> = resource.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert!(keys.starts_with(&["service.name", "service.version", "host.name"]), "{keys:?}");
    let record = &logs.scope_logs[0].log_records[0];
    assert_eq!(record.severity_number(), SeverityNumber::Error);
    assert_eq!((record.severity_text.as_str(), record.event_name.as_str()), ("error", "smbwatch.alert"));
    assert!(record.time_unix_nano > 0 && record.observed_time_unix_nano >= record.time_unix_nano);
    assert_eq!(documents(request), [document]);
}

#[test]
fn a_key_is_shown_and_what_is_put_off_comes_again() {
    let Some(lab) = Lab::make("a_key_is_shown_and_what_is_put_off_comes_again") else { return };
    let key = lab.folder().join("key");
    fs::write(&key, "a token\n").expect("write the key");
    let sink = start(&lab, &format!("{GRPC}\nbearer = {{ file = \"{}\" }}", key.display()));
    let made = send(&sink, &mut Maker::new(), 900);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 900);
    let arrived: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let (seen, mut asked) = (Arc::clone(&arrived), 0_usize);
    let receiver = Receiver::start(&lab, 4317, None, move |request, key| {
        assert_eq!(key.as_deref(), Some("Bearer a token"));
        asked += 1;
        let busy = [Code::Unavailable, Code::DeadlineExceeded, Code::Unauthenticated, Code::Aborted];
        // Of two requests one is put off, after it was taken for good measure.
        seen.lock().expect("what arrived").extend(documents(request).iter().map(id));
        match busy.get(asked / 2) {
            Some(code) if asked.is_multiple_of(2) => Err(Status::new(*code, "busy")),
            _ => Ok(taken()),
        }
    });
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 900);
    assert_eq!(close(sink).lost.total(), 0);
    drop(receiver);
    assert_eq!(*arrived.lock().expect("what arrived"), made.into_iter().collect());
}

#[test]
fn a_partial_success_is_not_sent_again() {
    let Some(lab) = Lab::make("a_partial_success_is_not_sent_again") else { return };
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let sink = start(&lab, GRPC);
    send(&sink, &mut Maker::new(), 10);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 10);
    let _receiver = Receiver::start(&lab, 4317, None, move |_, _| {
        *count.lock().expect("the count") += 1;
        Ok(all_but(3))
    });
    let counts = wait_for(&sink, "all are settled", |counts| counts.spooled == 0);
    assert_eq!((counts.delivered, counts.lost.refused), (7, 3), "{counts:?}");
    assert_eq!(*asked.lock().expect("the count"), 1);
    close(sink);
}

#[test]
fn http_takes_the_same_requests() {
    let Some(lab) = Lab::make("http_takes_the_same_requests") else { return };
    let arrived: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let sink = start(&lab, HTTP);
    let made = send(&sink, &mut Maker::new(), 300);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 300);
    let (seen, mut asked) = (Arc::clone(&arrived), 0);
    let _server = Server::start(&lab, 4318, move |request| {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/logs"));
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        asked += 1;
        match asked {
            1 => return Reply::Answer(503, String::new()),
            2 => return Reply::Cut,
            _ => {}
        }
        let request = ExportLogsServiceRequest::decode(request.body.as_slice()).expect("a request");
        seen.lock().expect("what arrived").extend(documents(request).iter().map(id));
        Reply::Answer(200, String::new())
    });
    let counts = wait_for(&sink, "all are settled", |counts| counts.spooled == 0);
    assert_eq!((counts.delivered, counts.lost.total()), (300, 0), "{counts:?}");
    close(sink);
    assert_eq!(*arrived.lock().expect("what arrived"), made.into_iter().collect());
}

#[test]
fn tls_reaches_only_whom_the_authority_vouches_for() {
    let Some(lab) = Lab::make("tls_reaches_only_whom_the_authority_vouches_for") else { return };
    for (protocol, port, alpn) in [("grpc", 4317, "h2"), ("http", 4318, "http/1.1")] {
        let identity = |of: &str| {
            let folder = lab.folder().join(format!("{of}-{protocol}"));
            fs::create_dir(&folder).expect("create a folder");
            Identity::make(&folder, alpn.as_bytes())
        };
        let (right, another) = (identity("right"), identity("another"));
        let sink = |name: &str, host: &str, identity: &Identity| {
            let config = format!(
                "name = \"{name}-{protocol}\"\nurl = \"https://{host}:{port}\"\nprotocol = \"{protocol}\"\nca = \"{}\"",
                identity.ca.display()
            );
            start(&lab, &format!("[[sinks]]\ntype = \"otlp\"\n{config}"))
        };
        let trusting = sink("trusting", "localhost", &right);
        let strangers = [sink("name", "127.0.0.1", &right), sink("authority", "localhost", &another)];
        let _receiver: Box<dyn Any> = if protocol == "grpc" {
            Box::new(Receiver::start(&lab, port, Some(&right), |_, _| Ok(taken())))
        } else {
            Box::new(Server::start_as(&lab, port, Some(&right), |_| Reply::Answer(200, String::new())))
        };
        let mut maker = Maker::new();
        for stranger in &strangers {
            send(stranger, &mut maker, 1);
        }
        send(&trusting, &mut maker, 100);
        wait_for(&trusting, "all are delivered", |counts| counts.delivered == 100);
        close(trusting);
        for stranger in strangers {
            let counts = close(stranger);
            assert_eq!((counts.spooled, counts.delivered), (1, 0), "{counts:?}");
        }
    }
}
