//! Packets of a pcap or pcapng stream, one at a time and in constant memory.

pub mod error;
pub mod link;
mod input;
mod order;
mod pcap;
mod pcapng;

use std::io::Read;

use jiff::Timestamp;

pub use error::{Error, Problem};
use input::Input;
use link::{LinkType, Unsupported};

/// The most that one packet may hold; libpcap has the same limit (`MAXIMUM_SNAPLEN`).
pub const MAX_PACKET: usize = 1 << 18;

/// A captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its place in the capture, from 1.
    pub number: u64,
    /// When it was captured. A simple packet block has no time: it gets that of the packet before it.
    pub time: Timestamp,
    /// What it begins with.
    pub link: LinkType,
    /// The interface in its section of a pcapng stream, from 0; always 0 in a pcap stream.
    pub interface: u32,
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// Its length on the wire, which may be more.
    pub original: u32,
}

/// A stream of packets.
pub struct Capture<R> {
    input: Input<R>,
    format: Format,
    packets: u64,
    /// Where in the stream the last block begins.
    block: u64,
    ended: bool,
}

enum Format {
    Pcap(pcap::File),
    Pcapng(pcapng::Section),
}

/// A packet that has no number yet.
struct Record<'a> {
    time: Timestamp,
    link: Result<LinkType, Unsupported>,
    interface: u32,
    bytes: &'a [u8],
    original: u32,
}

impl<R: Read> Capture<R> {
    /// Reads as far as the first packet.
    pub fn open(read: R) -> Result<Self, Error> {
        let mut input = Input::new(read);
        let failed = |problem| Error::Packet { packet: 1, offset: 0, problem };
        let start = input.peek(4).map_err(|error| failed(Problem::Read(error)))?;
        let Some(magic) = start.first_chunk::<4>().copied() else {
            return Err(if start.is_empty() { Error::Empty } else { Error::unknown(start) });
        };
        let format = if magic == pcapng::MAGIC {
            Format::Pcapng(pcapng::Section::default())
        } else {
            let variant = pcap::Variant::of(magic).ok_or_else(|| Error::unknown(&magic))?;
            Format::Pcap(pcap::File::open(&mut input, variant).map_err(failed)?)
        };
        Ok(Self { input, format, packets: 0, block: 0, ended: false })
    }

    /// The next packet, or none at the end. After an error there are no more packets, but for
    /// [`Problem::Link`], behind which reading goes on.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Error> {
        if self.ended {
            return Ok(None);
        }
        self.block = self.input.offset();
        let record = match &mut self.format {
            Format::Pcap(file) => file.next(&mut self.input),
            Format::Pcapng(section) => section.next(&mut self.input, &mut self.block),
        };
        let number = self.packets + 1;
        let failed = |problem| Error::Packet { packet: number, offset: self.block, problem };
        match record {
            Ok(Some(Record { time, link, interface, bytes, original })) => {
                self.packets = number;
                let link = link.map_err(|link| failed(Problem::Link { link, interface }))?;
                Ok(Some(Packet { number, time, link, interface, bytes, original }))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(problem) => {
                self.ended = true;
                Err(failed(problem))
            }
        }
    }
}
