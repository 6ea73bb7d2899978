//! The alert: an ECS 9.4 document, the agent's public contract. `docs/alert.md` describes every field.

mod document;
mod workload;
mod peer;
mod spoken;
mod say;
pub mod text;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use glob::Pattern;
use jiff::Timestamp;
use smbwatch_ebpf::flow;

use crate::config::{Config, Profile};
use crate::correlate::Attempt;
use crate::enrich::files::Peer;
use crate::enrich::host::Host;
use crate::enrich::process::{Ancestor, Process};
use crate::enrich::who::{Mount, Origin, Who};
use crate::judge::Judgement;
use crate::novelty::Novelty;
use crate::observation::FlowObservation;
use crate::probe::roles::Direction;
use crate::scan::Scan;
use crate::smb::Dialogue;
use crate::suppress::Since;
pub use document::Document;
use document::*;

/// What every alert says first, and always in the same words.
const MESSAGE: &str = "SMB from a private network to the Internet";

/// A scan is graver than any of its attempts.
const SCAN_SEVERITY: u8 = 73;

/// All that an alert is made of.
pub struct Finding<'a> {
    /// The sighting that gave rise to it.
    pub sighting: &'a FlowObservation,
    /// What it amounts to.
    pub judgement: Judgement,
    /// The number of the incident.
    pub incident: u64,
    /// The client's end as the workload has it.
    pub source: SocketAddr,
    /// The client's end behind NAT.
    pub translated: Option<SocketAddr>,
    /// Where the connection was seen.
    pub seen: &'a [Seen],
    /// The connections of the incident, if there is more than one.
    pub attempts: &'a [Attempt],
    /// What its incident has been since it was told last.
    pub since: Since,
    /// The scan that it is about.
    pub scan: Option<&'a Scan>,
    /// What has been said.
    pub dialogue: Option<&'a Dialogue>,
    /// Who is behind it.
    pub who: &'a Who,
    /// What files say of the destination.
    pub peer: &'a Peer,
    /// Whether the workload has connected there before.
    pub novelty: Option<Novelty>,
    /// Where it comes from, if another tool told it.
    pub origin: Option<&'a Origin>,
    /// Sightings since the last alert that made none.
    pub suppressed: u64,
    /// Records that were lost since the last alert.
    pub lost: u64,
}

/// Where a connection was seen.
pub struct Seen {
    /// Index of the interface.
    pub index: u32,
    /// Its name.
    pub interface: String,
    /// Which way the packets passed it.
    pub direction: Direction,
    /// The client's end there.
    pub source: SocketAddr,
}

/// Makes alerts.
pub struct Alerter {
    host: Host,
    profile: Profile,
    /// Labels of containers that are told.
    labels: Vec<Pattern>,
    /// Distinguishes this run of the agent, on this host, from every other.
    run: String,
    made: u64,
}

impl Alerter {
    /// Makes alerts about this host, in a run that began at `started`.
    pub fn new(host: Host, config: &Config, started: Timestamp) -> Self {
        let machine = host.machine().get(..8).unwrap_or(host.machine());
        let run = format!("{machine}-{}", started.as_microsecond());
        let labels = config.runtimes.labels.clone();
        Self { host, profile: config.profile, labels, run, made: 0 }
    }

    /// Takes what another configuration says.
    pub fn adapt(&mut self, config: &Config) {
        self.profile = config.profile;
        self.labels.clone_from(&config.runtimes.labels);
    }

