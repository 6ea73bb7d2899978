//! Webhooks that want something else than the document: templates, and headers that hold keys.

mod support;

use std::fs;
use std::sync::mpsc::channel;

use ring::hmac;
use serde_json::{Value, json};
use support::alerts::{Maker, close, send, start, wait_for};
use support::ecs;
use support::lab::Lab;
use support::server::{Reply, Server};

#[test]
fn each_alert_is_a_request_as_the_template_has_it() {
    let Some(lab) = Lab::make("each_alert_is_a_request_as_the_template_has_it") else { return };
    let (token, key) = (lab.folder().join("token"), lab.folder().join("key"));
    fs::write(&token, "Splunk topsecret\n").expect("write the token");
    fs::write(&key, "signing key\n").expect("write the key");
    let config = format!(
        "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8088/services/collector/event\"\n\
         headers.Authorization = {{ file = {token:?} }}\nhmac = {{ file = {key:?} }}\n\
         template = '''{{\"id\": {{{{ event.id }}}}, \"who\": {{{{ process.name }}}}, \"event\": {{{{ alert }}}}}}'''"
    );
    let sink = start(&lab, &config);
    let mut made = send(&sink, &mut Maker::new(), 20);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 20);
    let refused = made.remove(7);
    let (sender, requests) = channel();
    let _server = Server::start(&lab, 8088, move |asked| {
        let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
        if body["id"] == refused.as_str() {
            return Reply::Answer(400, String::new());
        }
        sender.send((asked.headers, asked.body, body)).expect("the test waits");
        Reply::Answer(200, String::new())
    });
    let counts = wait_for(&sink, "all are settled", |counts| counts.spooled == 0);
    assert_eq!((counts.delivered, counts.lost.refused), (19, 1), "{counts:?}");
    close(sink);
    let signing = hmac::Key::new(hmac::HMAC_SHA256, b"signing key");
    for (id, (headers, bytes, body)) in made.iter().zip(requests.try_iter()) {
        assert_eq!((&body["id"], &body["who"]), (&json!(id), &Value::Null));
        assert_eq!(ecs::complaints(&body["event"]), Vec::<String>::new());
        assert_eq!(headers["authorization"], "Splunk topsecret");
        assert_eq!(headers["content-type"], "application/json");
        let tag = hmac::sign(&signing, &bytes);
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(headers["x-smbwatch-signature"], format!("sha256={hex}"));
    }
}

/// What a template is tried with has the shape of alerts.
#[test]
fn samples_are_alerts() {
    for sample in include_str!("../src/config/sinks/sample.ndjson").lines() {
        support::agent::document(sample);
    }
}
