//! What the agent and its programs have counted up to one moment.
//!
//! The pipeline's thread makes it between two records, and reads the programs' counters last. A program counts a
//! record before it hands it over, so whatever has been taken from the ring is among what they have counted; and
//! since nothing is taken meanwhile, the difference is in the ring.

use std::collections::BTreeMap;

use smbwatch_ebpf::skip::Skip;

use super::Account;
use crate::correlate::States;
use crate::probe::roles::Role;
use crate::probe::{Attached, Counters, Runs};
use crate::sink::Counts;

/// What has been counted up to one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// What the programs counted.
    pub(crate) kernel: Counters,
    /// What the agent made of it.
    pub(crate) account: Account,
    /// Changes whose alert waits for what it lacks.
    pub(crate) held: u64,
    /// Connections that are remembered.
    pub(crate) states: States,
    /// What is watched.
    pub(crate) interfaces: Interfaces,
    /// What was asked about who is behind connections.
    pub(crate) questions: Questions,
    /// Each sink's name, and what has become of its alerts.
    pub(crate) sinks: Vec<(String, Counts)>,
    /// How often the configuration was read again.
    pub(crate) reloads: Reloads,
    /// How often the programs ran.
    pub(crate) programs: Vec<Runs>,
    /// IPv4 flows that the kernel remembers; of IPv6, half as many.
    pub(crate) flows: u32,
    /// Bytes of the ring buffer.
    pub(crate) ring_bytes: u32,
}

/// How many interfaces are watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interfaces {
    /// By role, and how they are attached.
    pub(crate) attached: BTreeMap<(Role, Attached), u64>,
    /// Those that could not be attached.
    pub(crate) refused: u64,
    /// Those that wait for their turn.
    pub(crate) waiting: u64,
}

/// How often the configuration was read again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reloads {
    /// It is in force.
    pub(crate) applied: u64,
    /// It was wrong, and the one before is in force.
    pub(crate) refused: u64,
    /// The latest was refused.
    pub(crate) failing: bool,
}

/// How many questions there were about who is behind connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Questions {
    /// Not answered yet.
    pub(crate) open: u64,
    /// Answered in time.
    pub(crate) answered: u64,
    /// Answered after the alert had been told.
    pub(crate) late: u64,
    /// Not asked, because too many were open.
    pub(crate) refused: u64,
}

impl Reloads {
    /// Counts one that is in force.
    pub(crate) const fn apply(&mut self) {
        self.applied += 1;
        self.failing = false;
    }

    /// Counts one that is not.
    pub(crate) const fn refuse(&mut self) {
        self.refused += 1;
        self.failing = true;
    }
}

impl Snapshot {
    /// Sightings that the rule matched: changes of flows, and packets to exceptions, of which no flow is kept.
    pub(crate) fn matched(&self) -> u64 {
        self.kernel.flow_sent + self.kernel.flow_lost + self.account.rises + self.excepted()
    }

    /// Packets to exceptions.
    pub(crate) fn excepted(&self) -> u64 {
        let skipped = Skip::COUNTED.iter().zip(self.kernel.skipped);
        skipped.filter(|(skip, _)| **skip == Skip::Exception).map(|(_, count)| count).sum()
    }

    /// Flow records that are in the ring.
    pub(crate) const fn in_ring(&self) -> u64 {
        self.kernel.flow_sent.saturating_sub(self.account.taken.flow)
    }
}
