//! A packet through the parser and the decision, as the programs have them, by either link layer.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use smbwatch_ebpf::decide::decide;
use smbwatch_ebpf::packet::Slice;
use smbwatch_ebpf::parse::quick::is_plainly_other;
use smbwatch_ebpf::parse::{Link, Way, parse};
use smbwatch_ebpf::testing::lists::Lists;
use smbwatch_ebpf::testing::profiles;

static STRICT: LazyLock<Lists> = LazyLock::new(profiles::strict);

fuzz_target!(|packet: &[u8]| {
    let rule = &*STRICT;
    for link in [Link::Ethernet, Link::None] {
        let opening = decide(link, Slice::new(packet), rule);
        let _ = parse(link, Way::Back, Slice::new(packet), rule);
        if link == Link::Ethernet && is_plainly_other(Way::Out, Slice::new(packet), rule) {
            assert!(opening.is_err_and(|skip| skip.counter().is_none()));
        }
    }
});
