//! What a document tells about two hosts.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;

use super::error::Problem;
use super::fields::{Fields, Scalar};
use super::outcome::Outcome;
use super::place::Field;

/// A network event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// `@timestamp`, else `event.start`.
    pub time: Timestamp,
    /// `event.start`.
    pub start: Option<Timestamp>,
    /// `event.end`.
    pub end: Option<Timestamp>,
    /// `event.duration`, in nanoseconds.
    pub duration: Option<u64>,
    /// `network.transport` in lower case, else what `network.iana_number` stands for.
    pub transport: Option<Cow<'a, str>>,
    /// The client.
    pub source: Endpoint,
    /// The server.
    pub destination: Endpoint,
    /// `network.protocol`.
    pub protocol: Option<Cow<'a, str>>,
    /// `network.community_id`.
    pub community_id: Option<Cow<'a, str>>,
    /// `event.dataset`, else `data_stream.dataset`.
    pub dataset: Option<Cow<'a, str>>,
    /// `event.module`.
    pub module: Option<Cow<'a, str>>,
    /// `event.action`.
    pub action: Option<Cow<'a, str>>,
    /// How the connection went, as far as the document says.
    pub outcome: Outcome,
    /// `event.id`, else the document's `_id`.
    pub id: Option<Cow<'a, str>>,
    /// `host.name`, else `host.hostname`.
    pub host: Option<Cow<'a, str>>,
    /// The client's process.
    pub process: Process<'a>,
    /// Whom it runs as.
    pub user: User<'a>,
    /// Who saw it.
    pub observer: Observer<'a>,
}

/// One end, and what it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `ip`.
    pub address: IpAddr,
    /// `port`.
    pub port: Option<u16>,
    /// `bytes`.
    pub bytes: Option<u64>,
    /// `packets`.
    pub packets: Option<u64>,
}

/// `source.process`, else `process`; nothing where that is the firewall's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process<'a> {
    /// `name`.
    pub name: Option<Cow<'a, str>>,
    /// `pid`.
    pub pid: Option<u32>,
    /// `executable`.
    pub executable: Option<Cow<'a, str>>,
}

/// `source.user`, else `user`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User<'a> {
    /// `name`.
    pub name: Option<Cow<'a, str>>,
    /// `id`.
    pub id: Option<Cow<'a, str>>,
}

/// `observer`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observer<'a> {
    /// `name`, else `hostname`.
    pub name: Option<Cow<'a, str>>,
    /// `type`.
    pub kind: Option<Cow<'a, str>>,
    /// `vendor`.
    pub vendor: Option<Cow<'a, str>>,
    /// `product`.
    pub product: Option<Cow<'a, str>>,
}

impl Event<'_> {
    /// Whether it is about TCP.
    pub fn is_tcp(&self) -> bool {
        self.transport.as_deref() == Some("tcp")
    }

    /// Whether Zeek saw SMB in it: `zeek.smb_cmd`, `zeek.smb_files`, `zeek.smb_mapping`.
    pub fn is_zeek_smb(&self) -> bool {
        self.dataset.as_deref().is_some_and(|dataset| dataset.starts_with("zeek.smb"))
    }
}

impl<'a> Fields<'a> {
    /// The event, or none where an address is missing.
    pub(super) fn event(&self) -> Result<Option<Event<'a>>, Problem> {
        let address = |field, name| self.must(field, name, "no IP address", Scalar::address);
        let source = address(Field::SourceIp, "source.ip")?;
        let destination = address(Field::DestinationIp, "destination.ip")?;
        let (Some(source), Some(destination)) = (source, destination) else { return Ok(None) };
        let source = Endpoint {
            address: source,
            port: self.may(Field::SourcePort, Scalar::number),
            bytes: self.may(Field::SourceBytes, Scalar::number),
            packets: self.may(Field::SourcePackets, Scalar::number),
        };
        let destination = Endpoint {
            address: destination,
            port: self.must(Field::DestinationPort, "destination.port", "no port", Scalar::number)?,
            bytes: self.may(Field::DestinationBytes, Scalar::number),
            packets: self.may(Field::DestinationPackets, Scalar::number),
        };
        let start = self.may(Field::Start, Scalar::time);
        let time = self.must(Field::Timestamp, "@timestamp", "no time", Scalar::time)?;
        Ok(Some(Event {
            time: time.or(start).ok_or(Problem::NoTime)?,
            start,
            end: self.may(Field::End, Scalar::time),
            duration: self.may(Field::Duration, Scalar::number),
            source,
            destination,
            outcome: Outcome::of(self, destination.packets),
            process: self.process(),
            transport: self.transport()?,
            protocol: self.text(Field::Protocol),
            community_id: self.text(Field::CommunityId),
            dataset: self.either(Field::Dataset, Field::StreamDataset),
            module: self.text(Field::Module),
            action: self.text(Field::Action),
            id: self.either(Field::EventId, Field::DocumentId),
            host: self.either(Field::HostName, Field::HostHostname),
            user: User {
                name: self.either(Field::SourceUserName, Field::UserName),
                id: self.either(Field::SourceUserId, Field::UserId),
            },
            observer: Observer {
                name: self.either(Field::ObserverName, Field::ObserverHostname),
                kind: self.text(Field::ObserverType),
                vendor: self.text(Field::ObserverVendor),
                product: self.text(Field::ObserverProduct),
            },
        }))
    }

    fn transport(&self) -> Result<Option<Cow<'a, str>>, Problem> {
        if let Some(mut transport) = self.text(Field::Transport) {
            if transport.bytes().any(|byte| byte.is_ascii_uppercase()) {
                transport.to_mut().make_ascii_lowercase();
            }
            return Ok(Some(transport));
        }
        let number = self.must(Field::IanaNumber, "network.iana_number", "no protocol", Scalar::number)?;
        Ok(number.and_then(|number: u8| match number {
            1 => Some("icmp".into()),
            6 => Some("tcp".into()),
            17 => Some("udp".into()),
            58 => Some("ipv6-icmp".into()),
            _ => None,
        }))
    }

    fn process(&self) -> Process<'a> {
        let process = |name, pid, executable| Process {
            name: self.text(name),
            pid: self.may(pid, Scalar::number),
            executable: self.text(executable),
        };
        let source =
            process(Field::SourceProcessName, Field::SourceProcessPid, Field::SourceProcessExecutable);
        if source != Process::default() || self.is(Field::ObserverType, &["firewall"]) {
            return source;
        }
        process(Field::ProcessName, Field::ProcessPid, Field::ProcessExecutable)
    }
}
