//! A sink that is away for long: its alerts wait on disk, not in memory, and all of them arrive.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::alerts::{Maker, close, resident, send, send_at, start, wait_for};
use support::lab::Lab;
use support::receivers::web::lines;
use support::server::{Reply, Server};

const WEBHOOK: &str = "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/\"\nspool_mib = 128";

#[test]
fn a_long_absence_costs_disk_and_no_memory() {
    let Some(lab) = Lab::make("a_long_absence_costs_disk_and_no_memory") else { return };
    const COUNT: usize = 15_000;
    let sink = start(&lab, WEBHOOK);
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
    let [_, _, before, .., after] = resident[..] else { panic!("too few alerts") };
    let counts = sink.tally.counts();
    assert_eq!((counts.spooled, counts.lost.total()), (COUNT as u64, 0), "{counts:?}");
    let file = fs::metadata(lab.folder().join("webhook.redb")).expect("the spool").len();
    let began = Instant::now();
    let _server = Server::start(&lab, 8080, |_| Reply::Answer(200, String::new()));
    wait_for(&sink, "all are delivered", |counts| counts.delivered == COUNT as u64);
    eprintln!(
        "{COUNT} alerts spooled in {spooling:?}, delivered in {:?}; {} KiB of pages in a file of {} KiB; {before} KiB \
         resident at first, {after} KiB at last",
        began.elapsed(),
        counts.spooled_bytes / 1024,
        file / 1024,
    );
    assert!(file <= 129 << 20);
    assert!(after < before + 2 * 1024, "{resident:?} KiB");
}

#[test]
fn none_of_a_thousand_alerts_a_second_is_lost() {
    let Some(lab) = Lab::make("none_of_a_thousand_alerts_a_second_is_lost") else { return };
    const AWAY: Duration = Duration::from_secs(6);
    const BACK: Duration = Duration::from_secs(3);
    let sink = start(&lab, WEBHOOK);
    let mut maker = Maker::new();
    let mut made = send_at(&sink, &mut maker, 1000, AWAY);
    let arrived: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = Arc::clone(&arrived);
    let server = Server::start(&lab, 8080, move |asked| {
        seen.lock().expect("what arrived").extend(lines(&asked));
        Reply::Answer(204, String::new())
    });
    made.extend(send_at(&sink, &mut maker, 1000, BACK));
    let made: BTreeSet<String> = made.into_iter().collect();
    wait_for(&sink, "all are delivered", |counts| counts.delivered == made.len() as u64);
    let counts = close(sink);
    drop(server);
    assert_eq!(counts.lost.total(), 0);
    assert!(*arrived.lock().expect("what arrived") == made, "what arrived is not what was made");
}
