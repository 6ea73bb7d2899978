//! The first bytes of an SMB message over TCP ([MS-SMB2] 2.1, [MS-CIFS] 2.1.2, RFC 1002 4.3.1).

/// Bytes that tell an SMB message: a four-byte transport header and a four-byte protocol identifier.
pub const MAGIC: i64 = 8;

/// Whether a payload that begins with these eight bytes begins an SMB message: a session message
/// (type 0, any length) with FF (SMB1), FE (SMB2 and 3), FD (encrypted) or FC (compressed) before "SMB".
#[inline(always)]
pub const fn begins_message(first: u64) -> bool {
    first & 0xff00_0000_fcff_ffff == 0x0000_0000_fc53_4d42
}
