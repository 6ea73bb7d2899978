//! The records that travel over the ring buffer. The first byte tells which one it is.

use crate::owner::Owner;
use crate::wire::{Be16, Be32, Be64, wire};

/// First byte of a [`FlowEvent`].
pub const FLOW: u8 = 1;
/// First byte of a [`ConnectEvent`].
pub const CONNECT: u8 = 2;
/// First byte of a [`ProcessEvent`].
pub const PROCESS: u8 = 3;
/// First byte of a [`PayloadEvent`].
pub const PAYLOAD: u8 = 4;

/// `marks` of a [`ProcessEvent`] whose executable has been deleted.
pub const EXECUTABLE_DELETED: u8 = 1 << 0;
/// `marks` of a [`ProcessEvent`] with more arguments than it holds.
pub const ARGUMENTS_CUT: u8 = 1 << 1;
/// `marks` of a [`ProcessEvent`] whose path goes on above the parts that it holds.
pub const PATH_CUT: u8 = 1 << 2;
/// Processes whose [`ProcessEvent`] is sent once; that of any further one replaces the oldest's.
pub const IMAGES: u32 = 1 << 10;
/// Bytes of arguments that a [`ProcessEvent`] holds.
pub const ARGUMENTS: usize = 512;
/// Bytes of a path after which a [`ProcessEvent`] takes no further part of it.
pub const PATH: usize = 512;
/// Bytes of one part of a path, with the zero behind it.
pub const PATH_PART: usize = 256;

/// Bytes of payload that one record holds, and so the most that are handed over of each direction of a flow.
pub const MAX_PAYLOAD: usize = 1 << 14;
/// `way` of payload that the client sent.
pub const SENT: u8 = 0;
/// `way` of payload that the server sent.
pub const RECEIVED: u8 = 1;

/// `family` of IPv4; the address is the first word of its field, and the others are 0.
pub const IPV4: u8 = 4;
/// `family` of IPv6.
pub const IPV6: u8 = 6;

wire! {
    /// A flow changed its state.
    pub struct FlowEvent: 208 {
        /// [`FLOW`].
        pub kind: u8,
        /// A [`crate::flow::Cause`].
        pub cause: u8,
        /// [`IPV4`] or [`IPV6`].
        pub family: u8,
        /// Zero.
        pub reserved: u8,
        /// The flow's marks, see [`crate::flow`].
        pub marks: Be16,
        /// Outer VLAN identifier, or 0.
        pub vlan_outer: Be16,
        /// Inner VLAN identifier, or 0.
        pub vlan_inner: Be16,
        /// Source port.
        pub source_port: Be16,
        /// Destination port.
        pub destination_port: Be16,
        /// Zero.
        pub padding: Be16,
        /// Flow records that found no place in the ring on this CPU since the last one that did.
        pub lost: Be32,
        /// Index of the interface.
        pub interface: Be32,
        /// Initial sequence number.
        pub initial_sequence: Be32,
        /// User identifier of the socket, in the initial user namespace; 65534 where there is no socket.
        pub socket_uid: Be32,
        /// Time of the packet, CLOCK_MONOTONIC in nanoseconds.
        pub time: Be64,
        /// Time of the flow's first packet, CLOCK_MONOTONIC in nanoseconds.
        pub first_seen: Be64,
        /// Time of the peer's SYN-ACK, CLOCK_MONOTONIC in nanoseconds, or 0.
        pub answered: Be64,
        /// Packets sent.
        pub packets: Be64,
        /// Bytes sent, as on the wire.
        pub bytes: Be64,
        /// Payload bytes sent.
        pub sent: Be64,
        /// Payload bytes received and acknowledged.
        pub received: Be64,
        /// Cookie of the socket, or 0.
        pub cookie: Be64,
        /// Identifier of the socket's cgroup v2, or 0.
        pub cgroup: Be64,
        /// Source address.
        pub source: [Be32; 4],
        /// Destination address.
        pub destination: [Be32; 4],
        /// Who opened the socket.
        pub owner: Owner,
    }
}

wire! {
    /// A process is about to connect to where the rule will match.
    pub struct ConnectEvent: 104 {
        /// [`CONNECT`].
        pub kind: u8,
        /// [`IPV4`] or [`IPV6`].
        pub family: u8,
        /// Destination port.
        pub destination_port: Be16,
        /// Zero.
        pub padding: Be32,
        /// Cookie of the socket.
        pub cookie: Be64,
        /// Destination address.
        pub destination: [Be32; 4],
        /// Who calls.
        pub owner: Owner,
    }
}

wire! {
    /// A process is about to connect for the first time since it began to run its program. The connect's own
    /// record follows.
    pub struct ProcessEvent: 1312 {
        /// [`PROCESS`].
        pub kind: u8,
        /// [`EXECUTABLE_DELETED`], [`ARGUMENTS_CUT`] and [`PATH_CUT`].
        pub marks: u8,
        /// Bytes of `arguments` that hold.
        pub arguments_length: Be16,
        /// Process (thread group) identifier in the initial PID namespace.
        pub pid: Be32,
        /// The parent's.
        pub parent: Be32,
        /// Bytes of `path` that hold.
        pub path_length: Be16,
        /// Zero.
        pub padding: Be16,
        /// When the process started, CLOCK_BOOTTIME in nanoseconds.
        pub started: Be64,
        /// How often it has called `execve`.
        pub execs: Be64,
        /// The arguments, each with a zero behind it.
        pub arguments: [u8; ARGUMENTS],
        /// The executable's path, last part first, each with a zero behind it.
        pub path: [u8; PATH + PATH_PART],
    }
}

wire! {
    /// Payload from the beginning of a flow; as many bytes of it as `length` says follow.
    pub struct PayloadEvent: 72 {
        /// [`PAYLOAD`].
        pub kind: u8,
        /// [`SENT`] or [`RECEIVED`].
        pub way: u8,
        /// [`IPV4`] or [`IPV6`].
        pub family: u8,
        /// Zero.
        pub reserved: u8,
        /// The flow's marks, see [`crate::flow`].
        pub marks: Be16,
        /// The client's port.
        pub source_port: Be16,
        /// The server's port.
        pub destination_port: Be16,
        /// Bytes that follow; at most [`MAX_PAYLOAD`].
        pub length: Be16,
        /// Index of the interface.
        pub interface: Be32,
        /// The flow's initial sequence number, or the first one seen.
        pub initial_sequence: Be32,
        /// Sequence number of the first byte.
        pub sequence: Be32,
        /// Acknowledgement number of the segment.
        pub acknowledgement: Be32,
        /// Zero.
        pub padding: Be32,
        /// Time of the packet, CLOCK_MONOTONIC in nanoseconds.
        pub time: Be64,
        /// The client's address.
        pub source: [Be32; 4],
        /// The server's address.
        pub destination: [Be32; 4],
    }
}
