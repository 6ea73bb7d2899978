//! What may stand before a receiver by gRPC: proxies that answer in its place, and balancers that hang up.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use support::alerts::{Maker, close, send, start, wait_for};
use support::lab::Lab;
use support::otlp::records;
use support::proxy::{Answer, Proxy, grpc, page, taken};
use support::server::{Reply, Server};

const SINK: &str = "[[sinks]]\ntype = \"otlp\"\nurl = \"http://127.0.0.1:4317\"";

#[test]
fn what_the_receiver_has_not_said_loses_no_alert() {
    let Some(lab) = Lab::make("what_the_receiver_has_not_said_loses_no_alert") else { return };
    let wrong: [fn() -> Answer; 11] = [
        || page(502),
        || page(503),
        || page(500),
        || page(400),
        || page(302),
        || page(200),
        // It ends without saying how, in the middle, or before the message.
        || grpc(&[0; 5], None),
        || grpc(&[0, 0, 0, 0, 9, 1], None),
        || grpc(b"", None),
        || grpc(b"", Some("0")),
        || grpc(b"<html>", Some("0")),
    ];
    let (count, mut asked) = (wrong.len(), 0);
    let _proxy = Proxy::start(&lab, 4317, move |_, _| {
        asked += 1;
        if asked % 2 == 1 { wrong[asked / 2]() } else { taken() }
    });
    let sink = start(&lab, SINK);
    let mut maker = Maker::new();
    for number in 1..=count as u64 {
        send(&sink, &mut maker, 1);
        wait_for(&sink, "it is settled", |counts| counts.delivered + counts.lost.total() == number);
    }
    assert_eq!(close(sink).lost.total(), 0);
}

#[test]
fn a_request_that_a_proxy_finds_too_large_goes_in_parts() {
    let Some(lab) = Lab::make("a_request_that_a_proxy_finds_too_large_goes_in_parts") else { return };
    let sink = start(&lab, SINK);
    send(&sink, &mut Maker::new(), 10);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 10);
    let _proxy = Proxy::start(&lab, 4317, |_, body| {
        let request = ExportLogsServiceRequest::decode(&body[5..]).expect("a request");
        if records(request).count() > 3 { page(413) } else { taken() }
    });
    let counts = wait_for(&sink, "all are settled", |counts| counts.spooled == 0);
    assert_eq!((counts.delivered, counts.lost.total()), (10, 0), "{counts:?}");
    close(sink);
}

#[test]
fn a_kept_connection_that_was_closed_is_no_failure() {
    /// Each of these would take a pause of 0.2 s at least.
    const ALERTS: u64 = 20;
    let Some(lab) = Lab::make("a_kept_connection_that_was_closed_is_no_failure") else { return };
    let proxy = Proxy::start(&lab, 4317, |_, _| taken());
    let sink = start(&lab, SINK);
    let (mut maker, began) = (Maker::new(), Instant::now());
    for number in 1..=ALERTS {
        send(&sink, &mut maker, 1);
        wait_for(&sink, "it is delivered", |counts| counts.delivered == number);
        proxy.hang_up();
    }
    let took = began.elapsed();
    assert!(took < Duration::from_millis(200) * 15, "{took:?}");
    assert_eq!(proxy.connections() as u64, ALERTS);
    close(sink);
}

#[test]
fn further_headers_are_sent() {
    let Some(lab) = Lab::make("further_headers_are_sent") else { return };
    let key = lab.folder().join("key");
    fs::write(&key, "topsecret\n").expect("write the key");
    let file = format!("{{ file = {key:?} }}");
    let headers = format!("headers.X-Tenant = {file}\nheaders.authorization = {file}");
    let sent = |headers: &hyper::HeaderMap| {
        assert_eq!(headers["x-tenant"], "topsecret");
        assert_eq!(headers["authorization"], "topsecret");
    };
    let _proxy = Proxy::start(&lab, 4317, move |head, _| {
        sent(&head.headers);
        assert_eq!(head.headers["te"], "trailers");
        assert_eq!(
            head.uri,
            "http://127.0.0.1:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export"
        );
        taken()
    });
    let _server = Server::start(&lab, 4318, move |asked| {
        sent(&asked.headers);
        Reply::Answer(200, String::new())
    });
    for more in ["url = \"http://127.0.0.1:4317\"", "url = \"http://127.0.0.1:4318\"\nprotocol = \"http\""] {
        let sink = start(&lab, &format!("[[sinks]]\ntype = \"otlp\"\n{more}\n{headers}"));
        send(&sink, &mut Maker::new(), 1);
        wait_for(&sink, "it is delivered", |counts| counts.delivered == 1);
        close(sink);
    }
}
