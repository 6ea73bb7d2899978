//! A sink that is away for long: its alerts wait on disk, not in memory.

mod support;

use std::fs;
use std::time::Instant;

use support::alerts::{Maker, send, start, wait_for};
use support::lab::Lab;
use support::server::{Reply, Server};

#[test]
fn a_long_absence_costs_disk_and_no_memory() {
    let Some(lab) = Lab::make("a_long_absence_costs_disk_and_no_memory") else { return };
    const COUNT: usize = 15_000;
    let sink = start(&lab, "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/\"\nspool_mib = 128");
    let mut maker = Maker::new();
    let began = Instant::now();
    let resident: Vec<u64> = (0..COUNT / 1000)
        .map(|_| {
            send(&sink, &mut maker, 1000);
            wait_for(&sink, "all are in the spool", |counts| counts.queued == 0);
            resident()
        })
        .collect();
    let spooling = began.elapsed();
    let [_, before, .., after] = resident[..] else { panic!("too few alerts") };
    let counts = sink.tally.counts();
    assert_eq!((counts.spooled, counts.lost.total()), (COUNT as u64, 0), "{counts:?}");
    let file = fs::metadata(lab.folder().join("webhook.redb")).expect("the spool").len();
    let began = Instant::now();
    let _server = Server::start(&lab, 8080, |_| Reply::Answer(200, String::new()));
    wait_for(&sink, "all are delivered", |counts| counts.delivered == COUNT as u64);
    eprintln!(
        "{COUNT} alerts of {} bytes spooled in {spooling:?}, delivered in {:?}; {} KiB of alerts in a file of {} KiB; \
         {before} KiB resident at first, {after} KiB at last",
        counts.spooled_bytes / COUNT as u64,
        began.elapsed(),
        counts.spooled_bytes / 1024,
        file / 1024,
    );
    assert!(file <= 129 << 20);
    assert!(after < before + 2 * 1024, "{resident:?} KiB");
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("read the status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim_end_matches("kB").trim().parse().expect("a number")
}
