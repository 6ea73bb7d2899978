//! Sockets as the kernel lists them, sock_diag(7), in the network namespace of the calling thread.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use netlink_packet_core::{
    DecodeError, Emitable as _, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable, Parseable as _,
};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags};
use netlink_packet_sock_diag::{AF_INET, AF_INET6, AF_PACKET, SOCK_DIAG_BY_FAMILY};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use super::Flow;

/// The kernel fills no more than 32 KiB at once (netlink_dump).
const BUFFER: usize = 1 << 15;
/// Size of `struct packet_diag_req`, linux/packet_diag.h.
const PACKET_REQUEST: usize = 20;
/// Size of `struct packet_diag_msg`.
const PACKET_REPLY: usize = 16;

/// What has a peer.
const CONNECTED: StateFlags = StateFlags::all().difference(StateFlags::LISTEN.union(StateFlags::CLOSE));
/// The same without what waits for nothing but time.
const OPEN: StateFlags = CONNECTED.difference(StateFlags::TIME_WAIT);

/// A family of addresses. A socket of the second may speak IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// The families of the sockets that may send to an address.
    pub(super) fn that_speak(address: SocketAddr) -> &'static [Self] {
        if address.is_ipv4() { &[Self::V4, Self::V6] } else { &[Self::V6] }
    }
}

/// A socket as the kernel lists it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) cookie: u64,
    /// 0 where the connection has outlived its socket.
    pub(super) inode: u64,
    pub(super) uid: Option<u32>,
    /// None of packet sockets.
    pub(super) flow: Option<Flow>,
}

/// Socket diagnostics of a network namespace.
pub(super) struct Diag {
    socket: Socket,
    buffer: Vec<u8>,
    deadline: Instant,
}

impl Diag {
    /// Opens them for the namespace of the calling thread. After `deadline` a list is given up.
    pub(super) fn open(deadline: Instant) -> io::Result<Self> {
        let socket = Socket::new(NETLINK_SOCK_DIAG)?;
        // The kernel answers inside these calls: where there is nothing to read, nothing is to come.
        socket.set_non_blocking(true)?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER), deadline })
    }

    /// The TCP socket of these addresses, if it has this cookie. It costs one look-up in the kernel's table.
    pub(super) fn exact(&mut self, cookie: u64, (local, remote): Flow) -> Option<Entry> {
        let family = if local.is_ipv4() { Family::V4 } else { Family::V6 };
        let mut request = request(family, libc::IPPROTO_TCP, StateFlags::all());
        request.socket_id = SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: local.ip(),
            destination_address: remote.ip(),
            interface_id: 0,
            cookie: cookie_bytes(cookie),
        };
        let mut found = None;
        self.ask(bytes(&request), false, |reply| found = inet(reply)).ok()?;
        found.filter(|entry| entry.cookie == cookie)
    }

    /// The connected TCP sockets of a family, and what is left of them in TIME_WAIT.
    pub(super) fn connections(&mut self, family: Family, each: impl FnMut(Entry)) -> io::Result<()> {
        self.inet(&request(family, libc::IPPROTO_TCP, CONNECTED), each)
    }

    /// The connected TCP sockets of a family.
    pub(super) fn open_connections(&mut self, family: Family, each: impl FnMut(Entry)) -> io::Result<()> {
        self.inet(&request(family, libc::IPPROTO_TCP, OPEN), each)
    }

    /// The raw sockets of a family. Not every kernel lists them.
    pub(super) fn raw(&mut self, family: Family, each: impl FnMut(Entry)) -> io::Result<()> {
        self.inet(&request(family, libc::IPPROTO_RAW, StateFlags::all()), each)
    }

    /// The packet sockets. Not every kernel lists them.
    pub(super) fn packet(&mut self, mut each: impl FnMut(Entry)) -> io::Result<()> {
        let mut request = vec![0; PACKET_REQUEST];
        if let Some(family) = request.first_mut() {
            *family = AF_PACKET;
        }
        self.ask(request, true, |reply| packet(reply).into_iter().for_each(&mut each))
    }

    fn inet(&mut self, request: &InetRequest, mut each: impl FnMut(Entry)) -> io::Result<()> {
        self.ask(bytes(request), true, |reply| inet(reply).into_iter().for_each(&mut each))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all other messages are an end")]
    fn ask(&mut self, request: Vec<u8>, all: bool, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = if all { NLM_F_REQUEST | NLM_F_DUMP } else { NLM_F_REQUEST };
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(Body(request)));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        while Instant::now() <= self.deadline {
            self.buffer.clear();
            self.socket.recv(&mut self.buffer, 0)?;
            let mut rest = self.buffer.as_slice();
            while !rest.is_empty() {
                let message = NetlinkMessage::<Body>::deserialize(rest).map_err(io::Error::other)?;
                match message.payload {
                    NetlinkPayload::InnerMessage(Body(reply)) => each(&reply),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(io::Error::from_raw_os_error(done.code.saturating_neg()));
                    }
                    _ => return Ok(()),
                }
                if !all {
                    return Ok(());
                }
                let length = usize::try_from(message.header.length).map_err(io::Error::other)?;
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
        Err(ErrorKind::TimedOut.into())
    }
}

