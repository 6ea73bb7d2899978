//! From the SYN on the wire to the alert in the reader's hands, connection by connection.

use std::time::Duration;

use jiff::Timestamp;

use crate::figure::{Figure, Reach, percentile};
use crate::support::agent::{Agent, text};
use crate::support::lab::{End, SERVER};
use crate::support::peer;

const CONNECTIONS: usize = 1_000;

pub fn measure() -> Option<Vec<Figure>> {
    let lab = crate::lab("latency")?;
    let listener = peer::listen(&lab, SERVER, 445);
    let accepting = std::thread::spawn(move || listener.incoming().take(CONNECTIONS).for_each(drop));
    let mut agent = Agent::start_with(&lab, "[limits]\nalerts_per_second = 1000000", &[]);
    let mut delays = Vec::new();
    lab.inside(End::Host, || {
        for _ in 0..CONNECTIONS {
            drop(std::net::TcpStream::connect((SERVER, 445)).expect("connect"));
            loop {
                let line = agent.next_written(Duration::from_secs(5)).expect("an alert");
                let now = Timestamp::now();
                let document: serde_json::Value = serde_json::from_str(&line).expect("JSON");
                if text(&document, "event.action") == "connection-attempted" {
                    let packet: Timestamp = text(&document, "@timestamp").parse().expect("a time");
                    delays.push(now.duration_since(packet).as_secs_f64() * 1e3);
                    break;
                }
            }
        }
    });
    accepting.join().expect("the listener");
    Some(vec![
        Figure::new("SYN to alert read, p50", percentile(delays.clone(), 0.5), "ms", Reach::None),
        Figure::new("SYN to alert read, p99", percentile(delays, 0.99), "ms", Reach::AtMost(1.0)),
    ])
}
