//! What tests compare the packet path with: packets of any shape, lists as a rule, and a slow oracle.

pub mod build;
pub mod fixtures;
pub mod generate;
pub mod lists;
pub mod oracle;
pub mod partly;
pub mod profiles;

use std::env;
use std::fmt::Write as _;

/// `bytes` in hex, as a failing test prints a packet.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The seed of a property test: the variable SMBWATCH_SEED, or a new one for each run.
pub fn seed() -> u64 {
    env::var("SMBWATCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..))
}
