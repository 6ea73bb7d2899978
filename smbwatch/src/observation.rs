//! What the kernel's records mean, in the terms of the agent.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use smbwatch_ebpf::flow::{self, Cause};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A flow changed its state.
    Flow(Box<FlowObservation>),
    /// What a process runs that is about to connect.
    Process(ProcessObservation),
    /// A process is about to connect.
    Connect(ConnectObservation),
    /// What one side of a flow said.
    Payload(PayloadObservation),
}

/// A flow changed its state, as one interface saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowObservation {
    /// When the packet passed.
    pub time: Timestamp,
    /// When the flow's first packet passed.
    pub started: Timestamp,
    /// How long the peer took to answer the SYN, in nanoseconds.
    pub handshake: Option<u64>,
    /// What changed.
    pub cause: Cause,
    /// What is known of the flow, see [`smbwatch_ebpf::flow`].
    pub marks: u16,
    /// The workload's end.
    pub source: SocketAddr,
    /// The peer's end.
    pub destination: SocketAddr,
    /// Initial sequence number, or the first one seen.
    pub initial_sequence: u32,
    /// Index of the interface.
    pub interface: u32,
    /// VLAN identifiers, outer first; 0 where there is none.
    pub vlans: [u16; 2],
    /// Packets sent, as on the wire.
    pub packets: u64,
    /// Bytes sent, as on the wire.
    pub bytes: u64,
    /// Payload bytes sent.
    pub sent: u64,
    /// Payload bytes received.
    pub received: u64,
    /// Cookie of the socket.
    pub cookie: Option<u64>,
    /// Identifier of the socket's cgroup v2.
    pub cgroup: Option<u64>,
    /// The user who owns the socket.
    pub uid: Option<u32>,
    /// Who opened the socket.
    pub owner: Option<Owner>,
    /// Records lost before this one.
    pub lost: u32,
}

/// Which program a process runs: with its identifier, this tells it from every other of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// When the process started, in nanoseconds of CLOCK_BOOTTIME.
    pub started: u64,
    /// How often it has called `execve`.
    pub execs: u64,
}

/// What a process runs, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessObservation {
    /// Process identifier in the initial PID namespace.
    pub pid: u32,
    /// The parent's.
    pub parent: u32,
    /// Which program it runs.
    pub version: Version,
    /// Path of the executable, ending in ` (deleted)` where the file is gone, and beginning with `…` where
    /// the kernel's copy is cut.
    pub executable: Option<String>,
    /// The command line, a zero behind each argument.
    pub command_line: Vec<u8>,
    /// The command line is longer than that.
    pub cut: bool,
}

/// A process is about to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectObservation {
    /// Cookie of the socket.
    pub cookie: u64,
    /// Where to.
    pub destination: IpAddr,
    /// Which port.
    pub port: u16,
    /// Who.
    pub owner: Owner,
}

/// Bytes from the beginning of what one side of a flow said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadObservation {
    /// When the packet passed.
    pub time: Timestamp,
    /// Who said it.
    pub side: Side,
    /// What is known of the flow, see [`smbwatch_ebpf::flow`].
    pub marks: u16,
    /// The workload's end.
    pub source: SocketAddr,
    /// The peer's end.
    pub destination: SocketAddr,
    /// Index of the interface.
    pub interface: u32,
    /// The flow's initial sequence number, or the first one seen.
    pub initial_sequence: u32,
    /// Sequence number of the first byte.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// The bytes.
    pub bytes: Secret,
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that connected.
    Client,
    /// The one that was connected to.
    Server,
}

/// Bytes that may hold secrets, and are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{} bytes]", self.0.len())
    }
}

impl PayloadObservation {
    /// How many bytes the client has sent at the end of this, if it is the client's and the SYN was seen.
    pub fn reaches(&self) -> Option<u64> {
        let end = self.sequence.wrapping_add(u32::try_from(self.bytes.0.len()).ok()?);
        let sent = end.wrapping_sub(self.initial_sequence).wrapping_sub(1);
        (self.side == Side::Client && !self.is(flow::MIDSTREAM)).then_some(sent.into())
    }

    /// Whether the flow has one of the marks `marks`.
    pub const fn is(&self, marks: u16) -> bool {
        self.marks & marks != 0
    }
}

/// The process that called `connect`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// When, in nanoseconds of CLOCK_MONOTONIC.
    pub monotonic: u64,
    /// Which program the process runs; none where the kernel's layout is not known.
    pub version: Option<Version>,
    /// Process identifier in the initial PID namespace.
    pub pid: u32,
    /// Thread identifier in the initial PID namespace.
    pub tid: u32,
    /// User identifier in the initial user namespace.
    pub uid: u32,
    /// Group identifier in the initial user namespace.
    pub gid: u32,
    /// Name of the thread, with control characters and invalid UTF-8 replaced.
    pub comm: String,
    /// Identifier of the caller's cgroup v2.
    pub cgroup: u64,
    /// Cookie of the socket's network namespace.
    pub netns: u64,
}

impl FlowObservation {
    /// Whether the flow has one of the marks `marks`.
    pub const fn is(&self, marks: u16) -> bool {
        self.marks & marks != 0
    }

    /// Whether the flow was recognised by its payload, on a port that is not watched.
    pub const fn by_content(&self) -> bool {
        self.is(flow::CONTENT)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A first SYN over interface 1.
    pub(crate) fn syn(source: &str, destination: &str, initial_sequence: u32) -> FlowObservation {
        FlowObservation {
            time: Timestamp::UNIX_EPOCH,
            started: Timestamp::UNIX_EPOCH,
            handshake: None,
            cause: Cause::Attempted,
            marks: 0,
            source: source.parse().expect("an address and a port"),
            destination: destination.parse().expect("an address and a port"),
            initial_sequence,
            interface: 1,
            vlans: [0; 2],
            packets: 1,
            bytes: 74,
            sent: 0,
            received: 0,
            cookie: None,
            cgroup: None,
            uid: None,
            owner: None,
            lost: 0,
        }
    }
}