fn request(family: Family, protocol: i32, states: StateFlags) -> InetRequest {
    let (family, socket_id) = match family {
        Family::V4 => (AF_INET, SocketId::new_v4()),
        Family::V6 => (AF_INET6, SocketId::new_v6()),
    };
    let protocol = u8::try_from(protocol).unwrap_or_default();
    InetRequest { family, protocol, extensions: ExtensionFlags::empty(), states, socket_id }
}

fn bytes(request: &InetRequest) -> Vec<u8> {
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut bytes);
    bytes
}

/// Attributes are left aside: nothing of them is needed, and they grow with each kernel.
fn inet(reply: &[u8]) -> Option<Entry> {
    let header = InetResponseHeader::parse(reply).ok()?;
    let id = &header.socket_id;
    let end = |address: IpAddr, port| SocketAddr::new(address.to_canonical(), port);
    Some(Entry {
        cookie: cookie(&id.cookie)?,
        inode: header.inode.into(),
        uid: (header.inode != 0).then_some(header.uid),
        flow: Some((
            end(id.source_address, id.source_port),
            end(id.destination_address, id.destination_port),
        )),
    })
}

fn packet(reply: &[u8]) -> Option<Entry> {
    let reply = reply.first_chunk::<PACKET_REPLY>()?;
    let inode = reply.get(4..8)?.try_into().ok().map(u32::from_ne_bytes)?;
    Some(Entry { cookie: cookie(reply.last_chunk()?)?, inode: inode.into(), uid: None, flow: None })
}

/// Two words, the lower first, each in the byte order of the machine (sock_diag_save_cookie).
fn cookie(bytes: &[u8; 8]) -> Option<u64> {
    let low = u32::from_ne_bytes(*bytes.first_chunk()?);
    let high = u32::from_ne_bytes(*bytes.last_chunk()?);
    Some(u64::from(high) << 32 | u64::from(low))
}

#[expect(clippy::cast_possible_truncation, reason = "each half of it on its own")]
fn cookie_bytes(cookie: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    let (low, high) = bytes.split_at_mut(4);
    low.copy_from_slice(&(cookie as u32).to_ne_bytes());
    high.copy_from_slice(&((cookie >> 32) as u32).to_ne_bytes());
    bytes
}

/// The body of a message: the crate's own type knows no packet sockets, and reads every attribute.
#[derive(Debug)]
struct Body(Vec<u8>);

impl NetlinkSerializable for Body {
    fn message_type(&self) -> u16 {
        SOCK_DIAG_BY_FAMILY
    }

    fn buffer_len(&self) -> usize {
        self.0.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

impl NetlinkDeserializable for Body {
    type Error = DecodeError;

    fn deserialize(_: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(payload.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_comes_back() {
        let given = 0x0123_4567_89ab_cdef;
        assert_eq!(cookie(&cookie_bytes(given)), Some(given));
    }

    #[test]
    fn replies_that_are_cut_short_are_passed_over() {
        assert!(packet(&[17; PACKET_REPLY - 1]).is_none());
        assert!(inet(&[2; 71]).is_none());
        assert!(inet(&[99; 72]).is_none(), "no such family");
    }
}
