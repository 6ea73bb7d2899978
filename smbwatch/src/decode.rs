//! From the bytes of a record to an observation. Every record is checked, none is trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jiff::{SignedDuration, Timestamp};
use smbwatch_ebpf::event::{self, ConnectEvent, FlowEvent, PayloadEvent, ProcessEvent};
use smbwatch_ebpf::flow::Cause;
use smbwatch_ebpf::owner;
use smbwatch_ebpf::wire::Be32;

use crate::observation::{
    ConnectObservation, FlowObservation, Observation, Owner, PayloadObservation, ProcessObservation, Secret,
    Side, Version,
};

/// Stands for what a path lacks at its front.
pub const CUT: &str = "…";

/// How to turn the kernel's monotonic time into wall-clock time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// What the wall clock showed when the monotonic clock showed 0.
    pub boot: Timestamp,
}

/// A record that is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The first byte names no kind.
    #[error("unknown kind of record {0}")]
    Kind(u8),
    /// The record is longer or shorter than its kind.
    #[error("a record of kind {kind} is {length} bytes long")]
    Length {
        /// The first byte, or 0.
        kind: u8,
        /// All bytes.
        length: usize,
    },
    /// A field holds a value that it cannot have.
    #[error("field `{field}` holds {value}")]
    Field {
        /// Its name in [`event`].
        field: &'static str,
        /// What it holds.
        value: u8,
    },
}

/// Decodes one record.
pub fn decode(bytes: &[u8], clock: Clock) -> Result<Observation, Error> {
    let kind = bytes.first().copied().unwrap_or(0);
    let length = Error::Length { kind, length: bytes.len() };
    match kind {
        event::FLOW => flow(&FlowEvent::from_bytes(bytes).ok_or(length)?, clock),
        event::CONNECT => connect(&ConnectEvent::from_bytes(bytes).ok_or(length)?),
        event::PAYLOAD => payload(bytes, clock).ok_or(length)?,
        event::PROCESS => Ok(process(&ProcessEvent::from_bytes(bytes).ok_or(length)?)),
        _ if bytes.is_empty() => Err(length),
        _ => Err(Error::Kind(kind)),
    }
}

fn flow(event: &FlowEvent, clock: Clock) -> Result<Observation, Error> {
    let cause = Cause::from_wire(event.cause).ok_or(Error::Field { field: "cause", value: event.cause })?;
    let source = address(event.family, event.source)?;
    let destination = address(event.family, event.destination)?;
    let answered = event.answered.get();
    Ok(Observation::Flow(Box::new(FlowObservation {
        time: clock.wall(event.time.get()),
        started: clock.wall(event.first_seen.get()),
        handshake: (answered != 0).then(|| answered.saturating_sub(event.first_seen.get())),
        cause,
        marks: event.marks.get(),
        source: SocketAddr::new(source, event.source_port.get()),
        destination: SocketAddr::new(destination, event.destination_port.get()),
        initial_sequence: event.initial_sequence.get(),
        interface: event.interface.get(),
        vlans: [event.vlan_outer.get(), event.vlan_inner.get()],
        packets: event.packets.get(),
        bytes: event.bytes.get(),
        sent: event.sent.get(),
        received: event.received.get(),
        cookie: some(event.cookie.get()),
        cgroup: some(event.cgroup.get()),
        // Both are those of the packet's socket, and there is no cgroup 0.
        uid: (event.cgroup.get() != 0).then(|| event.socket_uid.get()),
        owner: event.owner.is_known().then(|| owner(&event.owner)),
        lost: event.lost.get(),
    })))
}

/// The bytes behind the event are as many as it says; none where they are not.
fn payload(bytes: &[u8], clock: Clock) -> Option<Result<Observation, Error>> {
    let (event, bytes) = bytes.split_at_checked(PayloadEvent::SIZE)?;
    let event = PayloadEvent::from_bytes(event)?;
    if bytes.len() != usize::from(event.length.get()) {
        return None;
    }
    Some(payload_of(&event, bytes, clock))
}

