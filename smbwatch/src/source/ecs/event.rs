//! What a document tells about two hosts.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;

use super::error::Problem;
use super::fields::Fields;
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
        let source = self.endpoint(&SOURCE)?;
        let destination = self.endpoint(&DESTINATION)?;
        let (Some(source), Some(destination)) = (source, destination) else { return Ok(None) };
        let start = self.time(Field::Start, "event.start")?;
        let time = self.time(Field::Timestamp, "@timestamp")?.or(start).ok_or(Problem::NoTime)?;
        Ok(Some(Event {
            time,
            start,
            end: self.time(Field::End, "event.end")?,
            duration: self.number(Field::Duration, "event.duration")?,
            source,
            destination,
            outcome: Outcome::of(self, destination.packets),
            process: self.process()?,
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

    fn endpoint(&self, names: &[(Field, &'static str); 4]) -> Result<Option<Endpoint>, Problem> {
        let &[address, port, bytes, packets] = names;
        let Some(address) = self.address(address.0, address.1)? else { return Ok(None) };
        Ok(Some(Endpoint {
            address,
            port: self.number(port.0, port.1)?,
            bytes: self.number(bytes.0, bytes.1)?,
            packets: self.number(packets.0, packets.1)?,
        }))
    }

    fn transport(&self) -> Result<Option<Cow<'a, str>>, Problem> {
        if let Some(mut transport) = self.text(Field::Transport) {
            if transport.bytes().any(|byte| byte.is_ascii_uppercase()) {
                transport.to_mut().make_ascii_lowercase();
            }
            return Ok(Some(transport));
        }
        Ok(self.number::<u8>(Field::IanaNumber, "network.iana_number")?.and_then(|number| match number {
            1 => Some("icmp".into()),
            6 => Some("tcp".into()),
            17 => Some("udp".into()),
            58 => Some("ipv6-icmp".into()),
            _ => None,
        }))
    }

    fn process(&self) -> Result<Process<'a>, Problem> {
        let pid = self.number(Field::SourceProcessPid, "source.process.pid")?;
        let name = self.text(Field::SourceProcessName);
        let executable = self.text(Field::SourceProcessExecutable);
        if pid.is_some() || name.is_some() || executable.is_some() {
            return Ok(Process { name, pid, executable });
        }
        if self.is(Field::ObserverType, &["firewall"]) {
            return Ok(Process::default());
        }
        Ok(Process {
            name: self.text(Field::ProcessName),
            pid: self.number(Field::ProcessPid, "process.pid")?,
            executable: self.text(Field::ProcessExecutable),
        })
    }
}

const SOURCE: [(Field, &str); 4] = [
    (Field::SourceIp, "source.ip"),
    (Field::SourcePort, "source.port"),
    (Field::SourceBytes, "source.bytes"),
    (Field::SourcePackets, "source.packets"),
];

const DESTINATION: [(Field, &str); 4] = [
    (Field::DestinationIp, "destination.ip"),
    (Field::DestinationPort, "destination.port"),
    (Field::DestinationBytes, "destination.bytes"),
    (Field::DestinationPackets, "destination.packets"),
];
