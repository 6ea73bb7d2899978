//! Tells compressed input by its first bytes.

/// How something is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The name of the format.
    pub name: &'static str,
    /// What writes the content of such a file to standard output.
    pub tool: &'static str,
    magic: &'static [u8],
}

const KNOWN: [Compression; 5] = [
    Compression { name: "gzip", tool: "zcat", magic: b"\x1f\x8b" },
    Compression { name: "zstd", tool: "zstdcat", magic: b"\x28\xb5\x2f\xfd" },
    Compression { name: "xz", tool: "xzcat", magic: b"\xfd7zX" },
    Compression { name: "bzip2", tool: "bzcat", magic: b"BZh" },
    Compression { name: "LZ4", tool: "lz4cat", magic: b"\x04\x22\x4d\x18" },
];

impl Compression {
    /// By the first four bytes.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        KNOWN.into_iter().find(|known| start.starts_with(known.magic))
    }
}
