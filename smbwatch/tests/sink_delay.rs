//! A slow sink and a dead one delay no other.

mod support;

use std::time::Duration;

use support::alerts::{start, wait_for};
use support::lab::Lab;
use support::pace::p99;
use support::server::{Reply, Server};

const PACED: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 3;

#[test]
fn a_sink_beside_one_that_hangs_and_one_that_is_dead_is_as_fast_as_alone() {
    let Some(lab) = Lab::make("a_sink_beside_one_that_hangs_and_one_that_is_dead_is_as_fast_as_alone") else {
        return;
    };
    let alone = p99(&lab, PACED, &[]);
    let _silent = Server::start(&lab, 8081, |_| Reply::Hang);
    // Nobody listens at the second's port.
    let others = [("silent", 8081), ("dead", 1)].map(|(name, port)| {
        let sink = format!("type = \"webhook\"\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/\"");
        start(&lab, &format!("[[sinks]]\n{sink}"))
    });
    // What else the machine does comes and goes; a queue or a thread that they shared would hold it up every time.
    let as_fast = (0..ROUNDS).any(|_| {
        let beside = p99(&lab, PACED, &others);
        eprintln!("alert to web service, p99: {alone:.1} ms alone, {beside:.1} ms beside a silent one and a dead one");
        beside <= 3.0 * alone + 50.0
    });
    assert!(as_fast, "the others delay it");
    for other in others {
        let counts = wait_for(&other, "all are in the spool", |counts| counts.queued == 0);
        assert!(counts.made > 1000 && counts.spooled == counts.made, "{}: {counts:?}", other.name);
    }
}
