//! A sink that is away for ten minutes at a thousand alerts a second, and back; and one that never answers beside another.

use std::time::{Duration, Instant};

use crate::figure::{Figure, Reach};
use crate::support::alerts::{Maker, close, resident, send_at, start, wait_within};
use crate::support::lab::Lab;
use crate::support::pace::p99;
use crate::support::server::{Reply, Server};

const RATE: u32 = 1000;
const AWAY: Duration = Duration::from_secs(600);
const CATCH_UP: Duration = Duration::from_secs(1800);
const PACED: Duration = Duration::from_secs(10);

pub fn measure() -> Option<Vec<Figure>> {
    let lab = crate::lab("absence")?;
    let mut figures = absence(&lab);
    let alone = p99(&lab, PACED, &[]);
    let _silent = Server::start(&lab, 8081, |_| Reply::Hang);
    let silent = "[[sinks]]\ntype = \"webhook\"\nname = \"silent\"\nurl = \"http://127.0.0.1:8081/\"\nspool_mib = 4096";
    let beside = p99(&lab, PACED, &[start(&lab, silent)]);
    figures.extend([
        Figure::new("alert to a web service, p99", alone, "ms", Reach::None),
        Figure::new("the same beside a sink that never answers", beside, "ms", Reach::None),
    ]);
    Some(figures)
}

fn absence(lab: &Lab) -> Vec<Figure> {
    let config = "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/\"\nspool_mib = 4096";
    let sink = start(lab, config);
    let mut maker = Maker::new();
    let mut made = send_at(&sink, &mut maker, RATE, AWAY / 10).len();
    let before = resident();
    made += send_at(&sink, &mut maker, RATE, AWAY - AWAY / 10).len();
    let after = resident();
    let _server = Server::start(lab, 8080, |_| Reply::Answer(204, String::new()));
    let began = Instant::now();
    wait_within(CATCH_UP, &sink, "all are settled", |counts| counts.queued + counts.spooled == 0);
    let elapsed = began.elapsed().as_secs_f64();
    let counts = close(sink);
    let grown = (after as f64 - before as f64) / 1024.0;
    vec![
        Figure::new(
            "alerts lost in ten minutes' absence",
            counts.lost.total() as f64,
            "",
            Reach::AtMost(0.0),
        ),
        Figure::new("memory that it grew by", grown, "MiB", Reach::AtMost(2.0)),
        Figure::new("delivery after it", made as f64 / elapsed, "alerts/s", Reach::AtLeast(f64::from(RATE))),
    ]
}
