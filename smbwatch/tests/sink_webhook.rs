//! Webhooks that want something else than the document: templates, and headers that hold keys.

mod support;

use std::fs;
use std::sync::mpsc::channel;
use std::time::Duration;

use ring::hmac;
use serde_json::{Value, json};
use support::alerts::{Maker, close, send, start, wait_for, wait_within};
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

#[test]
fn a_key_that_is_put_right_is_read_again() {
    let Some(lab) = Lab::make("a_key_that_is_put_right_is_read_again") else { return };
    let key = lab.folder().join("key");
    fs::write(&key, "wrong").expect("write the key");
    let config = format!(
        "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/\"\nbearer = {{ file = {key:?} }}"
    );
    let (sender, asked) = channel();
    let _server = Server::start(&lab, 8080, move |request| {
        let right = request.headers["authorization"] == "Bearer right";
        sender.send(right).expect("the test waits");
        Reply::Answer(if right { 200 } else { 401 }, String::new())
    });
    let sink = start(&lab, &config);
    send(&sink, &mut Maker::new(), 1);
    assert_eq!(asked.recv(), Ok(false));
    fs::remove_file(&key).expect("remove the key");
    fs::write(&key, "right").expect("write the key");
    wait_for(&sink, "it is delivered", |counts| counts.delivered == 1);
    close(sink);
}

#[test]
fn a_service_that_takes_a_few_at_a_time_is_not_given_up() {
    let Some(lab) = Lab::make("a_service_that_takes_a_few_at_a_time_is_not_given_up") else { return };
    let config = "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/\"\nbody = \"one\"";
    let mut asked = 0;
    let _server = Server::start(&lab, 8080, move |_| {
        asked += 1;
        Reply::Answer(if asked % 4 == 0 { 429 } else { 200 }, String::new())
    });
    let sink = start(&lab, config);
    send(&sink, &mut Maker::new(), 60);
    // Pauses that grew would take minutes.
    let counts =
        wait_within(Duration::from_secs(20), &sink, "all are delivered", |counts| counts.delivered == 60);
    assert_eq!(counts.lost.total(), 0);
    close(sink);
}

/// What a template is tried with has the shape of alerts.
#[test]
fn samples_are_alerts() {
    for sample in include_str!("../src/config/sinks/sample.ndjson").lines() {
        support::agent::document(sample);
    }
}
