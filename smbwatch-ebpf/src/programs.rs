//! The classifiers: they follow what leaves, and let every packet pass.

use aya_ebpf::bindings::TC_ACT_UNSPEC;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use aya_log_ebpf::debug;
use smbwatch_ebpf::parse::quick::is_plainly_other;
use smbwatch_ebpf::parse::{Link, Way};
use smbwatch_ebpf::settings::counter;
use smbwatch_ebpf::skip::Skip;

use crate::follow::follow;
use crate::maps::{Counters, Kernel};
use crate::sighting::Sighting;
use crate::skb::Skb;

/// Packets that leave by an Ethernet interface.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_egress(context: TcContext) -> i32 {
    watch(&context, Link::Ethernet, Way::Out)
}

/// Packets that leave by an interface without a link header.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_egress_l3(context: TcContext) -> i32 {
    watch(&context, Link::None, Way::Out)
}

/// Answers that come in by an Ethernet interface.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_reply(context: TcContext) -> i32 {
    watch(&context, Link::Ethernet, Way::Back)
}

/// Answers that come in by an interface without a link header.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_reply_l3(context: TcContext) -> i32 {
    watch(&context, Link::None, Way::Back)
}

/// Does nothing: what benchmarks measure the others against.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_empty(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// Reads a packet by its linear part, or, where that ends inside the headers, by helper calls; and adds it
/// to its flow.
#[inline(always)]
fn watch(context: &TcContext, link: Link, way: Way) -> i32 {
    let skb = Skb::new(context, link);
    if link == Link::Ethernet && is_plainly_other(way, skb.direct(), &Kernel) {
        return TC_ACT_UNSPEC;
    }
    let taken = match Sighting::take(&skb, way, skb.direct()) {
        Err(Skip::Truncated) => Sighting::take(&skb, way, skb.copied()),
        taken => taken,
    };
    let followed = taken.and_then(|()| match Sighting::latest() {
        Some(sighting) => follow(&skb, way, sighting),
        None => Ok(()),
    });
    if let Err(skip) = followed {
        note(context, skip);
    }
    TC_ACT_UNSPEC
}

#[inline(always)]
fn note(context: &TcContext, skip: Skip) {
    if let (Some(index), Some(counters)) = (skip.counter(), Counters::get()) {
        counters.add(counter::SKIPS + index, 1);
        debug!(context, "packet not judged: {}", skip.name());
    }
}
