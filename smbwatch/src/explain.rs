//! Why a packet matches or not: which clause and which range decide.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::config::exceptions::{Exception, Workload};
use crate::except::Exceptions;
use crate::ranges::Kind;

/// A packet, as far as the rule is about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    source: IpAddr,
    destination: SocketAddr,
}

/// What decides: a configuration, and its exceptions as far as the agent decides them.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Its exceptions, with what was read of their files.
    pub exceptions: &'a Exceptions,
    /// An agent runs by it: the host's own addresses are known.
    pub is_running: bool,
}

/// The answer for one packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Whether the packet matches.
    pub matches: bool,
    /// One line for each clause, in the order in which they are tried; the last one decides.
    pub clauses: Vec<String>,
}

/// Source and destination are of different IP versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no packet goes from {0} to {1}: one is IPv4 and the other IPv6; give two of one kind")]
pub struct Mixed(IpAddr, IpAddr);

impl Packet {
    /// A packet from `source` to `destination` and `port`.
    pub fn new(source: IpAddr, destination: IpAddr, port: u16) -> Result<Self, Mixed> {
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(Mixed(source, destination));
        }
        Ok(Self { source, destination: SocketAddr::new(destination, port) })
    }

    /// The same, as it is asked for over the agent's socket.
    pub fn parse(source: &str, destination: &str, port: &str) -> anyhow::Result<Self> {
        Ok(Self::new(source.parse()?, destination.parse()?, port.parse()?)?)
    }

    /// How it is asked for over the agent's socket.
    pub fn target(self) -> String {
        format!("/explain/{}/{}/{}", self.source, self.destination.ip(), self.destination.port())
    }
}

/// Explains a packet at the time `now`.
pub fn explain(basis: Basis<'_>, packet: Packet, now: Timestamp) -> Explanation {
    let Packet { source, destination } = packet;
    let config = basis.config;
    let clauses = [
        port_clause(config, destination.port()),
        source_clause(basis, source),
        destination_clause(config, destination.ip()),
    ];
    let exceptions = basis
        .exceptions
        .about(source, destination)
        .map(|(exception, is_read)| exception_clause(exception, is_read, now));
    let mut explanation = Explanation { matches: true, clauses: Vec::new() };
    for (passes, clause) in clauses.into_iter().chain(exceptions) {
        explanation.clauses.push(clause);
        if !passes {
            explanation.matches = false;
            break;
        }
    }
    explanation
}

/// An exception of which more than addresses and port decides does not keep anything from matching here.
fn exception_clause(exception: &Exception, is_read: bool, now: Timestamp) -> (bool, String) {
    let Exception { reason, workload, destinations_file, expires, .. } = exception;
    let until = expires.map(|expires| format!(" until {expires}")).unwrap_or_default();
    let of = owner(exception);
    if !exception.is_live(now) {
        let comma = if of.is_empty() { "" } else { "," };
        return (true, format!("the exception `{reason}`{of}{comma} has expired ({})", until.trim_start()));
    }
    let mut but = Vec::new();
    if !workload.is_any() {
        but.push(format!("if the workload has the {}", names(workload)));
    }
    let mut file = String::new();
    if let Some(path) = destinations_file {
        if is_read {
            file = format!(", which {} lists", path.display());
        } else {
            but.push(format!("if {}, which could not be read, lists the destination", path.display()));
        }
    }
    let when = if but.is_empty() { String::new() } else { format!(", {}", but.join(" and ")) };
    (!but.is_empty(), format!("excepted{until} by `{reason}`{of}{file}{when}"))
}

fn owner(exception: &Exception) -> String {
    exception.owner.as_ref().map(|owner| format!(", of {owner}")).unwrap_or_default()
}

fn names(workload: &Workload) -> String {
    let Workload { container, image, unit, executable } = workload;
    let names = [("container", container), ("image", image), ("unit", unit), ("executable", executable)];
    let names = names.into_iter().filter_map(|(kind, name)| Some(format!("{kind} `{}`", name.as_ref()?)));
    names.collect::<Vec<_>>().join(" and the ")
}

fn port_clause(config: &Config, port: u16) -> (bool, String) {
    if config.ports.contains(&port) {
        (true, format!("port {port} is watched"))
    } else if config.any_port {
        (true, format!("port {port} is not watched, but SMB is recognised on it (any_port = true)"))
    } else {
        let ports: Vec<String> = config.ports.iter().map(u16::to_string).collect();
        (false, format!("port {port} is not watched ({}; any_port = false)", ports.join(", ")))
    }
}

fn source_clause(Basis { config, is_running, .. }: Basis<'_>, source: IpAddr) -> (bool, String) {
    match config.source_prefix(source) {
        Some(prefix) => (true, format!("source {source} is inside `sources`: {prefix}")),
        None if config.nat_addresses.contains(&source) => (
            false,
            format!(
                "source {source} is an address of this host and outside `sources`: {} (a workload behind it \
                 would match with its own address)",
                list(&config.sources)
            ),
        ),
        None if config.own_addresses && !is_running => (
            false,
            format!(
                "source {source} is outside `sources`: {} (a public address of the watched host itself would match)",
                list(&config.sources)
            ),
        ),
        None => (false, format!("source {source} is outside `sources`: {}", list(&config.sources))),
    }
}

