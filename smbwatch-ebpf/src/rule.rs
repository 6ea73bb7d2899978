//! The rule: which ports, from where, to where. The kernel asks it of maps, the agent of lists.

use crate::skip::Skip;

/// The value of a range that is the Internet although a wider one around it is reserved.
pub const PUBLIC: u32 = 0;

/// What the destination of a packet is, where it is not the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Destination {
    /// Inside `reserved`.
    Reserved = 1,
    /// Inside an exception. The tries hold this and higher numbers, by which its packets are counted: the slot of
    /// each exception is so much more.
    Exception = 2,
}

/// The clauses of the rule, one question each. IPv4 addresses are numbers, IPv6 addresses four words
/// with the first word first.
pub trait Rule {
    /// Whether SMB is watched on `port` whatever the payload.
    fn watches(&self, port: u16) -> bool;
    /// Whether SMB is recognised by its payload on other ports.
    fn any_port(&self) -> bool;
    /// Whether a flow has been recognised so: only then is it worth looking for its end.
    fn content_flows(&self) -> bool;
    /// Whether payload is handed over, so that what the server sends is of interest.
    fn takes_payload(&self) -> bool;
    /// Whether an IPv4 destination is in one of the few ranges that are told without a look-up.
    fn lan4(&self, address: u32) -> bool;
    /// Whether an IPv6 destination is in one of the few ranges that are told without a look-up.
    fn lan6(&self, address: [u32; 4]) -> bool;
    /// Whether any IPv6 source matches at all.
    fn any_source6(&self) -> bool;
    /// Whether an IPv4 source is inside `sources`.
    fn source4(&self, address: u32) -> bool;
    /// Whether an IPv6 source is inside `sources`.
    fn source6(&self, address: [u32; 4]) -> bool;
    /// Where an IPv4 destination lies; none is the Internet.
    fn destination4(&self, address: u32) -> Option<Destination>;
    /// Where an IPv6 destination lies; none is the Internet.
    fn destination6(&self, address: [u32; 4]) -> Option<Destination>;
    /// Whether IPv4-mapped and NAT64 destinations are judged by the IPv4 address inside.
    fn embedded_ipv4(&self) -> bool;
}

/// Judges the addresses of an IPv4 packet by the clauses that need a look-up.
#[inline(always)]
pub fn judge4<R: Rule>(rule: &R, source: u32, destination: u32) -> Result<(), Skip> {
    if !rule.source4(source) {
        return Err(Skip::Source);
    }
    refuse(rule.destination4(destination))
}

/// Judges the addresses of an IPv6 packet by the clauses that need a look-up.
#[inline(always)]
pub fn judge6<R: Rule>(rule: &R, source: [u32; 4], destination: [u32; 4]) -> Result<(), Skip> {
    if !rule.source6(source) {
        return Err(Skip::Source);
    }
    judge_destination6(rule, destination)
}

/// Judges an IPv6 destination alone, as a connect hook must.
#[inline(always)]
pub fn judge_destination6<R: Rule>(rule: &R, destination: [u32; 4]) -> Result<(), Skip> {
    refuse(match embedded_ipv4(destination) {
        Some(inside) if rule.embedded_ipv4() => rule.destination4(inside),
        Some(_) | None => rule.destination6(destination),
    })
}

/// Judges an IPv4 destination alone, as a connect hook must.
#[inline(always)]
pub fn judge_destination4<R: Rule>(rule: &R, destination: u32) -> Result<(), Skip> {
    refuse(rule.destination4(destination))
}

/// The IPv4 address inside `::ffff:0:0/96` (RFC 4291 2.5.5.2) or `64:ff9b::/96` (RFC 6052 2.1).
#[inline(always)]
pub const fn embedded_ipv4(address: [u32; 4]) -> Option<u32> {
    match address {
        [0, 0, 0xffff, inside] | [0x0064_ff9b, 0, 0, inside] => Some(inside),
        _ => None,
    }
}

#[inline(always)]
fn refuse(destination: Option<Destination>) -> Result<(), Skip> {
    match destination {
        None => Ok(()),
        Some(Destination::Reserved) => Err(Skip::Reserved),
        Some(Destination::Exception) => Err(Skip::Exception),
    }
}
