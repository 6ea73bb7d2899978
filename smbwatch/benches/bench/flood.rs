//! Distinct new flows as fast as one core can make them: how many a second, and is each accounted for.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};

use crate::figure::{Figure, Reach};
use crate::footprint::pss;
use crate::support::agent::{Account, Agent};
use crate::support::lab::Lab;
use crate::support::packet_socket::send_frames;

const FLOWS: u32 = 1_000_000;

/// Flows a second that must be borne for a minute, each new because the tables hold far fewer than there are.
const SUSTAINED: u32 = 150_000;
const MINUTE: Duration = Duration::from_secs(60);
/// How often some of them are sent.
const TICK: Duration = Duration::from_millis(2);

pub fn measure() -> Option<Vec<Figure>> {
    let lab = crate::lab("flood")?;
    let frames: Vec<Vec<u8>> = (0..FLOWS).map(frame).collect();
    let mut figures = at_once(&lab, &frames);
    figures.extend(for_a_minute(&lab, &frames));
    Some(figures)
}

/// As fast as one core can.
fn at_once(lab: &Lab, frames: &[Vec<u8>]) -> Vec<Figure> {
    let agent = Agent::start(lab);
    pin(agent.pid(), 1);
    let started = Instant::now();
    send(lab, frames);
    let sent = started.elapsed();
    let memory = pss(agent.pid());
    let account = agent.stop().account();
    let drained = started.elapsed();
    vec![
        Figure::new("new flows a second made", f64::from(FLOWS) / sent.as_secs_f64(), "/s", Reach::None),
        Figure::new(
            "new flows a second accounted for",
            f64::from(FLOWS) / drained.as_secs_f64(),
            "/s",
            Reach::AtLeast(SUSTAINED.into()),
        ),
        Figure::new("of these lost", account.lost as f64, "", Reach::AtMost(0.0)),
        Figure::new("of these in no sum", in_no_sum(FLOWS.into(), &account), "", Reach::AtMost(0.0)),
        Figure::new("memory (PSS) after 1,000,000 flows", memory, "MiB", Reach::AtMost(32.0)),
    ]
}

/// At a steady rate.
fn for_a_minute(lab: &Lab, frames: &[Vec<u8>]) -> Vec<Figure> {
    let agent = Agent::start(lab);
    pin(agent.pid(), 1);
    let started = Instant::now();
    let mut sent = 0;
    let paced = std::iter::from_fn(|| {
        let due = started + TICK * (sent / (SUSTAINED / 500));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        sent += 1;
        (due - started < MINUTE).then(|| &frames[sent as usize % frames.len()])
    });
    send(lab, paced);
    let rate = f64::from(sent - 1) / started.elapsed().as_secs_f64();
    let memory = pss(agent.pid());
    let account = agent.stop().account();
    vec![
        Figure::new("new flows a second for 60 s", rate, "/s", Reach::AtLeast(0.99 * f64::from(SUSTAINED))),
        Figure::new("of these lost", account.lost as f64, "", Reach::AtMost(0.0)),
        Figure::new("of these in no sum", in_no_sum(u64::from(sent - 1), &account), "", Reach::AtMost(0.0)),
        Figure::new("memory (PSS) after 60 s of new flows", memory, "MiB", Reach::AtMost(32.0)),
    ]
}

/// Sends from the other core.
fn send<'a>(lab: &Lab, frames: impl IntoIterator<Item = &'a Vec<u8>> + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(Pid::from_raw(0), 0);
            send_frames(lab, frames);
        });
    });
}

/// Flows that were made and are not seen, or seen and in none of the sums.
fn in_no_sum(made: u64, account: &Account) -> f64 {
    let sums = account.alerted + account.suppressed + account.lost;
    (made.abs_diff(account.seen) + account.seen.abs_diff(sums)) as f64
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
