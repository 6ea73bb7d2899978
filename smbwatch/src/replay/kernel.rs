//! The real programs, run in the kernel on one packet after another (BPF_PROG_TEST_RUN).

use std::io;

use anyhow::Context as _;
use aya::maps::{Array, MapData, RingBuf};
use aya::programs::{ProgramError, TestRun as _, TestRunOptions};
use jiff::Timestamp;
use smbwatch_ebpf::parse::{Link, Way};
use smbwatch_ebpf::skip::Skip;

use super::host::nanoseconds;
use super::{Engine, Piece};
use crate::decode::{Clock, decode};
use crate::observation::Observation;
use crate::probe::Probe;

/// The programs' times are those of the packets.
const CLOCK: Clock = Clock { boot: Timestamp::UNIX_EPOCH };

/// Loaded programs, attached to nothing.
pub(super) struct Kernel {
    probe: Probe,
    clock: Array<MapData, u64>,
    ring: RingBuf<MapData>,
    /// Packets that the kernel takes for no packets.
    refused: u64,
}

impl Kernel {
    pub(super) fn new(mut probe: Probe) -> anyhow::Result<Self> {
        let (clock, ring) = (probe.clock()?, probe.ring()?);
        Ok(Self { probe, clock, ring, refused: 0 })
    }
}

impl Engine for Kernel {
    fn take(&mut self, piece: &Piece<'_>, way: Way, out: &mut Vec<Observation>) -> anyhow::Result<()> {
        let program = match (piece.link, way) {
            (Link::Ethernet, Way::Out) => "smbwatch_egress",
            (Link::Ethernet, Way::Back) => "smbwatch_reply",
            (Link::None, Way::Out) => "smbwatch_egress_l3",
            (Link::None, Way::Back) => "smbwatch_reply_l3",
        };
        self.clock.set(0, nanoseconds(piece.time), 0).context("set the clock")?;
        let options = TestRunOptions { data_in: Some(piece.bytes), ..TestRunOptions::default() };
        match self.probe.classifier(program)?.test_run(options) {
            Ok(_) => {}
            Err(error) if is_refusal(&error) => self.refused += 1,
            Err(error) => return Err(error).context("run a program on a packet"),
        }
        while let Some(record) = self.ring.next() {
            let mut observation = decode(&record, CLOCK).context("read a record")?;
            if let Observation::Flow(flow) = &mut observation {
                // The kernel gives these packets a socket of its own.
                (flow.cookie, flow.cgroup, flow.uid) = (None, None, None);
            }
            out.push(observation);
        }
        Ok(())
    }

    fn skipped(&self) -> anyhow::Result<[u64; Skip::COUNTED.len()]> {
        let mut skipped = self.probe.counters()?.skipped;
        if let Some(truncated) = Skip::Truncated.counter().and_then(|index| skipped.get_mut(index)) {
            *truncated += self.refused;
        }
        Ok(skipped)
    }
}

/// A packet that is shorter than its headers is none to the kernel.
fn is_refusal(error: &ProgramError) -> bool {
    matches!(error, ProgramError::SyscallError(error)
        if error.io_error.kind() == io::ErrorKind::InvalidInput)
}
