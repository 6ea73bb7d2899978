//! What can be wrong with a capture, and the way out of it.

use std::io;

use super::MAX_PACKET;
use super::link::Unsupported;
use crate::source::compression::Compression;

/// Reading stopped, or one packet could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing.
    #[error("the capture is empty: not even a header is there")]
    Empty,
    /// The stream is compressed.
    #[error("the capture is compressed with {}; give `{} FILE | smbwatch replay -`", .0.name, .0.tool)]
    Compressed(Compression),
    /// The stream is of another kind.
    #[error(
        "neither pcap nor pcapng: it begins with {start:02x?}{}",
        if start.starts_with(b"{") { "; ECS documents are read with `--ecs`" } else { "" }
    )]
    Format {
        /// Its first bytes, at most four.
        start: Vec<u8>,
    },
    /// A packet, or what is before it, is wrong.
    #[error("packet {packet}, at byte {offset}: {problem}")]
    Packet {
        /// The number that the packet has or would have.
        packet: u64,
        /// Where in the stream its block begins.
        offset: u64,
        /// What is wrong.
        problem: Problem,
    },
}

/// What is wrong at one place.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The stream could not be read.
    #[error("read: {0}")]
    Read(#[from] io::Error),
    /// The stream ends inside a block.
    #[error("the capture ends here, in the middle; it was cut, or is still being written")]
    Ends,
    /// A packet claims to be longer than any.
    #[error(
        "{0} bytes of it should be here, but at most {MAX_PACKET} can; the capture is damaged from here on"
    )]
    Captured(u32),
    /// A block has a length that it cannot have, or says another one at its end.
    #[error("a block has a wrong length, {0}; the capture is damaged from here on")]
    Block(u32),
    /// A block is shorter than what it holds.
    #[error("a block is shorter than its fields say; the capture is damaged from here on")]
    Fields,
    /// A section begins without a byte-order magic.
    #[error("a section does not say its byte order; the capture is damaged from here on")]
    ByteOrder,
    /// A packet came over an interface that was not described.
    #[error("it came over interface {index}, but only {known} are described; the capture is damaged")]
    Interface {
        /// Its number, from 0.
        index: u32,
        /// How many there are.
        known: usize,
    },
    /// A section describes interfaces without end.
    #[error("more interfaces than any machine has; the capture is damaged")]
    Interfaces,
    /// An interface counts time in a unit that does not fit.
    #[error(
        "an interface counts time by `if_tsresol` {0:#04x}, which is too fine; rewrite it: `editcap IN OUT`"
    )]
    Resolution(u8),
    /// A time is outside the years that can be told.
    #[error("its time is out of range; shift it: `editcap -t SECONDS IN OUT`")]
    Time,
    /// A packet begins with an unknown header.
    #[error(
        "link type {link} of interface {interface} is not supported; capture Ethernet, IP or `-i any` \
         (link types 0, 1, 12, 14, 101, 108, 113, 228, 229, 276)"
    )]
    Link {
        /// Its number.
        link: Unsupported,
        /// The interface, from 0.
        interface: u32,
    },
}

impl Error {
    /// Names what begins with `start` and is no capture.
    pub(super) fn unknown(start: &[u8]) -> Self {
        Compression::of(start).map_or_else(|| Self::Format { start: start.to_owned() }, Self::Compressed)
    }
}
