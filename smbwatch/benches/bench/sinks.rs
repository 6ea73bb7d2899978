//! Alerts into a file that is synced for each batch, and what a sink that never answers costs another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::figure::{Figure, Reach};
use crate::support::alerts::{Maker, close, start};
use crate::support::lab::Lab;
use crate::support::pace::p99;
use crate::support::server::{Reply, Server};

const COUNT: u64 = 400_000;
const PACED: Duration = Duration::from_secs(10);

pub fn measure() -> Option<Vec<Figure>> {
    let lab = crate::lab("sinks")?;
    let rate = file(&lab);
    let alone = p99(&lab, PACED, &[]);
    let other =
        "[[sinks]]\ntype = \"webhook\"\nname = \"other\"\nurl = \"http://127.0.0.1:8081/\"\nspool_mib = 4096";
    let answering = Server::start(&lab, 8081, |_| Reply::Answer(204, String::new()));
    let sink = start(&lab, other);
    let beside = p99(&lab, PACED, std::slice::from_ref(&sink));
    close(sink);
    drop(answering);
    let _silent = Server::start(&lab, 8081, |_| Reply::Hang);
    let beside_silent = p99(&lab, PACED, &[start(&lab, other)]);
    Some(vec![
        Figure::new("alerts into a file, one fsync a batch", rate, "alerts/s", Reach::AtLeast(20_000.0)),
        Figure::new("alert to a web service, p99", alone, "ms", Reach::None),
        Figure::new("the same beside another sink", beside, "ms", Reach::None),
        Figure::new("the same beside one that never answers", beside_silent, "ms", Reach::None),
    ])
}

/// Alerts a second, rotated now and then.
fn file(lab: &Lab) -> f64 {
    let path = lab.folder().join("alerts.ndjson");
    let config =
        format!("[[sinks]]\ntype = \"file\"\npath = {path:?}\nfsync = true\nrotate_mib = 256\nkeep = 1");
    let sink = start(lab, &config);
    let alert = Arc::new(Maker::new().smb());
    let began = Instant::now();
    for _ in 0..COUNT {
        // As fast as it takes them.
        while sink.tally.counts().queued > 8000 {
            std::thread::sleep(Duration::from_micros(100));
        }
        sink.send(&alert);
    }
    let counts = close(sink);
    assert_eq!(counts.delivered, COUNT, "{counts:?}");
    COUNT as f64 / began.elapsed().as_secs_f64()
}
