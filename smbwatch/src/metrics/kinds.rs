//! Counts of records by their kind.

use smbwatch_ebpf::event;

/// How many records of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Changes of flows.
    pub flow: u64,
    /// Calls of `connect`.
    pub connect: u64,
    /// What processes run.
    pub process: u64,
    /// What was said.
    pub payload: u64,
    /// Anything else.
    pub unknown: u64,
}

impl Kinds {
    /// Counts a record, as its first byte names it.
    pub fn count(&mut self, record: &[u8]) {
        *match record.first() {
            Some(&event::FLOW) => &mut self.flow,
            Some(&event::CONNECT) => &mut self.connect,
            Some(&event::PROCESS) => &mut self.process,
            Some(&event::PAYLOAD) => &mut self.payload,
            _ => &mut self.unknown,
        } += 1;
    }

    /// Each count with its name.
    pub const fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("flow", self.flow),
            ("connect", self.connect),
            ("process", self.process),
            ("payload", self.payload),
            ("unknown", self.unknown),
        ]
    }
}
