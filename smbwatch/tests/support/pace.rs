//! How long alerts take to a web service at a steady pace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use smbwatch::sink::Running;

use super::alerts::{Maker, close, start};
use super::lab::Lab;
use super::receivers::web::lines;
use super::server::{Reply, Server};

/// Between two alerts.
const PACE: Duration = Duration::from_millis(1);

/// The 99th percentile of the time from an alert to its arrival, in milliseconds. Other sinks are given the same.
pub fn p99(lab: &Lab, time: Duration, others: &[Running]) -> f64 {
    let arrived: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let seen = Arc::clone(&arrived);
    let server = Server::start(lab, 8082, move |asked| {
        let now = Instant::now();
        seen.lock().expect("what arrived").extend(lines(&asked).into_iter().map(|id| (id, now)));
        Reply::Answer(204, String::new())
    });
    let sink =
        start(lab, "[[sinks]]\ntype = \"webhook\"\nname = \"paced\"\nurl = \"http://127.0.0.1:8082/\"");
    let mut maker = Maker::new();
    let (began, mut sent) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let alert = Arc::new(maker.smb());
        sent.push((alert.event.id.clone(), Instant::now()));
        sink.send(&alert);
        others.iter().for_each(|other| other.send(&alert));
        std::thread::sleep(PACE);
    }
    close(sink);
    drop(server);
    let arrived = arrived.lock().expect("what arrived");
    let mut delays: Vec<f64> =
        sent.iter().map(|(id, sent)| arrived[id].duration_since(*sent).as_secs_f64() * 1e3).collect();
    delays.sort_by(f64::total_cmp);
    delays[delays.len() * 99 / 100]
}
