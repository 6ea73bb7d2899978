//! A real broker that is away, and one behind TLS and SASL: every alert is in the topic, in order, under its host.

mod support;

use std::fs;

use support::alerts::{Maker, close, send, start, wait_for};
use support::broker::{Broker, consume, front};
use support::lab::Lab;
use support::listener::Identity;
use support::sasl::User;

const SINK: &str = "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"localhost:9092\"]\ntopic = \"smbwatch\"";
const SECURE: &str =
    "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"localhost:9093\"]\ntopic = \"smbwatch\"\ntls = true";

#[test]
fn a_broker_that_is_away_gets_every_alert_in_order() {
    let test = "a_broker_that_is_away_gets_every_alert_in_order";
    let Some(lab) = Lab::make(test) else { return };
    let Some(broker) = Broker::find(test) else { return };
    let place = [("bootstrap.servers", "localhost:9092")];
    let sink = start(&lab, SINK);
    let mut maker = Maker::new();
    let made = send(&sink, &mut maker, 300);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 300);
    let running = broker.start(&lab, 9092, 9092);
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 300);
    assert_eq!(consume(&lab, &place), made);
    drop(running);
    let made = send(&sink, &mut maker, 600);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 600);
    let _running = broker.start(&lab, 9092, 9092);
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 900);
    let counts = close(sink);
    assert_eq!(counts.lost.total(), 0);
    assert_eq!(consume(&lab, &place), made);
}

#[test]
fn alerts_go_by_tls_to_the_right_certificate_only() {
    let test = "alerts_go_by_tls_to_the_right_certificate_only";
    let Some(lab) = Lab::make(test) else { return };
    let Some(broker) = Broker::find(test) else { return };
    let folder = |name: &str| {
        let folder = lab.folder().join(name);
        fs::create_dir(&folder).expect("make a folder");
        folder
    };
    let client = Identity::make(&folder("client"), b"");
    let stranger = Identity::make(&folder("stranger"), b"");
    let identity = Identity::make(&folder("broker"), b"").ask_for(&client);
    let [ca, certificate, key] =
        [&identity.ca, &client.ca, &client.key].map(|path| path.to_str().expect("text"));
    let _running = broker.start(&lab, 9092, 9093);
    let strange = front(&lab, 9093, Some(&stranger), None, 9092);

    let sink =
        start(&lab, &format!("{SECURE}\nca = \"{ca}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\""));
    let made = send(&sink, &mut Maker::new(), 300);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 300);
    drop(strange);
    let _front = front(&lab, 9093, Some(&identity), None, 9092);
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 300);
    assert_eq!(close(sink).lost.total(), 0);
    let place = [
        ("bootstrap.servers", "localhost:9093"),
        ("security.protocol", "ssl"),
        ("ssl.ca.location", ca),
        ("ssl.certificate.location", certificate),
        ("ssl.key.location", key),
    ];
    assert_eq!(consume(&lab, &place), made);
}

#[test]
fn a_wrong_password_keeps_alerts_and_the_right_one_delivers_them() {
    let test = "a_wrong_password_keeps_alerts_and_the_right_one_delivers_them";
    let Some(lab) = Lab::make(test) else { return };
    let Some(broker) = Broker::find(test) else { return };
    let identity = Identity::make(lab.folder(), b"");
    let ca = identity.ca.to_str().expect("text");
    let _running = broker.start(&lab, 9092, 9093);
    let user = User { name: "smbwatch", password: "topsecret" };
    let _front = front(&lab, 9093, Some(&identity), Some(user), 9092);
    let password = lab.folder().join("password");
    let (mut maker, mut made) = (Maker::new(), Vec::new());
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] {
        let text = format!(
            "{SECURE}\nca = \"{ca}\"\nsasl = {{ mechanism = \"{mechanism}\", user = \"smbwatch\", \
             password = {{ file = \"{}\" }} }}",
            password.display(),
        );
        if made.is_empty() {
            fs::write(&password, "wrong\n").expect("write the password");
            let sink = start(&lab, &text);
            made.extend(send(&sink, &mut maker, 100));
            // What is tried when it is told to end is tried until it has failed.
            wait_for(&sink, "all are in the spool", |counts| counts.spooled == 100);
            assert_eq!(close(sink).spooled, 100);
            fs::write(&password, "topsecret\n").expect("write the password");
        }
        let sink = start(&lab, &text);
        made.extend(send(&sink, &mut maker, 100));
        wait_for(&sink, "all are delivered", |counts| counts.queued == 0 && counts.spooled == 0);
        assert_eq!(close(sink).lost.total(), 0);
    }
    let place = [
        ("bootstrap.servers", "localhost:9093"),
        ("security.protocol", "sasl_ssl"),
        ("ssl.ca.location", ca),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "smbwatch"),
        ("sasl.password", "topsecret"),
    ];
    assert_eq!(consume(&lab, &place), made);
}