fn payload_of(event: &PayloadEvent, bytes: &[u8], clock: Clock) -> Result<Observation, Error> {
    let side = match event.way {
        event::SENT => Side::Client,
        event::RECEIVED => Side::Server,
        value => return Err(Error::Field { field: "way", value }),
    };
    Ok(Observation::Payload(PayloadObservation {
        time: clock.wall(event.time.get()),
        side,
        marks: event.marks.get(),
        source: SocketAddr::new(address(event.family, event.source)?, event.source_port.get()),
        destination: SocketAddr::new(address(event.family, event.destination)?, event.destination_port.get()),
        interface: event.interface.get(),
        initial_sequence: event.initial_sequence.get(),
        sequence: event.sequence.get(),
        acknowledgement: event.acknowledgement.get(),
        bytes: Secret(bytes.to_vec()),
    }))
}

fn process(event: &ProcessEvent) -> Observation {
    let start = |bytes: &[u8], length: u16| bytes.get(..usize::from(length)).unwrap_or(bytes).to_vec();
    Observation::Process(ProcessObservation {
        pid: event.pid.get(),
        parent: event.parent.get(),
        version: Version { started: event.started.get(), execs: event.execs.get() },
        executable: path(&start(&event.path, event.path_length.get()), event.marks),
        command_line: start(&event.arguments, event.arguments_length.get()),
        cut: event.marks & event::ARGUMENTS_CUT != 0,
    })
}

/// A path from its parts, last part first, as /proc/PID/exe has it.
fn path(parts: &[u8], marks: u8) -> Option<String> {
    let parts = parts.strip_suffix(&[0]).filter(|parts| !parts.is_empty())?;
    let mut path = String::from(if marks & event::PATH_CUT == 0 { "" } else { CUT });
    for part in parts.rsplit(|byte| *byte == 0) {
        path.push('/');
        path.push_str(&printable(part));
    }
    if marks & event::EXECUTABLE_DELETED != 0 {
        path.push_str(" (deleted)");
    }
    Some(path)
}

fn connect(event: &ConnectEvent) -> Result<Observation, Error> {
    Ok(Observation::Connect(ConnectObservation {
        cookie: event.cookie.get(),
        destination: address(event.family, event.destination)?,
        port: event.destination_port.get(),
        owner: owner(&event.owner),
    }))
}

fn owner(owner: &owner::Owner) -> Owner {
    let name = owner.comm.split(|byte| *byte == 0).next().unwrap_or_default();
    Owner {
        monotonic: owner.time.get(),
        version: some(owner.started.get()).map(|started| Version { started, execs: owner.execs.get() }),
        pid: owner.pid.get(),
        tid: owner.tid.get(),
        uid: owner.uid.get(),
        gid: owner.gid.get(),
        comm: printable(name),
        cgroup: owner.cgroup.get(),
        netns: owner.netns.get(),
    }
}

fn address(family: u8, words: [Be32; 4]) -> Result<IpAddr, Error> {
    let [a, b, c, d] = words.map(|word| u128::from(word.get()));
    match family {
        event::IPV4 => Ok(Ipv4Addr::from(words[0].get()).into()),
        event::IPV6 => Ok(Ipv6Addr::from(a << 96 | b << 64 | c << 32 | d).into()),
        _ => Err(Error::Field { field: "family", value: family }),
    }
}

const fn some(value: u64) -> Option<u64> {
    match value {
        0 => None,
        value => Some(value),
    }
}

impl Clock {
    /// The wall-clock time of a monotonic one, in nanoseconds.
    pub fn wall(self, monotonic: u64) -> Timestamp {
        let since = SignedDuration::from_nanos(i64::try_from(monotonic).unwrap_or(i64::MAX));
        self.boot.checked_add(since).unwrap_or(self.boot)
    }
}

/// Text that is safe to show: what others chose may hold control characters, or no UTF-8 at all.
pub fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_put_together_from_their_last_part() {
        assert_eq!(path(b"smbclient\0bin\0usr\0", 0).as_deref(), Some("/usr/bin/smbclient"));
        assert_eq!(path(b"memfd:x\0", event::EXECUTABLE_DELETED).as_deref(), Some("/memfd:x (deleted)"));
        assert_eq!(path(b"b\0a\0", event::PATH_CUT).as_deref(), Some("…/a/b"));
        assert_eq!(path(b"", 0), None);
        assert_eq!(path(b"cut", 0), None);
    }
}
