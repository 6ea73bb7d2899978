//! Packets that no TCP stack sends: whole frames through packet sockets, whole packets through raw ones.
#![expect(clippy::cast_possible_truncation, reason = "sizes and constants that C wants narrow")]

use std::io;
use std::mem::{offset_of, size_of};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::lab::{End, Lab};

/// Sends frames by the private host's eth0.
pub fn send_frames<'a>(lab: &Lab, frames: impl IntoIterator<Item = &'a Vec<u8>> + Send) {
    lab.inside(End::Host, || {
        let socket = packet_socket("eth0");
        for frame in frames {
            assert_eq!(socket.send(frame).expect("send a frame"), frame.len());
        }
    });
}

/// Sends a frame through a ring that the kernel shares with us. The kernel copies the link header alone;
/// the rest of the packet stays in the ring's pages, outside the linear part of the skb.
pub fn send_by_ring(lab: &Lab, frame: &[u8]) {
    lab.inside(End::Host, || {
        let socket = packet_socket("eth0");
        let ring = Ring::map(&socket).expect("map a ring");
        ring.put(frame);
        let sent = socket.send(&[]).expect("send what is in the ring");
        assert_eq!(sent, frame.len());
    });
}

/// Sends an IPv4 packet with its header through a raw socket; the kernel fills in checksums.
pub fn send_packet(lab: &Lab, packet: &[u8], destination: Ipv4Addr) {
    lab.inside(End::Host, || {
        let raw = Protocol::from(libc::IPPROTO_RAW);
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(raw)).expect("make a raw socket");
        let to = std::net::SocketAddr::new(destination.into(), 0);
        assert_eq!(socket.send_to(packet, &to.into()).expect("send a packet"), packet.len());
    });
}

/// A socket that sends whole frames by an interface of this namespace.
pub fn packet_socket(interface: &str) -> Socket {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None).expect("make a packet socket");
    let index = nix::net::if_::if_nametoindex(interface).expect("the interface exists");
    // SAFETY: the storage is zeroed, and large enough for every kind of address.
    let (_, address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let address: &mut libc::sockaddr_ll = &mut *storage.cast();
            address.sll_family = libc::AF_PACKET as libc::sa_family_t;
            address.sll_ifindex = index.cast_signed();
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })
    }
    .expect("make an address");
    socket.bind(&address).expect("bind to an interface");
    socket
}

/// One block of one frame, packet(7) PACKET_TX_RING, version 1.
struct Ring {
    memory: *mut libc::c_void,
}

const FRAME: usize = 4096;

impl Ring {
    fn map(socket: &Socket) -> io::Result<Self> {
        let frame = FRAME as libc::c_uint;
        let request =
            libc::tpacket_req { tp_block_size: frame, tp_block_nr: 1, tp_frame_size: frame, tp_frame_nr: 1 };
        // SAFETY: the option takes this structure, which outlives the call.
        let set = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_TX_RING,
                (&raw const request).cast(),
                size_of::<libc::tpacket_req>() as libc::socklen_t,
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping; it is as long as the ring.
        let memory = unsafe {
            libc::mmap(std::ptr::null_mut(), FRAME, rights, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        if memory == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self { memory }) }
    }

    /// Puts a frame behind its header, and asks for it to be sent.
    fn put(&self, frame: &[u8]) {
        let data = size_of::<libc::tpacket_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);
        assert!(data + frame.len() <= FRAME, "the frame fits");
        let length = frame.len() as libc::c_uint;
        // SAFETY: header and frame lie inside the mapping, which is page-aligned; the kernel reads them when
        // it is asked to send.
        unsafe {
            std::ptr::copy_nonoverlapping(frame.as_ptr(), self.memory.byte_add(data).cast(), frame.len());
            let field = |offset| self.memory.byte_add(offset);
            field(offset_of!(libc::tpacket_hdr, tp_len)).cast::<libc::c_uint>().write(length);
            field(offset_of!(libc::tpacket_hdr, tp_status))
                .cast::<libc::c_ulong>()
                .write_volatile(libc::TP_STATUS_SEND_REQUEST.into());
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nothing points into any more.
        unsafe { libc::munmap(self.memory, FRAME) };
    }
}
