//! Alerts as the stages make them, for tests of sinks.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use smbwatch::alert::{Alerter, Document, Finding};
use smbwatch::config::{Config, SeverityMode};
use smbwatch::enrich::files::Peer;
use smbwatch::enrich::host::Host;
use smbwatch::enrich::who::Who;
use smbwatch::judge::judge;
use smbwatch::observation::FlowObservation;
use smbwatch::sink::{self, Closing, Counts, Format, Running};
use smbwatch::suppress::Since;
use smbwatch_ebpf::flow::{self, Cause};

use super::lab::{End, Lab};

/// Longer than any back-off that a test brings about.
const PATIENCE: Duration = Duration::from_secs(60);

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
            novelty: None,
            peer: &Peer::default(),
            since: Since::default(),
        };
        self.0.alert(&finding, now)
    }
}

/// Waits until a sink's account is as wanted, and always right.
pub fn wait_for(sink: &Running, what: &str, done: impl FnMut(&Counts) -> bool) -> Counts {
    wait_within(PATIENCE, sink, what, done)
}

/// The same with a patience of one's own.
pub fn wait_within(
    patience: Duration,
    sink: &Running,
    what: &str,
    mut done: impl FnMut(&Counts) -> bool,
) -> Counts {
    let deadline = Instant::now() + patience;
    loop {
        let counts = sink.tally.counts();
        assert!(counts.agrees(), "{counts:?}");
        if done(&counts) {
            return counts;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}: {counts:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lets a sink end.
pub fn close(sink: Running) -> Counts {
    let closing: Closing = sink.close();
    let deadline = Instant::now() + PATIENCE;
    while !closing.is_finished() {
        assert!(Instant::now() < deadline, "{} does not end: {:?}", closing.name, closing.counts());
        std::thread::sleep(Duration::from_millis(2));
    }
    let counts = closing.counts();
    assert!(counts.agrees(), "{counts:?}");
    counts
}

/// Starts the only sink of a configuration inside the lab, with its spool in the lab's folder.
pub fn start(lab: &Lab, text: &str) -> Running {
    let config = Config::parse(text, Path::new("test.toml"), None).expect("a configuration");
    lab.inside(End::Host, || sink::start(&config.sinks[0], lab.folder(), Format::Json))
        .expect("start the sink")
}

/// Makes alerts, and tells their identifiers.
pub fn send(sink: &Running, maker: &mut Maker, count: usize) -> Vec<String> {
    let alerts = (0..count).map(|_| {
        let alert = maker.smb();
        let id = alert.event.id.clone();
        sink.send(&Arc::new(alert));
        id
    });
    alerts.collect()
}

/// The same at a steady rate for some time.
pub fn send_at(sink: &Running, maker: &mut Maker, per_second: u32, time: Duration) -> Vec<String> {
    const TICK: Duration = Duration::from_millis(10);
    let began = Instant::now();
    let mut ids = Vec::new();
    while began.elapsed() < time {
        let due = began.elapsed().as_millis() * u128::from(per_second) / 1000;
        let due = usize::try_from(due).expect("not so many");
        ids.extend(send(sink, maker, due.saturating_sub(ids.len())));
        std::thread::sleep(TICK);
    }
    ids
}

/// Resident memory of this process, in KiB.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("read the status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim_end_matches("kB").trim().parse().expect("a number")
}
