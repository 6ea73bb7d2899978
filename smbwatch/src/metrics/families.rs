//! From a snapshot to named metrics, as docs/metrics.md lists them.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use smbwatch_ebpf::skip::Skip;

use super::process::Process;
use super::snapshot::Snapshot;
use super::writer::{Families, by};
use crate::probe::Attached;
use crate::probe::roles::Role;
use crate::sink::{self, Counts};

/// Everything that there is to tell.
pub(super) fn registry(snapshot: Snapshot) -> Registry {
    let mut registry = Registry::default();
    let own = registry.sub_registry_with_prefix("smbwatch");
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    own.register("build", "Which smbwatch this is", build);
    own.register_collector(Box::new(snapshot));
    registry.register_collector(Box::new(Process));
    registry
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.account(&mut families)?;
        self.records(&mut families)?;
        self.remembered(&mut families)?;
        self.watched(&mut families)?;
        self.asked(&mut families)?;
        self.reloaded(&mut families)?;
        self.sent(&mut families)?;
        self.ran(&mut families)
    }
}

impl Snapshot {
    /// The sums that agree: matched = alerts + suppressed + excepted + lost flow records + pending.
    fn account(&self, families: &mut Families<'_>) -> fmt::Result {
        let account = &self.account;
        let matched = "Changes of flows that match the rule, and packets to exceptions.";
        families.counter("matched", matched, None, [([], self.matched())])?;
        let alerts: Vec<_> = account
            .alerts
            .iter()
            .map(|((grade, severity), count)| (grade.name(), severity.to_string(), *count))
            .collect();
        let alerts =
            alerts.iter().map(|(grade, severity, n)| ([("grade", *grade), ("severity", severity)], *n));
        families.counter("alerts", "Alerts.", None, alerts)?;
        let suppressed = [
            ("repeat", account.repeated),
            ("elsewhere", account.elsewhere),
            ("own", account.own),
            ("scan", account.scanned),
            ("flood", account.flooded),
        ];
        families.counter("suppressed", "Changes that made no alert.", None, by("reason", suppressed))?;
        let excepted = [("kernel", self.excepted()), ("agent", account.excepted)];
        families.counter("excepted", "What exceptions cover.", None, by("by", excepted))?;
        let pending = [("ring", self.in_ring()), ("hold", self.held)];
        families.gauge("pending", "Changes on their way to an alert.", None, by("place", pending))
    }

    fn records(&self, families: &mut Families<'_>) -> fmt::Result {
        let full = [
            ("flow", self.kernel.flow_lost),
            ("connect", self.kernel.connect_lost),
            ("payload", self.kernel.payload_lost),
        ];
        let labelled = |reason, (kind, count)| ([("kind", kind), ("reason", reason)], count);
        let lost = full.map(|lost| labelled("ring_full", lost)).into_iter();
        let lost = lost.chain(self.account.undecoded.named().map(|lost| labelled("undecoded", lost)));
        families.counter("records_lost", "Records that were lost.", None, lost)?;
        let taken = by("kind", self.account.taken.named());
        families.counter("records", "Records taken from the ring.", None, taken)?;
        let rises = "Rises in grade that what was said told, and no record of a flow.";
        families.counter("rises", rises, None, [([], self.account.rises)])?;
        let skipped = Skip::COUNTED.iter().zip(self.kernel.skipped);
        let skipped = skipped.filter(|(skip, _)| **skip != Skip::Exception);
        let skipped = by("reason", skipped.map(|(skip, count)| (skip.name(), count)));
        families.counter("packets_not_judged", "Packets that could not be judged.", None, skipped)
    }

    fn remembered(&self, families: &mut Families<'_>) -> fmt::Result {
        let about = "Connections that the agent remembers.";
        families.gauge("flows", about, None, by("state", self.states.named()))?;
        let flows = [("ipv4", self.flows), ("ipv6", self.flows.div_ceil(2))];
        families.gauge("flow_limit", "Flows that the kernel remembers.", None, by("family", flows))
    }

