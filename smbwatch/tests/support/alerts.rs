//! Alerts as the stages make them, for tests of sinks.

use std::net::SocketAddr;
use std::time::Instant;

use jiff::Timestamp;
use smbwatch::alert::{Alerter, Document, Finding};
use smbwatch::config::{Config, SeverityMode};
use smbwatch::enrich::host::Host;
use smbwatch::enrich::who::Who;
use smbwatch::judge::judge;
use smbwatch::observation::FlowObservation;
use smbwatch::sink::{Closing, Counts, Running};
use smbwatch_ebpf::flow::{self, Cause};

use super::agent::PATIENCE;

/// Makes alerts with identifiers of one run.
pub struct Maker(Alerter);

impl Maker {
    pub fn new() -> Self {
        let host = Host { name: "host.example".to_owned(), ..Host::of_replay() };
        Self(Alerter::new(host, &Config::default(), Timestamp::now()))
    }

    /// An alert of severity 21.
    pub fn attempted(&mut self) -> Document {
        self.alert(0)
    }

    /// An alert of severity 73.
    pub fn smb(&mut self) -> Document {
        self.alert(flow::ESTABLISHED | flow::SMB)
    }

    fn alert(&mut self, marks: u16) -> Document {
        let now = Timestamp::now();
        let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
        let sighting = FlowObservation {
            time: now,
            started: now,
            handshake: None,
            cause: Cause::Attempted,
            marks,
            source: address("10.20.0.5:1001"),
            destination: address("93.184.216.34:445"),
            initial_sequence: 1,
            interface: 1,
            vlans: [0; 2],
            packets: 1,
            bytes: 60,
            sent: 0,
            received: 0,
            cookie: None,
            cgroup: None,
            uid: None,
            owner: None,
            lost: 0,
        };
        let finding = Finding {
            sighting: &sighting,
            judgement: judge(&sighting, None, SeverityMode::Grade),
            incident: 1,
            source: sighting.source,
            translated: None,
            seen: &[],
            attempts: &[],
            scan: None,
            dialogue: None,
            who: &Who::default(),
            origin: None,
            suppressed: 0,
            lost: 0,
        };
        self.0.alert(&finding, now)
    }
}

/// Waits until a sink's account is as wanted, and always right.
pub fn wait_for(sink: &Running, what: &str, mut done: impl FnMut(&Counts) -> bool) -> Counts {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counts = sink.tally.counts();
        assert!(counts.agrees(), "{counts:?}");
        if done(&counts) {
            return counts;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}: {counts:?}");
        std::thread::yield_now();
    }
}

/// Lets a sink end.
pub fn close(sink: Running) -> Counts {
    let closing: Closing = sink.close();
    let deadline = Instant::now() + PATIENCE;
    while !closing.is_finished() {
        assert!(Instant::now() < deadline, "{} does not end: {:?}", closing.name, closing.counts());
        std::thread::yield_now();
    }
    let counts = closing.counts();
    assert!(counts.agrees(), "{counts:?}");
    counts
}
