//! What the agent counts, and the sums that must agree.

use std::fmt;

use smbwatch_ebpf::skip::Skip;

use crate::probe::Counters;
use crate::sink::Counts;

/// The agent's side of the account. Every flow record ends in exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Rises in grade that no record of a flow told, but what was said.
    pub rises: u64,
    /// Records and rises that became an alert.
    pub alerted: u64,
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
    /// Records that were not understood.
    pub undecoded: u64,
}

/// The whole account: the kernel's side, the agent's side and the sinks.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// What the kernel counted.
    pub kernel: Counters,
    /// What the agent made of it.
    pub account: Account,
    /// Each sink's name, and what became of its alerts.
    pub sinks: Vec<(String, Counts)>,
}

impl Account {
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
        self.kernel.flow_lost + self.account.undecoded
    }

    /// Whether seen = alerted + suppressed + lost.
    pub const fn agrees(&self) -> bool {
        self.seen() == self.account.alerted + self.account.suppressed() + self.lost()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { alerted, repeated, elsewhere, own, scanned, flooded, undecoded, .. } = self.account;
        let sign = if self.agrees() { "=" } else { "!=" };
        write!(
            formatter,
            "seen {} {sign} alerted {alerted} + suppressed {} + lost {}",
            self.seen(),
            self.account.suppressed(),
            self.lost()
        )?;
        if elsewhere + own + scanned + flooded != 0 {
            write!(
                formatter,
                "\n  suppressed: {repeated} repeats, {elsewhere} seen at another interface, {own} of the \
                 host's own address, {scanned} parts of scans, {flooded} over limits.alerts_per_second"
            )?;
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
    fn excepted_packets_were_judged() {
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
            "seen 0 = alerted 0 + suppressed 0 + lost 0\n  excepted: 3 packets\n  packets not judged: 2 truncated"
        );
    }
}
