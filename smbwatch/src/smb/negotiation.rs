//! What one side says about itself when dialects are negotiated.

use super::dialect::Dialect;
use super::spnego::Mechanism;

/// The client's offer, or the server's choice. Algorithms go by their names, or as `0x0009` where they have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiation {
    /// In the sender's order; of an offer of SMB 1 and one of SMB 2 that followed it, both.
    pub dialects: Vec<Dialect>,
    /// Messages may be signed.
    pub signing_enabled: bool,
    /// Messages must be signed.
    pub signing_required: bool,
    /// Messages can be encrypted.
    pub encryption: bool,
    /// The global capabilities ([MS-SMB2] 2.2.3), or those of SMB 1 ([MS-SMB] 2.2.4.5.2.1).
    pub capabilities: u32,
    /// Names the sender's installation, as text.
    pub guid: Option<String>,
    /// Hashes for the integrity before authentication.
    pub hashes: Vec<String>,
    /// Ciphers for encryption.
    pub ciphers: Vec<String>,
    /// Compression algorithms.
    pub compressions: Vec<String>,
    /// Signing algorithms.
    pub signings: Vec<String>,
    /// The name by which the client knows the server, from 3.1.1 on.
    pub server_name: Option<String>,
    /// Mechanisms for authentication that the server takes.
    pub mechanisms: Vec<Mechanism>,
}

/// The text form of a GUID ([MS-DTYP] 2.3.4).
pub(super) fn guid(bytes: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, i, j, tail @ ..] = bytes;
    let first = u32::from_le_bytes([a, b, c, d]);
    let (second, third) = (u16::from_le_bytes([e, f]), u16::from_le_bytes([g, h]));
    let tail = tail.iter().fold(0u64, |tail, byte| tail << 8 | u64::from(*byte));
    format!("{first:08x}-{second:04x}-{third:04x}-{i:02x}{j:02x}-{tail:012x}")
}
