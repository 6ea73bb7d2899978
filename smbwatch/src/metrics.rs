//! What the agent counts, and the sums that must agree.

mod answer;
mod families;
mod format;
mod health;
mod kinds;
mod listen;
mod local;
mod process;
pub(crate) mod scrapes;
pub(crate) mod serve;
pub(crate) mod snapshot;
mod writer;

use std::collections::BTreeMap;
use std::fmt;

use smbwatch_ebpf::skip::Skip;

use crate::config::SeverityMode;
use crate::judge::{Grade, severity};
use crate::probe::Counters;
use crate::sink::Counts;
pub use kinds::Kinds;

/// The agent's side of the account. Every flow record ends in exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Records taken from the ring.
    pub taken: Kinds,
    /// Rises in grade that no record of a flow told, but what was said.
    pub rises: u64,
    /// Records and rises that became an alert, by its grade and severity.
    pub alerts: BTreeMap<(Grade, u8), u64>,
    /// Records that an exception covers which the agent decides.
    pub excepted: u64,
    /// Records that were not told because the connection's grade had been.
    pub repeated: u64,
    /// Records of what had been told when another interface saw it.
    pub elsewhere: u64,
    /// Records of connections from the host's own address, which is no source, and of no workload behind it.
    pub own: u64,
    /// Records that were told as parts of a scan.
    pub scanned: u64,
    /// Records that were not told because there were too many in one second.
    pub flooded: u64,
    /// Records that were not understood; of those, only flow records are in the sum.
    pub undecoded: Kinds,
}

/// The whole account: the kernel's side, the agent's side and the sinks.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// What the kernel counted.
    pub kernel: Counters,
    /// What the agent made of it.
    pub account: Account,
    /// How often each exception that the agent decides was used, and its reason.
    pub exceptions: Vec<(u64, String)>,
    /// Each sink's name, and what became of its alerts.
    pub sinks: Vec<(String, Counts)>,
}

impl Account {
    /// Nothing yet, of each grade that there is.
    pub fn new(mode: SeverityMode) -> Self {
        let mut account = Self::default();
        account.expect(mode);
        account
    }

    /// Shows each grade, with the severity that it has by `mode`, even where there is none yet.
    pub fn expect(&mut self, mode: SeverityMode) {
        for grade in Grade::ALL {
            self.alerts.entry((grade, severity(mode, grade))).or_default();
        }
    }

    /// Records and rises that became an alert.
    pub fn alerted(&self) -> u64 {
        self.alerts.values().sum()
    }

    /// Records that made no alert although they were understood.
    pub const fn suppressed(&self) -> u64 {
        self.repeated + self.elsewhere + self.own + self.scanned + self.flooded
    }
}

impl Summary {
    /// Changes of matching flows.
    pub const fn seen(&self) -> u64 {
        self.kernel.flow_sent + self.kernel.flow_lost + self.account.rises
    }

    /// Changes that were lost on the way.
    pub const fn lost(&self) -> u64 {
        self.kernel.flow_lost + self.account.undecoded.flow
    }

    /// Whether seen = alerted + suppressed + excepted + lost.
    pub fn agrees(&self) -> bool {
        let Account { excepted, .. } = self.account;
        self.seen() == self.account.alerted() + self.account.suppressed() + excepted + self.lost()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { repeated, elsewhere, own, scanned, flooded, .. } = self.account;
        let (alerted, undecoded) = (self.account.alerted(), self.account.undecoded.flow);
        let sign = if self.agrees() { "=" } else { "!=" };
        write!(
            formatter,
            "seen {} {sign} alerted {alerted} + suppressed {} + excepted {} + lost {}",
            self.seen(),
            self.account.suppressed(),
            self.account.excepted,
            self.lost()
        )?;
        if elsewhere + own + scanned + flooded != 0 {
            write!(
                formatter,
                "\n  suppressed: {repeated} repeats, {elsewhere} seen at another interface, {own} of the \
                 host's own address, {scanned} parts of scans, {flooded} over limits.alerts_per_second"
            )?;
        }
        for (hits, reason) in self.exceptions.iter().filter(|(hits, _)| *hits != 0) {
            write!(formatter, "\n  excepted: {hits} by `{reason}`")?;
        }
        if self.lost() != 0 {
            write!(
                formatter,
                "\n  lost: {} with the ring full, {undecoded} not understood",
                self.kernel.flow_lost
            )?;
        }
        if self.kernel.payload_lost != 0 {
            write!(
                formatter,
                "\n  {} pieces of payload not read, with the ring full",
                self.kernel.payload_lost
            )?;
        }
        if self.kernel.connect_lost != 0 {
            write!(formatter, "\n  {} connects not looked at, with the ring full", self.kernel.connect_lost)?;
        }
        let skipped = Skip::COUNTED.iter().zip(self.kernel.skipped).filter(|(_, count)| *count != 0);
        for (skip, count) in skipped {
            if *skip == Skip::Exception {
                write!(formatter, "\n  excepted: {count} packets")?;
            } else {
                write!(formatter, "\n  packets not judged: {count} {}", skip.name())?;
            }
        }
        for (name, counts) in &self.sinks {
            write!(formatter, "\n  {name}: {counts}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excepted_were_judged() {
        let mut summary = Summary::default();
        for (skip, count) in Skip::COUNTED.iter().zip(&mut summary.kernel.skipped) {
            *count = match skip.name() {
                "exception" => 3,
                "truncated" => 2,
                _ => 0,
            };
        }
        assert_eq!(
            summary.to_string(),
            "seen 0 = alerted 0 + suppressed 0 + excepted 0 + lost 0\n  excepted: 3 packets\n  packets not judged: 2 truncated"
        );
    }
}
