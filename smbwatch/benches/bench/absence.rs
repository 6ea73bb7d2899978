//! A sink that is away for ten minutes at a thousand alerts a second, and back.

use std::time::{Duration, Instant};

use crate::figure::{Figure, Reach};
use crate::support::alerts::{Maker, close, resident, send_at, start, wait_within};
use crate::support::server::{Reply, Server};

const RATE: u32 = 1000;
const AWAY: Duration = Duration::from_secs(600);
const PARTS: u32 = 60;
const CATCH_UP: Duration = Duration::from_secs(1800);

pub fn measure() -> Option<Vec<Figure>> {
    let lab = crate::lab("absence")?;
    let config = "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/\"\nspool_mib = 4096";
    let sink = start(&lab, config);
    let mut maker = Maker::new();
    // By parts, since what was made is kept in memory.
    let (mut made, mut sizes) = (0, Vec::new());
    for _ in 0..PARTS {
        made += send_at(&sink, &mut maker, RATE, AWAY / PARTS).len();
        sizes.push(resident());
    }
    let (before, after) = (sizes[sizes.len() / 10], sizes[sizes.len() - 1]);
    let _server = Server::start(&lab, 8080, |_| Reply::Answer(204, String::new()));
    let began = Instant::now();
    wait_within(CATCH_UP, &sink, "all are settled", |counts| counts.queued + counts.spooled == 0);
    let elapsed = began.elapsed().as_secs_f64();
    let counts = close(sink);
    let grown = (after as f64 - before as f64) / 1024.0;
    let lost = counts.lost.total() as f64;
    Some(vec![
        Figure::new("alerts lost in ten minutes' absence", lost, "", Reach::AtMost(0.0)),
        Figure::new("memory that it grew by", grown, "MiB", Reach::AtMost(2.0)),
        Figure::new("delivery after it", made as f64 / elapsed, "alerts/s", Reach::AtLeast(f64::from(RATE))),
    ])
}
