//! Captures of one connection, as its two streams.

use std::fs;
use std::path::{Path, PathBuf};

use smbwatch::reassemble::Stream;
use smbwatch::smb::MAX_BYTES;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const ETHERNET: usize = 14;
const SYN: u8 = 2;

/// What was said on one connection.
pub(crate) struct Capture {
    pub(crate) path: PathBuf,
    /// What the client sent, in order.
    pub(crate) client: Vec<u8>,
    /// What the server sent, in order.
    pub(crate) server: Vec<u8>,
    /// The client and the server.
    pub(crate) sides: [Side; 2],
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Side {
    port: u16,
    /// The sequence number of its first byte.
    first: u32,
    /// Payloads by sequence number, as they were captured.
    pub(crate) segments: Vec<(u32, Vec<u8>)>,
}

impl Side {
    /// What is contiguous of these segments.
    pub(crate) fn put_together(&self, segments: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut stream = Stream::new(self.first, MAX_BYTES);
        for (sequence, payload) in segments {
            stream.add(*sequence, payload);
        }
        stream.contiguous().to_vec()
    }
}

/// Every capture, in the order of their names.
pub(crate) fn all() -> Vec<Capture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures");
    let files = fs::read_dir(folder).expect("list the captures").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|e| e == "pcap")).collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

/// Reads a file of libpcap in the order of this machine, with segments of IPv4 on Ethernet from the first SYN on.
fn read(file: &Path) -> Capture {
    let bytes = fs::read(file).expect("read a capture");
    let mut rest = &bytes[FILE_HEADER..];
    let mut sides: Vec<Side> = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(RECORD_HEADER) {
        let length = u32::from_le_bytes(header[8..12].try_into().expect("four bytes"));
        let (frame, after) = after.split_at(usize::try_from(length).expect("a length"));
        rest = after;
        let packet = &frame[ETHERNET..][..usize::from(be16(&frame[ETHERNET + 2..]))];
        let segment = &packet[usize::from(packet[0] & 0x0f) * 4..];
        let sequence = u32::from_be_bytes(segment[4..8].try_into().expect("four bytes"));
        let payload = &segment[usize::from(segment[12] >> 4) * 4..];
        let port = be16(segment);
        if segment[13] & SYN != 0 {
            sides.push(Side { port, first: sequence.wrapping_add(1), segments: Vec::new() });
        }
        let side = sides.iter_mut().find(|side| side.port == port).expect("a SYN before");
        side.segments.push((sequence, payload.to_vec()));
    }
    let sides: [Side; 2] = sides.try_into().expect("two sides");
    let [client, server] = [&sides[0], &sides[1]].map(|side| side.put_together(&side.segments));
    Capture { path: file.to_owned(), client, server, sides }
}

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}
