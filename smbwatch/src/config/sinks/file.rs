//! What a sink of type `file` means.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::MIB;

/// A file of one document a line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTarget {
    /// The file.
    pub path: PathBuf,
    /// MiB from which on it is rotated; 0: never for its size.
    #[serde(default)]
    pub rotate_mib: u64,
    /// Hours after which it is rotated; 0: never for its age.
    #[serde(default)]
    pub rotate_hours: u32,
    /// Old files that are kept.
    #[serde(default = "seven")]
    pub keep: u32,
    /// What is done with old files.
    #[serde(default)]
    pub compress: Compress,
    /// Every batch is on disk before it counts as delivered.
    #[serde(default)]
    pub fsync: bool,
}

/// What is done with old files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// They are compressed by gzip.
    #[default]
    Gzip,
    /// They stay as they are.
    None,
}

const fn seven() -> u32 {
    7
}

impl FileTarget {
    pub(crate) fn size(&self) -> Option<u64> {
        (self.rotate_mib > 0).then(|| self.rotate_mib.saturating_mul(MIB))
    }

    pub(crate) fn age(&self) -> Option<Duration> {
        (self.rotate_hours > 0).then(|| Duration::from_secs(u64::from(self.rotate_hours) * 3600))
    }
}
