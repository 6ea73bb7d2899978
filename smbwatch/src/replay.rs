//! `smbwatch replay`: the rule and every stage behind it, on what was captured before.

mod cut;
mod engine;
mod events;
mod host;
mod kernel;
mod rule;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use smbwatch_ebpf::packet::Slice;
use smbwatch_ebpf::parse::tcp::Clause;
use smbwatch_ebpf::parse::{Candidate, Link, Way, parse};
use smbwatch_ebpf::skip::Skip;

use crate::config::Config;
use crate::observation::Observation;
use crate::pipeline::Stages;
use crate::probe::{Counters, Probe};
use crate::sink::{Format, Outlet};
use crate::source::capture::{self, Capture, Packet, Problem};
use engine::{Engine, Piece};
use rule::Lists;

/// What the packets of a capture pass, by its index.
const INTERFACE: u32 = 1;

/// How a capture is replayed.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// By the host's own parser, without the kernel.
    pub offline: bool,
    /// Every address matches.
    pub any_address: bool,
    /// How alerts are written.
    pub format: Format,
    /// Folder for the verifier's log.
    pub run_dir: &'a Path,
}

/// What came of a capture.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Packets, or documents.
    pub read: u64,
    /// What they are called.
    pub unit: &'static str,
    /// Of these, those that were passed over, and why.
    pub passed_over: Vec<(u64, String)>,
    /// The account of the stages.
    pub account: crate::metrics::Summary,
}

/// Replays a capture, `-` being standard input. What came before an error is told all the same.
pub fn captures(
    mut config: Config,
    path: &Path,
    options: Options<'_>,
) -> anyhow::Result<(Summary, anyhow::Result<()>)> {
    if options.any_address {
        config = any_address(config);
    }
    config.owners = false;
    let input = open(path)?;
    let mut capture = Capture::open(input).with_context(|| name(path))?;
    let mut engine: Box<dyn Engine + '_> = if options.offline {
        Box::new(host::Host::new(&config))
    } else {
        Box::new(kernel::Kernel::new(Probe::load_for_replay(&config, options.run_dir)?)?)
    };
    let mut replay = Replay::new(&config, options)?;
    let mut others: Vec<(u64, String)> = Vec::new();
    let ended = loop {
        match capture.next_packet() {
            Ok(Some(packet)) => {
                if let Err(error) = replay.packet(&packet, engine.as_mut()) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            // Other interfaces of the capture may have another.
            Err(capture::Error::Packet { problem: problem @ Problem::Link { .. }, .. }) => {
                replay.read += 1;
                count(&mut others, problem.to_string());
            }
            Err(error) => break Err(error.into()),
        }
    };
    let ended = ended.with_context(|| name(path));
    let skipped = engine.skipped()?;
    Ok((replay.close(skipped, others, "packets"), ended))
}

/// Replays ECS documents of other tools, `-` being standard input.
pub fn documents(
    config: &Config,
    path: &Path,
    options: Options<'_>,
) -> anyhow::Result<(Summary, anyhow::Result<()>)> {
    let config = if options.any_address { any_address(config.clone()) } else { config.clone() };
    events::replay(&config, path, options)
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.read, self.unit)?;
        for (count, why) in &self.passed_over {
            write!(formatter, "\n  {count} {why}")?;
        }
        write!(formatter, "\n{}", self.account)
    }
}

/// The stages, fed by packets.
struct Replay<'a> {
    any_address: bool,
    rule: Lists<'a>,
    stages: Stages,
    /// What began it, on two clocks.
    start: Option<(Timestamp, Instant)>,
    out: Vec<Observation>,
    read: u64,
    flows: u64,
    skipped: [u64; Skip::COUNTED.len()],
}

impl<'a> Replay<'a> {
    fn new(config: &'a Config, options: Options<'_>) -> anyhow::Result<Self> {
        let outlet = Outlet::here(options.format);
        Ok(Self {
            any_address: options.any_address,
            rule: Lists::new(config),
            stages: Stages::for_replay(config.clone(), outlet),
            start: None,
            out: Vec::new(),
            read: 0,
            flows: 0,
            skipped: [0; Skip::COUNTED.len()],
        })
    }

    fn packet(&mut self, packet: &Packet<'_>, engine: &mut dyn Engine) -> anyhow::Result<()> {
        self.read += 1;
        let now = self.at(packet.time);
        let frame = match packet.frame() {
            Ok(frame) => frame,
            Err(skip) => {
                if let Some(counter) = skip.counter().and_then(|index| self.skipped.get_mut(index)) {
                    *counter += 1;
                }
                return Ok(());
            }
        };
        let Self { rule, out, any_address, .. } = self;
        cut::cut(frame.link, frame.bytes, rule, |bytes| {
            let piece = Piece { link: frame.link, bytes, time: packet.time };
            // The other program is for answers, which have the server's port as their source. Where every
            // address matches, they would be taken for clients' own messages.
            let is_answer = parse(frame.link, Way::Back, Slice::new(bytes), rule).is_ok();
            if is_answer {
                engine.take(&piece, Way::Back, out)?;
            }
            if is_answer && *any_address && !is_to_watched_port(&piece, rule) {
                return Ok(());
            }
            engine.take(&piece, Way::Out, out)
        })?;
        for mut observation in self.out.drain(..) {
            if let Observation::Flow(flow) = &mut observation {
                self.flows += 1;
                if frame.link == Link::None {
                    flow.vlans = [frame.tags.outer, frame.tags.inner];
                }
            }
            self.stages.observe(observation, now);
        }
        self.stages.release(now);
        Ok(())
    }

    /// A packet's time on the stages' clock.
    fn at(&mut self, time: Timestamp) -> Instant {
        self.stages.set_clock(time);
        let (first, start) = *self.start.get_or_insert_with(|| {
            self.stages.begin_replay(time);
            (time, Instant::now())
        });
        let passed = Duration::try_from(time.duration_since(first)).unwrap_or_default();
        start.checked_add(passed).unwrap_or(start)
    }

    fn close(
        self,
        mut skipped: [u64; Skip::COUNTED.len()],
        passed_over: Vec<(u64, String)>,
        unit: &'static str,
    ) -> Summary {
        for (total, more) in skipped.iter_mut().zip(self.skipped) {
            *total += more;
        }
        let kernel = Counters { flow_sent: self.flows, skipped, ..Counters::default() };
        Summary { read: self.read, unit, passed_over, account: self.stages.account(kernel) }
    }
}

fn is_to_watched_port(piece: &Piece<'_>, rule: &Lists<'_>) -> bool {
    let parsed = parse(piece.link, Way::Out, Slice::new(piece.bytes), rule);
    parsed.is_ok_and(|candidate| {
        let (Candidate::V4 { segment, .. } | Candidate::V6 { segment, .. }) = candidate;
        segment.clause == Clause::Port
    })
}

/// Drops the address clauses.
fn any_address(config: Config) -> Config {
    let all = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    Config {
        sources: all.into(),
        destinations: Vec::new(),
        embedded_ipv4: false,
        own_addresses: false,
        ..config
    }
}

/// Opens a file, or standard input.
fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

fn count(counts: &mut Vec<(u64, String)>, what: String) {
    match counts.iter_mut().find(|(_, known)| *known == what) {
        Some((count, _)) => *count += 1,
        None => counts.push((1, what)),
    }
}
