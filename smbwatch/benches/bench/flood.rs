//! Distinct new flows as fast as one core can make them: how many a second, and is each accounted for.

use std::net::Ipv4Addr;
use std::time::Instant;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};

use crate::figure::{Figure, Reach};
use crate::footprint::pss;
use crate::support::agent::Agent;
use crate::support::packet_socket::send_frames;

const FLOWS: u32 = 1_000_000;

pub fn measure() -> Option<Vec<Figure>> {
    let lab = crate::lab("flood")?;
    let agent = Agent::start(&lab);
    pin(agent.pid(), 1);
    let frames: Vec<Vec<u8>> = (0..FLOWS).map(frame).collect();
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(Pid::from_raw(0), 0);
            send_frames(&lab, &frames);
        });
    });
    let sent = started.elapsed();
    let memory = pss(agent.pid());
    let account = agent.stop().account();
    let drained = started.elapsed();
    let accounted = account.seen == account.alerted + account.suppressed + account.lost;
    Some(vec![
        Figure::new("new flows a second made", f64::from(FLOWS) / sent.as_secs_f64(), "/s", Reach::None),
        Figure::new(
            "new flows a second accounted for",
            f64::from(FLOWS) / drained.as_secs_f64(),
            "/s",
            Reach::AtLeast(150_000.0),
        ),
        Figure::new("of these lost", account.lost as f64, "", Reach::AtMost(0.0)),
        Figure::new(
            "of these in no sum",
            (u64::from(FLOWS).abs_diff(account.seen) + u64::from(!accounted)) as f64,
            "",
            Reach::AtMost(0.0),
        ),
        Figure::new("memory (PSS) after 1,000,000 flows", memory, "MiB", Reach::AtMost(32.0)),
    ])
}

fn frame(number: u32) -> Vec<u8> {
    let destination = Ipv4Addr::from(0x5db8_0000 + (number >> 15));
    let port = u16::try_from(number & 0x7fff).unwrap_or(0) + 1024;
    ethernet(
        &[],
        IPV4,
        &Ipv4::new(Ipv4Addr::new(10, 20, 0, 5), destination).wrap(&Tcp::syn(port, 445).bytes()),
    )
}

fn pin(pid: Pid, core: usize) {
    let mut set = CpuSet::new();
    set.set(core).expect("a core");
    // On a machine with one core there is nothing to pin to.
    let _ = sched_setaffinity(pid, &set);
}
