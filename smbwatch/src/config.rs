//! What the configuration means: every default filled in, every value checked.

pub mod file;
mod addresses;
pub mod exceptions;
pub mod enrichment;
pub mod interfaces;
pub mod metrics;
pub mod runtimes;
pub mod sinks;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ipnet::IpNet;
use jiff::SignedDuration;
use serde::Deserialize;
use smbwatch_ebpf::event::MAX_PAYLOAD;
use smbwatch_ebpf::settings::{MAX_PORTS, MAX_PREFIXES};

use crate::ranges::{self, Kind, Range};
use crate::scan::Threshold;
use enrichment::{Geo, State, ThreatList};
use exceptions::Exception;
use file::File;
use interfaces::Interfaces;
use metrics::Metrics;
use runtimes::Runtimes;
use sinks::SinkConfig;

/// Largest tables that fit the counters and the kernel's limits.
const MAX_FLOWS: u32 = 1 << 24;
/// Destinations that are remembered of each workload.
const MAX_SCAN: usize = 1 << 12;
const RING_BYTES: std::ops::RangeInclusive<u32> = 1 << 16..=1 << 30;

/// A named choice of sources and reserved ranges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
pub enum Profile {
    /// RFC 1918 sources; the 26 ranges of the rule are not the Internet.
    #[default]
    #[serde(rename = "rule-105")]
    #[value(name = "rule-105")]
    Rule105,
    /// Also ULA, CGNAT and the host's own public addresses; what the IANA registries do not call globally
    /// reachable is not the Internet; IPv4 inside IPv6 is judged as IPv4.
    #[serde(rename = "strict")]
    #[value(name = "strict")]
    Strict,
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rule105 => "rule-105",
            Self::Strict => "strict",
        })
    }
}

/// What the severity of an alert follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeverityMode {
    /// The grade: 21, 47, 73 or 99.
    #[default]
    Grade,
    /// The rule: always 73.
    Rule,
}

/// How programs are attached to interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackEnd {
    /// TCX where the kernel has it, else clsact.
    #[default]
    Auto,
    /// TCX (Linux 6.6), or fail.
    Tcx,
    /// A filter on the clsact qdisc.
    Clsact,
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The profile that sources and ranges came from.
    pub profile: Profile,
    /// What the severity follows.
    pub severity: SeverityMode,
    /// Watched ports; between 1 and [`MAX_PORTS`].
    pub ports: Vec<u16>,
    /// SMB is recognised by content on every other port.
    pub any_port: bool,
    /// Sources that match.
    pub sources: Vec<IpNet>,
    /// The host's own public addresses match as sources too.
    pub own_addresses: bool,
    /// The host's own addresses that are no sources, as found at start: behind NAT, workloads have them.
    pub nat_addresses: Vec<IpAddr>,
    /// IPv4-mapped and NAT64 destinations are judged by the IPv4 address inside.
    pub embedded_ipv4: bool,
    /// Destinations that do not match, and their carve-outs; the longest prefix decides.
    pub destinations: Vec<Range>,
    /// Exceptions. Those that the kernel decides are among the destinations too.
    pub exceptions: Vec<Exception>,
    /// Processes are found by hooks on `connect`.
    pub owners: bool,
    /// Interfaces to watch.
    pub interfaces: Interfaces,
    /// How to attach.
    pub back_end: BackEnd,
    /// Container runtimes to ask.
    pub runtimes: Runtimes,
    /// Flows that the kernel remembers.
    pub flows: u32,
    /// Bytes of the ring buffer.
    pub ring_bytes: u32,
    /// Bytes of payload of each direction of a flow that are read, at most [`MAX_PAYLOAD`]; 0 reads none.
    pub payload_bytes: u32,
    /// Payload sent, in KiB, from which on a flow is a transfer; 0: none is.
    pub transfer_kib: u32,
    /// Names of files of each connection that are told, at most.
    pub file_names: usize,
    /// How long what a workload does at one destination is one incident, and after which one that goes on is told
    /// again; 0: each connection is one.
    pub incident_window: SignedDuration,
    /// What makes a scan.
    pub scan: Threshold,
    /// Alerts of each grade a second that are sent one by one; what exceeds them is counted.
    pub alerts_per_second: u32,
    /// Addresses that are known to be bad.
    pub threat_lists: Vec<ThreatList>,
    /// Databases about addresses.
    pub geo: Geo,
    /// What is remembered across restarts.
    pub state: State,
    /// Where alerts go.
    pub sinks: Vec<SinkConfig>,
    /// Where metrics are served.
    pub metrics: Metrics,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::Rule105,
            severity: SeverityMode::Grade,
            ports: vec![139, 445],
            any_port: true,
            sources: ranges::private(),
            own_addresses: false,
            nat_addresses: Vec::new(),
            embedded_ipv4: false,
            destinations: ranges::rule_105(),
            exceptions: Vec::new(),
            owners: true,
            interfaces: Interfaces::default(),
            back_end: BackEnd::Auto,
            runtimes: Runtimes::default(),
            flows: 1 << 16,
            ring_bytes: 1 << 21,
            payload_bytes: 1 << 13,
            transfer_kib: 1 << 10,
            file_names: 0,
            incident_window: SignedDuration::from_mins(5),
            scan: Threshold { destinations: 20, window: SignedDuration::from_secs(60) },
            alerts_per_second: 1000,
            threat_lists: Vec::new(),
            geo: Geo::default(),
            state: State::default(),
            sinks: vec![SinkConfig::stdout()],
            metrics: Metrics::default(),
        }
    }
}

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// A file; none: the defaults.
    pub file: Option<PathBuf>,
    /// The profile, whichever the file names.
    pub profile: Option<Profile>,
    /// Names of the interfaces to watch, whatever the file says; empty: what it says.
    pub interfaces: Vec<String>,
}

