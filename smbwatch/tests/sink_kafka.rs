//! A real broker that is down at first, dies with all that it had and comes back: every alert is in the topic, in order,
//! under its host.

mod support;

use std::collections::HashSet;

use support::alerts::{Maker, close, send, start, wait_for};
use support::lab::Lab;
use support::receivers::kafka::{PORT, consume, start_broker};
use support::receivers::{Kind, whole};
use support::skip::skip;

const SINK: &str = "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"127.0.0.1:9092\"]\ntopic = \"smbwatch\"";

#[test]
fn a_broker_that_is_away_gets_every_alert_in_order() {
    let test = "a_broker_that_is_away_gets_every_alert_in_order";
    let Some(lab) = Lab::make(test) else { return };
    if let Some(reason) = Kind::Kafka.obstacle() {
        return skip(test, reason);
    }
    let sink = start(&lab, SINK);
    let mut maker = Maker::new();
    let made = send(&sink, &mut maker, 300);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 300);
    let broker = start_broker(&lab, PORT);
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 300);
    assert_eq!(ids(&lab), made);
    drop(broker);
    let made = send(&sink, &mut maker, 600);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 600);
    let _broker = start_broker(&lab, PORT);
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 900);
    let counts = close(sink);
    assert_eq!(counts.lost.total(), 0);
    assert_eq!(ids(&lab), made);
}

/// The identifiers of the topic's alerts; what is there twice counts once.
fn ids(lab: &Lab) -> Vec<String> {
    let mut seen = HashSet::new();
    let messages = consume(lab).into_iter();
    let ids = messages.map(|(key, document)| {
        assert_eq!(key, "host.example");
        whole(&document)
    });
    ids.filter(|id| seen.insert(id.clone())).collect()
}
