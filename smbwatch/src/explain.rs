//! Why a packet matches or not: which clause and which range decide.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use smbwatch_ebpf::rule::embedded_ipv4;

use crate::config::Config;
use crate::config::exceptions::Exception;
use crate::ranges::{Kind, Range, longest};

/// The answer for one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Explains a packet from `source` to `destination` and `port`.
pub fn explain(
    config: &Config,
    source: IpAddr,
    destination: IpAddr,
    port: u16,
) -> Result<Explanation, Mixed> {
    if source.is_ipv4() != destination.is_ipv4() {
        return Err(Mixed(source, destination));
    }
    let clauses =
        [port_clause(config, port), source_clause(config, source), destination_clause(config, destination)];
    let exceptions = config
        .exceptions
        .iter()
        .filter(|exception| exception.covers(source, destination, port))
        .map(exception_clause);
    let mut explanation = Explanation { matches: true, clauses: Vec::new() };
    for (passes, clause) in clauses.into_iter().chain(exceptions) {
        explanation.clauses.push(clause);
        if !passes {
            explanation.matches = false;
            break;
        }
    }
    Ok(explanation)
}

/// An exception of which more than addresses and port decides does not keep anything from matching here.
fn exception_clause(exception: &Exception) -> (bool, String) {
    let Exception { reason, workload, destinations_file, expires, .. } = exception;
    let until = expires.map(|expires| format!(" until {expires}")).unwrap_or_default();
    let is_live = exception.is_live(Timestamp::now());
    if !is_live {
        return (true, format!("the exception `{reason}` has expired ({})", until.trim_start()));
    }
    let mut but = Vec::new();
    if !workload.is_any() {
        but.push("if the workload is the one that it names".to_owned());
    }
    if let Some(path) = destinations_file {
        but.push(format!("if {} lists the destination", path.display()));
    }
    let when = if but.is_empty() { String::new() } else { format!(", {}", but.join(" and ")) };
    (!but.is_empty(), format!("excepted{until} by `{reason}`{when}"))
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

fn source_clause(config: &Config, source: IpAddr) -> (bool, String) {
    match source_prefix(config, source) {
        Some(prefix) => (true, format!("source {source} is inside `sources`: {prefix}")),
        None if config.own_addresses => (
            false,
            format!(
                "source {source} is outside `sources`: {} (a public address of the watched host itself would match)",
                list(&config.sources)
            ),
        ),
        None => (false, format!("source {source} is outside `sources`: {}", list(&config.sources))),
    }
}

/// The longest of `sources` that contains `source`.
pub fn source_prefix(config: &Config, source: IpAddr) -> Option<&IpNet> {
    config.sources.iter().filter(|prefix| prefix.contains(&source)).max_by_key(|prefix| prefix.prefix_len())
}

fn destination_clause(config: &Config, destination: IpAddr) -> (bool, String) {
    let judged = judged(config, destination);
    let inside = if judged == destination {
        String::new()
    } else {
        format!(", judged by the IPv4 address inside, {judged},")
    };
    match destination_range(config, destination) {
        None => (true, format!("destination {destination}{inside} is in no reserved range: the Internet")),
        Some(range) => {
            let what = match range.kind {
                Kind::Public => "is globally reachable",
                Kind::Reserved => "is reserved",
                Kind::Exception => "is excepted",
            };
            let passes = range.kind == Kind::Public;
            (passes, format!("destination {destination}{inside} {what}: {} ({})", range.prefix, range.name))
        }
    }
}

/// The range that decides about `destination`; none is the Internet.
pub fn destination_range(config: &Config, destination: IpAddr) -> Option<&Range> {
    longest(&config.destinations, judged(config, destination))
}

/// The address that `destination` is judged by.
fn judged(config: &Config, destination: IpAddr) -> IpAddr {
    embedded(config, destination).unwrap_or(destination)
}

fn embedded(config: &Config, destination: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = destination else { return None };
    let [a, b, c, d, e, f, g, h] = address.segments();
    let word = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
    let inside = embedded_ipv4([word(a, b), word(c, d), word(e, f), word(g, h)])?;
    config.embedded_ipv4.then(|| IpAddr::V4(inside.into()))
}

fn list(prefixes: &[IpNet]) -> String {
    let prefixes: Vec<String> = prefixes.iter().map(IpNet::to_string).collect();
    prefixes.join(", ")
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", if self.matches { "match" } else { "no match" })?;
        for clause in &self.clauses {
            writeln!(formatter, "  {clause}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;

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
            let answer = explain(config, address(source), address(destination), port).expect("an answer");
            assert_eq!(answer.matches, matches, "{answer}");
            assert_eq!(answer.clauses.last().map(String::as_str), Some(last));
        }
    }

    #[test]
    fn a_packet_is_of_one_ip_version() {
        let address = |text: &str| text.parse().expect("an address");
        for (source, destination) in [("10.0.0.5", "2606::1"), ("fd00::1", "8.8.8.8")] {
            let (source, destination) = (address(source), address(destination));
            let answer = explain(&Config::default(), source, destination, 445);
            assert_eq!(answer, Err(Mixed(source, destination)));
        }
    }
}