impl Given {
    /// Reads it and checks it.
    pub fn load(&self) -> Result<Config, Error> {
        let mut config = match &self.file {
            Some(path) => Config::load(path, self.profile)?,
            None => Config::of(self.profile.unwrap_or_default()),
        };
        if !self.interfaces.is_empty() {
            config.interfaces = Interfaces { names: self.interfaces.clone(), ..Interfaces::default() };
        }
        Ok(config)
    }
}

/// Something in a configuration is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The text is not what the configuration wants, at a known place.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong, and the way out.
        message: String,
    },
    /// A value is out of bounds.
    #[error("{}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the way out.
        message: String,
    },
}

impl Config {
    /// Reads and checks a file. `profile` overrides the one that the file names.
    pub fn load(path: &Path, profile: Option<Profile>) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|error| Error::Read { path: path.to_owned(), error })?;
        Self::parse(&text, path, profile)
    }

    /// Checks the text of a file; `path` is for messages.
    pub fn parse(text: &str, path: &Path, profile: Option<Profile>) -> Result<Self, Error> {
        let file: File = toml::from_str(text).map_err(|error| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            Error::Syntax { path: path.to_owned(), line, column, message: error.message().trim().to_owned() }
        })?;
        Self::from_file(file, profile).map_err(|message| Error::Value { path: path.to_owned(), message })
    }

    /// The defaults of a profile.
    pub fn of(profile: Profile) -> Self {
        let strict = profile == Profile::Strict;
        Self {
            profile,
            sources: if strict { ranges::private_strict() } else { ranges::private() },
            own_addresses: strict,
            embedded_ipv4: strict,
            destinations: if strict { ranges::strict() } else { ranges::rule_105() },
            ..Self::default()
        }
    }

    fn from_file(file: File, profile: Option<Profile>) -> Result<Self, String> {
        let mut config = Self::of(profile.or(file.profile).unwrap_or_default());
        if let Some(sources) = file.sources {
            // Who names the sources means no others.
            config.sources = sources.into_iter().map(|prefix| prefix.0).collect();
            config.own_addresses = false;
        }
        if let Some(reserved) = file.reserved {
            let range = |prefix| Range { prefix, kind: Kind::Reserved, name: "configured".to_owned() };
            config.destinations = reserved.into_iter().map(|prefix| range(prefix.0)).collect();
        }
        let exceptions = file.exceptions.into_iter().map(Exception::parse).collect::<Result<Vec<_>, _>>()?;
        config.except(exceptions);
        set(&mut config.severity, file.severity);
        set(&mut config.ports, file.ports);
        set(&mut config.any_port, file.any_port);
        set(&mut config.owners, file.owners);
        set(&mut config.back_end, file.interfaces.back_end);
        set(&mut config.flows, file.limits.flows);
        set(&mut config.ring_bytes, file.limits.ring_bytes);
        let window = file.incident_seconds.map(|seconds| SignedDuration::from_secs(seconds.into()));
        set(&mut config.incident_window, window);
        set(&mut config.scan.destinations, file.scan.destinations);
        set(
            &mut config.scan.window,
            file.scan.seconds.map(|seconds| SignedDuration::from_secs(seconds.into())),
        );
        set(&mut config.payload_bytes, file.smb.payload_bytes);
        set(&mut config.transfer_kib, file.smb.transfer_kib);
        set(&mut config.file_names, file.smb.file_names);
        set(&mut config.alerts_per_second, file.limits.alerts_per_second);
        config.interfaces = Interfaces::parse(&file.interfaces.include, &file.interfaces.exclude)?;
        config.runtimes = Runtimes::parse(file.runtimes)?;
        config.metrics = Metrics::parse(file.metrics)?;
        config.geo = file.geo;
        config.state = file.state.check()?;
        config.threat_lists =
            file.threat_lists.into_iter().map(ThreatList::parse).collect::<Result<_, _>>()?;
        if let Some(sinks) = file.sinks {
            config.sinks = SinkConfig::all(sinks)?;
        }
        config.check()?;
        Ok(config)
    }

    /// Adds exceptions. Those of the kernel take in whatever inside them is called globally reachable.
    fn except(&mut self, exceptions: Vec<Exception>) {
        let simple: Vec<(IpNet, String)> = exceptions
            .iter()
            .filter_map(|exception| Some((exception.is_for_kernel()?, exception.reason.clone())))
            .collect();
        self.exceptions = exceptions;
        for range in self.destinations.iter_mut().filter(|range| range.kind == Kind::Public) {
            if let Some((_, reason)) = simple.iter().find(|(around, _)| around.contains(&range.prefix)) {
                (range.kind, range.name) = (Kind::Exception, reason.clone());
            }
        }
        let range = |(prefix, name)| Range { prefix, kind: Kind::Exception, name };
        self.destinations.extend(simple.into_iter().map(range));
    }

    fn check(&mut self) -> Result<(), String> {
        self.ports.sort_unstable();
        self.ports.dedup();
        if self.ports.is_empty() || self.ports.len() > MAX_PORTS {
            return Err(format!("`ports` holds {} ports; give between 1 and {MAX_PORTS}", self.ports.len()));
        }
        if self.ports.contains(&0) {
            return Err("`ports` holds 0, which no packet goes to; remove it".to_owned());
        }
        if self.sources.is_empty() {
            return Err("`sources` is empty, so nothing could match; name a range or leave it out".to_owned());
        }
        fits("`sources`", self.sources.iter().copied())?;
        fits("`reserved` and `exceptions`", self.destinations.iter().map(|range| range.prefix))?;
        if self.sinks.is_empty() {
            return Err(
                "`sinks` is empty, so nothing would be told; leave it out for standard output".to_owned()
            );
        }
        if !(1..=MAX_FLOWS).contains(&self.flows) {
            return Err(format!("`limits.flows` is {}; give between 1 and {MAX_FLOWS}", self.flows));
        }
        if !RING_BYTES.contains(&self.ring_bytes) || !self.ring_bytes.is_power_of_two() {
            return Err(format!(
                "`limits.ring_bytes` is {}; give a power of two between {} and {}",
                self.ring_bytes,
                RING_BYTES.start(),
                RING_BYTES.end()
            ));
        }
        if self.payload_bytes as usize > MAX_PAYLOAD {
            return Err(format!(
                "`smb.payload_bytes` is {}; give at most {MAX_PAYLOAD}, or 0 for none",
                self.payload_bytes
            ));
        }
        if self.scan.destinations > MAX_SCAN {
            return Err(format!(
                "`scan.destinations` is {}; give at most {MAX_SCAN}, or 0 for none",
                self.scan.destinations
            ));
        }
        if self.alerts_per_second == 0 {
            return Err(
                "`limits.alerts_per_second` is 0, so nothing would be told; give 1 or more".to_owned()
            );
        }
        Ok(())
    }
}

/// Whether the prefixes of each family fit the kernel's tries.
fn fits(key: &str, prefixes: impl Iterator<Item = IpNet>) -> Result<(), String> {
    let (mut ipv4, mut ipv6) = (0, 0);
    for prefix in prefixes {
        match prefix {
            IpNet::V4(_) => ipv4 += 1,
            IpNet::V6(_) => ipv6 += 1,
        }
    }
    for (count, family) in [(ipv4, "IPv4"), (ipv6, "IPv6")] {
        if count > MAX_PREFIXES {
            return Err(format!(
                "{key}: {count} {family} prefixes, of which {MAX_PREFIXES} fit; give fewer and wider ones"
            ));
        }
    }
    Ok(())
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Line and column, from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or("").chars().count() + 1)
}

#[cfg(test)]
mod tests;
