//! Why a spool failed.

use std::io::ErrorKind;

/// redb's error, which is too large to hand around.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(in crate::sink) struct Error(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

impl Error {
    /// Whether the content is to blame, rather than the disk or another process.
    pub(super) fn is_damage(&self) -> bool {
        use redb::Error::{Corrupted, Io, RepairAborted, UpgradeRequired};
        if let Io(error) = &*self.0 {
            return matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
        }
        matches!(&*self.0, Corrupted(_) | RepairAborted | UpgradeRequired(_))
    }
}
