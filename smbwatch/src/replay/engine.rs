//! What turns packets into observations: the programs in the kernel, or the same library on the host.

use jiff::Timestamp;
use smbwatch_ebpf::parse::{Link, Way};
use smbwatch_ebpf::skip::Skip;

use crate::observation::Observation;

/// A packet as a program takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// Where its first byte belongs.
    pub(super) link: Link,
    pub(super) bytes: &'a [u8],
    pub(super) time: Timestamp,
}

pub(super) trait Engine {
    /// Runs the program for packets that go this way, and adds what it tells.
    fn take(&mut self, piece: &Piece<'_>, way: Way, out: &mut Vec<Observation>) -> anyhow::Result<()>;

    /// Packets that could not be judged so far, by reason, in the order of [`Skip::COUNTED`].
    fn skipped(&self) -> anyhow::Result<[u64; Skip::COUNTED.len()]>;
}