    /// Makes one alert, at the time `now`.
    pub fn alert(&mut self, finding: &Finding<'_>, now: Timestamp) -> Document {
        self.made += 1;
        let Finding { sighting, who, judgement, .. } = finding;
        let process = who.process.as_deref();
        let user = user(who);
        let origin = finding.origin;
        let host_name = origin.and_then(|origin| origin.host.as_ref()).unwrap_or(&self.host.name);
        let nat = finding.translated.map(|end| Nat { ip: end.ip(), port: end.port() });
        let source = Endpoint { nat, ..endpoint(finding.source, sighting.sent, Some(sighting.packets)) };
        let destination = Endpoint {
            domain: who.mounts.iter().find_map(domain).or(finding.dialogue.and_then(spoken::server)),
            geo: finding.peer.place.clone().map(Into::into),
            r#as: finding.peer.system.clone().map(Into::into),
            ..endpoint(sighting.destination, sighting.received, None)
        };
        let incident = format!("{}-{}", self.run, finding.incident);
        let identity = finding.dialogue.and_then(spoken::identity);
        let left = identity.and_then(|logon| logon.identity.user.clone());
        let mut ip = vec![finding.source.ip(), sighting.destination.ip()];
        ip.extend(finding.translated.map(|end| end.ip()));
        Document {
            timestamp: sighting.time,
            ecs: Ecs { version: "9.4.0" },
            message: MESSAGE,
            event: self.event(finding, &incident, now),
            network: network(sighting, finding.source),
            client: source.clone(),
            source,
            server: destination.clone(),
            destination: destination.clone(),
            process: process.map(|process| self.process(process)),
            container: workload::container(who, &self.labels),
            orchestrator: workload::orchestrator(who),
            related: Related {
                ip,
                hosts: std::iter::once(host_name.clone()).chain(destination.domain.clone()).collect(),
                user: user.iter().filter_map(|user| user.name.clone()).chain(left).collect(),
            },
            user,
            host: HostFields {
                name: host_name.clone(),
                hostname: host_name.clone(),
                id: self.host.id.clone(),
                architecture: self.host.architecture.clone(),
                os: Os { r#type: "linux", kernel: self.host.kernel.clone() },
            },
            observer: Observer {
                vendor: "smbwatch",
                product: "smbwatch",
                r#type: "sensor",
                version: env!("CARGO_PKG_VERSION"),
                hostname: self.host.name.clone(),
                ingress: passed(finding, Direction::Ingress),
                egress: passed(finding, Direction::Egress),
            },
            rule: Rule {
                id: "smb-to-internet",
                name: MESSAGE,
                category: "Exfiltration",
                ruleset: self.profile.to_string(),
                version: env!("CARGO_PKG_VERSION"),
            },
            threat: threat(finding, identity.is_some()),
            tags: tags(finding.dialogue),
            smbwatch: Details {
                incident: Incident { id: incident, repeats: finding.since.repeats },
                grade: judgement.grade,
                profile: self.profile.to_string(),
                attribution: Attribution {
                    method: who.method,
                    ambiguous: who.is_ambiguous(),
                    candidates: who.candidates.iter().map(candidate).collect(),
                },
                origin: origin.and_then(origin_fields),
                cgroup: who.cgroup.as_deref().map(str::to_owned),
                unit: who.place.unit.clone(),
                mounts: who.mounts.iter().map(workload::mount).collect(),
                sightings: finding.seen.iter().map(sighting_fields).collect(),
                attempts: finding.attempts.iter().map(attempt).collect(),
                flow: Flow {
                    midstream: sighting.is(flow::MIDSTREAM),
                    partial: sighting.is(flow::PARTIAL),
                    by_content: sighting.by_content(),
                    wire: Wire { bytes: sighting.bytes },
                    handshake: sighting.handshake.map(|duration| Handshake { duration }),
                },
                smb: finding.dialogue.and_then(spoken::spoken),
                scan: finding.scan.map(scan),
                novelty: finding.novelty.clone(),
                process: process.filter(|process| process.arguments_cut).map(|_| Cut { args_cut: true }),
                ancestors: process.map(ancestors).unwrap_or_default(),
                suppressed: Count { count: finding.suppressed },
                lost: Count { count: finding.lost },
            },
        }
    }

    fn event(&self, finding: &Finding<'_>, incident: &str, now: Timestamp) -> Event {
        let Finding { sighting, judgement, scan, .. } = finding;
        let (action, outcome) = match scan {
            Some(scan) => say::scan(scan),
            None if finding.since.again => ("still-active", say::action(judgement).1),
            None => say::action(judgement),
        };
        let severity =
            if scan.is_some() { SCAN_SEVERITY.max(judgement.severity) } else { judgement.severity };
        let severity = finding.peer.threat.as_ref().map_or(0, |threat| threat.severity).max(severity);
        let duration = sighting.time.duration_since(sighting.started).as_nanos();
        Event {
            kind: "alert",
            category: ["network", "intrusion_detection"],
            r#type: [if outcome == "success" { "allowed" } else { "info" }],
            action,
            outcome,
            severity,
            risk_score: severity.into(),
            dataset: "smbwatch.alert",
            module: "smbwatch",
            provider: "ebpf",
            id: format!("{incident}-{}", self.made),
            created: now,
            start: sighting.started,
            end: sighting.time,
            duration: u64::try_from(duration).unwrap_or(0),
            reason: say::reason(finding),
        }
    }

    fn process(&self, process: &Process) -> ProcessFields {
        let parent = process.ancestors.first();
        ProcessFields {
            pid: process.pid,
            entity_id: process
                .start_ticks
                .map(|ticks| format!("{}-{}-{ticks}", self.host.machine(), process.pid)),
            name: process.name.clone(),
            executable: process.executable.clone(),
            args: process.arguments.clone(),
            args_count: (!process.arguments.is_empty()).then_some(process.arguments.len()),
            command_line: (!process.arguments.is_empty()).then(|| process.arguments.join(" ")),
            start: process.start,
            thread: Thread { id: process.tid },
            user: User { id: process.uid.to_string(), name: process.user.clone() },
            group: Group { id: process.gid.to_string() },
            parent: parent.map(ancestor),
        }
    }
}

fn origin_fields(origin: &Origin) -> Option<OriginFields> {
    let Origin { observer, event, .. } = origin;
    let fields = OriginFields { observer: observer.clone(), event: event.clone() };
    (fields.observer.is_some() || fields.event.is_some()).then_some(fields)
}

fn scan(scan: &Scan) -> ScanFields {
    ScanFields {
        start: scan.start,
        destinations: scan.destinations,
        more: scan.more,
        connections: scan.connections,
        samples: scan.samples.iter().map(ToString::to_string).collect(),
    }
}

fn threat(finding: &Finding<'_>, has_identity: bool) -> Threat {
    let tactics = if has_identity { IDENTITY_THREAT } else { THREAT };
    let Some(known) = &finding.peer.threat else { return tactics };
    let (feed, indicator) = peer::threat(finding.sighting.destination.ip(), known);
    Threat { feed: Some(feed), indicator: Some(Box::new(indicator)), ..tactics }
}

fn tags(dialogue: Option<&Dialogue>) -> Vec<&'static str> {
    let is_smb1 = dialogue.is_some_and(spoken::is_smb1);
    ["smb", "egress"].into_iter().chain(is_smb1.then_some("smb1")).collect()
}