    fn watched(&self, families: &mut Families<'_>) -> fmt::Result {
        let ways = [Role::Uplink, Role::Workload].into_iter();
        let ways = ways.flat_map(|role| [Attached::Tcx, Attached::Clsact].map(|how| (role, how)));
        let interfaces = ways.map(|(role, how)| {
            let count = self.interfaces.attached.get(&(role, how)).copied().unwrap_or(0);
            ([("role", role.name()), ("back_end", how.name())], count)
        });
        families.gauge("interfaces", "Interfaces that are watched.", None, interfaces)?;
        let refused = "Interfaces that could not be attached.";
        families.gauge("interfaces_refused", refused, None, [([], self.interfaces.refused)])?;
        let waiting = "Interfaces that wait to be attached.";
        families.gauge("interfaces_waiting", waiting, None, [([], self.interfaces.waiting)])?;
        families.gauge("ring_size", "Size of the ring.", Some(&Unit::Bytes), [([], self.ring_bytes)])
    }

    fn asked(&self, families: &mut Families<'_>) -> fmt::Result {
        let asked = self.questions;
        families.gauge("questions_open", "Questions without an answer yet.", None, [([], asked.open)])?;
        let outcomes = [("answered", asked.answered), ("late", asked.late), ("refused", asked.refused)];
        let about = "Questions about who is behind a connection.";
        families.counter("questions", about, None, by("outcome", outcomes))
    }

    fn reloaded(&self, families: &mut Families<'_>) -> fmt::Result {
        let outcomes = [("applied", self.reloads.applied), ("refused", self.reloads.refused)];
        let about = "How often the configuration was read again.";
        families.counter("config_reloads", about, None, by("outcome", outcomes))?;
        let about = "Whether the configuration that was read last is in force.";
        let good = u64::from(!self.reloads.failing);
        families.gauge("config_last_reload_successful", about, None, [([], good)])
    }

    /// The sums of each sink: made + inherited = delivered + lost + queue + spool.
    fn sent(&self, families: &mut Families<'_>) -> fmt::Result {
        let each = |value: fn(&Counts) -> u64| {
            by("sink", self.sinks.iter().map(move |(name, counts)| (name.as_str(), value(counts))))
        };
        let filtered = each(|counts| counts.filtered);
        families.counter("sink_filtered", "Alerts that a sink's filter held back.", None, filtered)?;
        families.counter("sink_made", "Alerts for a sink.", None, each(|counts| counts.made))?;
        let inherited = "Alerts that were found in a sink's spool: an earlier run left them there.";
        families.counter("sink_inherited", inherited, None, each(|counts| counts.inherited))?;
        let delivered = each(|counts| counts.delivered);
        families.counter("sink_delivered", "Alerts that a sink has taken.", None, delivered)?;
        let lost = self.sinks.iter().flat_map(|(name, counts)| {
            let labelled = |(reason, count)| ([("sink", name.as_str()), ("reason", reason)], count);
            counts.lost.reasons().map(labelled)
        });
        families.counter("sink_lost", "Alerts that a sink has lost.", None, lost)?;
        let queued = each(|counts| counts.queued);
        families.gauge("sink_queue", "Alerts that wait in memory for a sink.", None, queued)?;
        families.gauge("sink_queue_limit", "Alerts that may wait there.", None, [([], sink::QUEUE)])?;
        let spooled = each(|counts| counts.spooled);
        families.gauge("sink_spool", "Alerts that wait in a sink's spool.", None, spooled)?;
        let bytes = each(|counts| counts.spooled_bytes);
        families.gauge("sink_spool_size", "What they take there.", Some(&Unit::Bytes), bytes)?;
        let now = Timestamp::now();
        let ages = self.sinks.iter().map(|(name, counts)| (name.as_str(), counts.age(now).as_secs_f64()));
        let about = "How long the oldest of them has waited.";
        families.gauge("sink_spool_age", about, Some(&Unit::Seconds), by("sink", ages))
    }

    fn ran(&self, families: &mut Families<'_>) -> fmt::Result {
        if self.programs.is_empty() {
            return Ok(());
        }
        let counts = self.programs.iter().map(|runs| (runs.program.as_str(), runs.count));
        families.counter("program_runs", "Runs of each program.", None, by("program", counts))?;
        let times = self.programs.iter().map(|runs| (runs.program.as_str(), runs.time.as_secs_f64()));
        let about = "Time that each program ran.";
        families.counter("program_run_time", about, Some(&Unit::Seconds), by("program", times))
    }
}