fn destination_clause(config: &Config, destination: IpAddr) -> (bool, String) {
    let judged = config.judged(destination);
    let inside = if judged == destination {
        String::new()
    } else {
        format!(", judged by the IPv4 address inside, {judged},")
    };
    match config.destination_range(destination) {
        None => (true, format!("destination {destination}{inside} is in no reserved range: the Internet")),
        Some(range) => {
            let what = match range.kind {
                Kind::Public => "is globally reachable",
                Kind::Reserved => "is reserved",
                Kind::Exception => "is excepted",
            };
            let passes = range.kind == Kind::Public;
            let is_its = |exception: &&Exception| exception.is_for_kernel() == Some(range.prefix);
            let of = config.exceptions.iter().find(is_its).map(owner).unwrap_or_default();
            (
                passes,
                format!("destination {destination}{inside} {what}: {} ({}){of}", range.prefix, range.name),
            )
        }
    }
}

fn list(prefixes: &[IpNet]) -> String {
    let prefixes: Vec<String> = prefixes.iter().map(IpNet::to_string).collect();
    prefixes.join(", ")
}

impl Explanation {
    /// The answer for people; `by` says whose it is.
    pub fn text(&self, by: &str) -> String {
        let verdict = if self.matches { "match" } else { "no match" };
        let clauses: String = self.clauses.iter().map(|clause| format!("  {clause}\n")).collect();
        format!("{verdict}, {by}\n{clauses}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;

    fn explained(config: &Config, packet: Packet) -> Explanation {
        let exceptions = Exceptions::new(&config.exceptions);
        explain(Basis { config, exceptions: &exceptions, is_running: false }, packet, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn each_exception_is_named_with_what_else_it_asks_for() {
        let packet = Packet::parse("10.0.0.5", "8.8.8.8", "445").expect("a packet");
        let unread = "excepted by `a test`, if /list, which could not be read, lists the destination";
        for (keys, matches, last) in [
            ("destination = \"8.8.8.0/24\"", false, "destination 8.8.8.8 is excepted: 8.8.8.0/24 (a test)"),
            ("source = \"10.0.0.0/8\"\nowner = \"storage\"", false, "excepted by `a test`, of storage"),
            ("source = \"10.9.0.0/16\"", true, "destination 8.8.8.8 is in no reserved range: the Internet"),
            (
                "destination = \"8.8.8.8\"\nports = [445]\nexpires = \"2999-12-30\"",
                false,
                "excepted until 2999-12-31T00:00:00Z by `a test`",
            ),
            (
                "destination = \"8.8.8.8\"\nexpires = \"1969-12-30\"\nowner = \"storage\"",
                true,
                "the exception `a test`, of storage, has expired (until 1969-12-31T00:00:00Z)",
            ),
            (
                "container = \"backup-*\"\nexecutable = \"/usr/bin/rclone\"",
                true,
                "excepted by `a test`, if the workload has the container `backup-*` and the executable `/usr/bin/rclone`",
            ),
            ("destinations_file = \"/list\"", true, unread),
        ] {
            let text = format!("[[exceptions]]\nreason = \"a test\"\n{keys}");
            let config = Config::parse(&text, "test.toml".as_ref(), None).expect("a configuration");
            let answer = explained(&config, packet);
            assert_eq!(answer.clauses.last().map(String::as_str), Some(last));
            assert_eq!(answer.matches, matches, "{answer:?}");
        }
    }

    #[test]
    fn the_deciding_clause_and_range_are_named() {
        let rule = Config::default();
        let strict = Config::of(Profile::Strict);
        let ports = Config { any_port: false, ..Config::default() };
        for (config, source, destination, port, matches, last) in [
            (
                &rule,
                "10.0.0.5",
                "8.8.8.8",
                445,
                true,
                "destination 8.8.8.8 is in no reserved range: the Internet",
            ),
            (
                &rule,
                "10.0.0.5",
                "8.8.8.8",
                443,
                true,
                "destination 8.8.8.8 is in no reserved range: the Internet",
            ),
            (
                &ports,
                "10.0.0.5",
                "8.8.8.8",
                443,
                false,
                "port 443 is not watched (139, 445; any_port = false)",
            ),
            (
                &rule,
                "9.9.9.9",
                "8.8.8.8",
                445,
                false,
                "source 9.9.9.9 is outside `sources`: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16",
            ),
            (
                &rule,
                "10.0.0.5",
                "192.0.0.9",
                139,
                false,
                "destination 192.0.0.9 is reserved: 192.0.0.9/32 (Port Control Protocol Anycast)",
            ),
            (
                &strict,
                "10.0.0.5",
                "192.0.0.9",
                139,
                true,
                "destination 192.0.0.9 is globally reachable: 192.0.0.9/32 (Port Control Protocol Anycast)",
            ),
            (
                &strict,
                "fd00::1",
                "64:ff9b::a01:203",
                445,
                false,
                "destination 64:ff9b::a01:203, judged by the IPv4 address inside, 10.1.2.3, is reserved: 10.0.0.0/8 (Private-Use)",
            ),
            (
                &strict,
                "fd00::1",
                "64:ff9b::808:808",
                445,
                true,
                "destination 64:ff9b::808:808, judged by the IPv4 address inside, 8.8.8.8, is in no reserved range: the Internet",
            ),
        ] {
            let address = |text: &str| text.parse().expect("an address");
            let packet = Packet::new(address(source), address(destination), port).expect("a packet");
            let answer = explained(config, packet);
            assert_eq!(answer.matches, matches, "{answer:?}");
            assert_eq!(answer.clauses.last().map(String::as_str), Some(last));
        }
    }

    #[test]
    fn a_packet_is_of_one_ip_version() {
        let address = |text: &str| text.parse().expect("an address");
        for (source, destination) in [("10.0.0.5", "2606::1"), ("fd00::1", "8.8.8.8")] {
            let (source, destination) = (address(source), address(destination));
            let packet = Packet::new(source, destination, 445);
            assert_eq!(packet, Err(Mixed(source, destination)));
        }
    }
}