fn endpoint(address: SocketAddr, bytes: u64, packets: Option<u64>) -> Endpoint {
    let (ip, port) = (address.ip(), address.port());
    Endpoint { address: ip, ip, port, domain: None, geo: None, r#as: None, nat: None, bytes, packets }
}

/// The first interface that the connection passed in a direction.
fn passed(finding: &Finding<'_>, direction: Direction) -> Option<Passed> {
    let seen = finding.seen.iter().find(|seen| seen.direction == direction)?;
    Some(Passed { interface: InterfaceFields { id: seen.index.to_string(), name: seen.interface.clone() } })
}

fn sighting_fields(seen: &Seen) -> Sighting {
    Sighting {
        interface: seen.interface.clone(),
        direction: seen.direction,
        source: SightingSource { ip: seen.source.ip(), port: seen.source.port() },
    }
}

fn attempt(attempt: &Attempt) -> AttemptFields {
    let (action, outcome) = say::action(&attempt.judgement);
    AttemptFields { destination: Port { port: attempt.port }, action, outcome }
}

fn network(sighting: &FlowObservation, source: SocketAddr) -> Network {
    let vlan = |id: u16| (id != 0).then(|| Vlan { id: id.to_string() });
    let [outer, inner] = sighting.vlans;
    Network {
        transport: "tcp",
        r#type: if sighting.source.is_ipv4() { "ipv4" } else { "ipv6" },
        iana_number: "6",
        protocol: sighting.is(flow::SMB).then_some("smb"),
        direction: "egress",
        community_id: community_id(source, sighting.destination),
        bytes: sighting.sent.saturating_add(sighting.received),
        vlan: vlan(outer),
        inner: vlan(inner).map(|vlan| Inner { vlan }),
    }
}

/// The flow's Community ID, version 1 with seed 0 (<https://github.com/corelight/community-id-spec>).
fn community_id(source: SocketAddr, destination: SocketAddr) -> Option<String> {
    const TCP: u8 = 6;
    let (from, to): (IpAddr, IpAddr) = (source.ip(), destination.ip());
    community_id::calculate_community_id(
        0,
        from,
        to,
        Some(source.port()),
        Some(destination.port()),
        TCP,
        false,
    )
    .ok()
}

fn ancestors(process: &Process) -> Vec<Relative> {
    process.ancestors.iter().map(ancestor).collect()
}

fn ancestor(ancestor: &Ancestor) -> Relative {
    Relative { pid: ancestor.pid, name: ancestor.name.clone(), executable: ancestor.executable.clone() }
}

fn candidate(process: &Arc<Process>) -> Relative {
    Relative { pid: process.pid, name: process.name.clone(), executable: process.executable.clone() }
}

/// The process's, or else the socket's.
fn user(who: &Who) -> Option<User> {
    let of_process = who.process.as_deref().map(|process| (process.uid, &process.user));
    let (id, name) = of_process.or(who.user.as_ref().map(|user| (user.id, &user.name)))?;
    Some(User { id: id.to_string(), name: name.clone() })
}

/// The name of a server, where it was not given as an address.
fn domain(mount: &Mount) -> Option<String> {
    mount.host().filter(|host| host.parse::<IpAddr>().is_err()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn community_ids_are_those_of_the_specification() {
        let text = include_str!("../tests/data/community-id-vectors.json");
        let all: Value = serde_json::from_str(text).expect("the vectors");
        let vectors = all["vectors"].as_array().expect("a list");
        let of_seed_0: Vec<&Value> = vectors.iter().filter(|vector| vector["seed"] == 0).collect();
        assert!(of_seed_0.len() > 5);
        for vector in of_seed_0 {
            let end = |address: &str, port: &str| {
                let port = vector[port].as_u64().and_then(|port| port.try_into().ok());
                let address = vector[address].as_str().and_then(|address| address.parse().ok());
                SocketAddr::new(address.expect("an address"), port.expect("a port"))
            };
            let (source, destination) = (end("src", "sport"), end("dst", "dport"));
            assert_eq!(community_id(source, destination).as_deref(), vector["id"].as_str());
            // Both ways of a connection have one identifier.
            assert_eq!(community_id(destination, source), community_id(source, destination));
        }
    }
}
