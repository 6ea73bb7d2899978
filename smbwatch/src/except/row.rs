//! What is told of an exception: what it says, and how often it was used.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Exceptions, State};
use crate::config::Config;
use crate::config::exceptions::Exception;
use crate::ranges::Kind;

/// An exception, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where to; none: anywhere.
    pub destination: Option<IpNet>,
    /// A file of prefixes where to.
    pub destinations_file: Option<PathBuf>,
    /// How many prefixes the file holds, if it was read.
    pub listed: Option<usize>,
    /// To which ports; empty: any.
    pub ports: Vec<u16>,
    /// From where; none: anywhere.
    pub source: Option<IpNet>,
    /// Pattern of the container's name.
    pub container: Option<String>,
    /// Pattern of its image.
    pub image: Option<String>,
    /// Pattern of the systemd unit.
    pub unit: Option<String>,
    /// Pattern of the executable's path.
    pub executable: Option<String>,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// Whether that is over.
    pub expired: bool,
    /// Who decides it.
    pub decided_by: Decider,
    /// How often it was used: packets where the kernel decides, changes of flows where the agent does. None where
    /// nobody counts.
    pub hits: Option<u64>,
}

/// Who decides an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decider {
    /// The programs, by the destination alone.
    Kernel,
    /// The agent.
    Agent,
}

/// Every exception of a configuration, in its order. `decided` are those of the agent; `packets` tells of a running
/// one how many the kernel has let pass to a range.
pub fn rows(
    config: &Config,
    decided: &Exceptions,
    packets: Option<&dyn Fn(IpNet) -> Option<u64>>,
    now: Timestamp,
) -> Vec<Row> {
    let by_kernel = packets.map(|packets| by_kernel(config, packets));
    let mut decided = decided.all.iter();
    let row = |exception: &Exception| match exception.is_for_kernel() {
        Some(prefix) => {
            let hits = by_kernel.as_ref().and_then(|hits| hits.get(&prefix).copied());
            Row { hits, ..Row::of(exception, Decider::Kernel, now) }
        }
        None => {
            let state = decided.next();
            let listed = state.and_then(|state| Some(state.listed.as_ref()?.len()));
            let hits = state.map(|state: &State| state.hits).filter(|_| by_kernel.is_some());
            Row { listed, hits, ..Row::of(exception, Decider::Agent, now) }
        }
    };
    config.exceptions.iter().map(row).collect()
}

/// Packets by the destination of an exception. Ranges inside that are globally reachable have counters of their own,
/// and are its own as well.
fn by_kernel(config: &Config, packets: &dyn Fn(IpNet) -> Option<u64>) -> HashMap<IpNet, u64> {
    let excepted: HashSet<IpNet> = config.exceptions.iter().filter_map(Exception::is_for_kernel).collect();
    let ranges: HashSet<IpNet> = config
        .destinations
        .iter()
        .filter(|range| range.kind == Kind::Exception)
        .map(|range| range.prefix)
        .collect();
    let mut hits = HashMap::new();
    for range in ranges {
        let mut around = std::iter::successors(Some(range), IpNet::supernet);
        if let (Some(exception), Some(count)) =
            (around.find(|prefix| excepted.contains(prefix)), packets(range))
        {
            *hits.entry(exception).or_insert(0) += count;
        }
    }
    hits
}

impl Row {
    fn of(exception: &Exception, decided_by: Decider, now: Timestamp) -> Self {
        let workload = &exception.workload;
        let text =
            |pattern: &Option<glob::Pattern>| pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
        Self {
            reason: exception.reason.clone(),
            owner: exception.owner.clone(),
            destination: exception.destination,
            destinations_file: exception.destinations_file.clone(),
            listed: None,
            ports: exception.ports.clone(),
            source: exception.source,
            container: text(&workload.container),
            image: text(&workload.image),
            unit: text(&workload.unit),
            executable: text(&workload.executable),
            expires: exception.expires,
            expired: !exception.is_live(now),
            decided_by,
            hits: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn ranges_inside_an_exception_are_counted_with_it_and_exceptions_inside_are_not() {
        let text = "profile = \"strict\"\n\
            [[exceptions]]\ndestination = \"192.0.0.0/24\"\nreason = \"around\"\n\
            [[exceptions]]\nsource = \"10.0.0.0/8\"\nreason = \"of the agent\"\nexpires = \"1999-12-31\"\n\
            [[exceptions]]\ndestination = \"192.0.0.128/25\"\nreason = \"inside\"\n";
        let config = Config::parse(text, Path::new("test.toml"), None).expect("a configuration");
        let packets = |range: IpNet| Some(u64::from(range.prefix_len()));
        let told = |packets| {
            let rows = rows(&config, &Exceptions::new(&config.exceptions), packets, Timestamp::now());
            rows.into_iter()
                .map(|row| (row.reason, row.decided_by, row.expired, row.hits))
                .collect::<Vec<_>>()
        };
        let row = |reason: &str, by, expired, hits| (reason.to_owned(), by, expired, hits);
        // 192.0.0.9 and 192.0.0.10 are globally reachable.
        let expected = [
            row("around", Decider::Kernel, false, Some(24 + 32 + 32)),
            row("of the agent", Decider::Agent, true, Some(0)),
            row("inside", Decider::Kernel, false, Some(25)),
        ];
        assert_eq!(told(Some(&packets)), expected);
        assert!(told(None).iter().all(|(.., hits)| hits.is_none()));
    }
}
