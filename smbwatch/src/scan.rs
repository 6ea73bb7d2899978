//! Scans: a workload that tries one destination after another is told as one, with counts and samples.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use lru::LruCache;

use crate::correlate::Connection;
use crate::judge::{Grade, Judgement};
use crate::observation::FlowObservation;

/// Workloads whose destinations are remembered.
const WORKLOADS: NonZeroUsize = NonZeroUsize::new(1 << 10).expect("not zero");
/// Destinations of one scan that are told apart.
const MAX_DESTINATIONS: usize = 1 << 14;
/// Destinations that an alert names.
const SAMPLES: usize = 10;

/// What makes a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Distinct destinations; 0: nothing is a scan.
    pub destinations: usize,
    /// Within this time.
    pub window: SignedDuration,
}

/// What a sighting is to a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing.
    None,
    /// A part of one that was told.
    Counted,
    /// What makes it worth telling, for the first time or again.
    Told(Scan),
}

/// A scan, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The incident of the connection with which it was first told.
    pub incident: u64,
    /// It was told before.
    pub again: bool,
    /// When the first of its destinations was tried.
    pub start: Timestamp,
    /// Distinct destinations.
    pub destinations: usize,
    /// There are more than are told apart.
    pub more: bool,
    /// Connections that were tried.
    pub connections: u64,
    /// The first destinations.
    pub samples: Vec<SocketAddr>,
}

/// The workloads that try destinations, by their addresses.
pub struct Scans {
    threshold: Threshold,
    workloads: LruCache<IpAddr, Workload>,
}

#[derive(Default)]
struct Workload {
    /// When each destination was tried last; as long as this is no scan.
    tried: HashMap<IpAddr, (Timestamp, SocketAddr)>,
    scan: Option<Ongoing>,
}

struct Ongoing {
    incident: u64,
    start: Timestamp,
    latest: Timestamp,
    destinations: HashSet<IpAddr>,
    more: bool,
    connections: u64,
    samples: Vec<SocketAddr>,
    told_at: Timestamp,
    told: u64,
}

impl Scans {
    /// Tells scans from a threshold on.
    pub fn new(threshold: Threshold) -> Self {
        Self { threshold, workloads: LruCache::new(WORKLOADS) }
    }

    /// Takes another threshold than the one that it began with.
    pub fn adapt(&mut self, threshold: Threshold) {
        self.threshold = threshold;
    }

    /// What a sighting of `connection` is to a scan of its workload. What goes further than a connection is
    /// never only a part of one.
    pub fn part(
        &mut self,
        connection: &mut Connection,
        judgement: &Judgement,
        sighting: &FlowObservation,
    ) -> Part {
        if self.threshold.destinations == 0 {
            return Part::None;
        }
        let workload = connection.nearest().source.ip();
        let workload = self.workloads.get_or_insert_mut(workload, Workload::default);
        let is_new = connection.judged.is_none() && !connection.scanned;
        let told = if is_new { workload.tries(connection.incident, sighting, self.threshold) } else { None };
        if judgement.grade >= Grade::Smb || !workload.scans(sighting.time, self.threshold.window) {
            return Part::None;
        }
        connection.scanned |= is_new;
        match told {
            Some(scan) => Part::Told(scan),
            None if connection.scanned => Part::Counted,
            // What was told on its own before goes on on its own.
            None => Part::None,
        }
    }
}

impl Workload {
    /// Whether a scan goes on.
    fn scans(&mut self, now: Timestamp, window: SignedDuration) -> bool {
        if self.scan.as_ref().is_some_and(|scan| now.duration_since(scan.latest) >= window) {
            self.scan = None;
        }
        self.scan.is_some()
    }

    /// Adds a connection; the scan, if there is something to tell of it.
    fn tries(&mut self, incident: u64, sighting: &FlowObservation, threshold: Threshold) -> Option<Scan> {
        let (now, destination) = (sighting.time, sighting.destination);
        if self.scans(now, threshold.window) {
            return self.scan.as_mut()?.add(now, destination, threshold.window);
        }
        self.tried.insert(destination.ip(), (now, destination));
        if self.tried.len() < threshold.destinations {
            return None;
        }
        self.tried.retain(|_, (time, _)| now.duration_since(*time) < threshold.window);
        if self.tried.len() < threshold.destinations {
            return None;
        }
        let scan = self.scan.insert(Ongoing::of(&self.tried, incident, now));
        self.tried = HashMap::new();
        Some(scan.told(now, false))
    }
}

impl Ongoing {
    fn of(tried: &HashMap<IpAddr, (Timestamp, SocketAddr)>, incident: u64, now: Timestamp) -> Self {
        let mut in_order: Vec<_> = tried.values().copied().collect();
        in_order.sort_unstable();
        Self {
            incident,
            start: in_order.first().map_or(now, |(time, _)| *time),
            latest: now,
            destinations: tried.keys().copied().collect(),
            more: false,
            connections: u64::try_from(tried.len()).unwrap_or(u64::MAX),
            samples: in_order.into_iter().map(|(_, destination)| destination).take(SAMPLES).collect(),
            told_at: now,
            told: 0,
        }
    }

    /// Adds a connection. A scan is told again when it has doubled, and while it goes on once in each window.
    fn add(&mut self, now: Timestamp, destination: SocketAddr, window: SignedDuration) -> Option<Scan> {
        self.connections += 1;
        if self.destinations.len() < MAX_DESTINATIONS {
            if self.destinations.insert(destination.ip()) {
                self.latest = now;
            }
        } else {
            self.more |= !self.destinations.contains(&destination.ip());
            self.latest = now;
        }
        let due = self.connections >= self.told * 2 || now.duration_since(self.told_at) >= window;
        due.then(|| self.told(now, true))
    }

    fn told(&mut self, now: Timestamp, again: bool) -> Scan {
        (self.told_at, self.told) = (now, self.connections);
        Scan {
            incident: self.incident,
            again,
            start: self.start,
            destinations: self.destinations.len(),
            more: self.more,
            connections: self.connections,
            samples: self.samples.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlate::Place;
    use crate::judge::Outcome;
    use crate::observation::tests::syn;
    use crate::probe::roles::Role;

    const WINDOW: i64 = 60;

    struct Attempts(Scans);

    impl Attempts {
        fn new(destinations: usize) -> Self {
            let window = SignedDuration::from_secs(WINDOW);
            Self(Scans::new(Threshold { destinations, window }))
        }

        /// Tries the destination of this number at a second.
        fn at(&mut self, second: i64, number: u8, grade: Grade) -> Part {
            let time = Timestamp::from_second(second).expect("a time");
            let sighting =
                FlowObservation { time, ..syn("10.0.0.1:40000", &format!("8.8.8.{number}:445"), 1) };
            let place = Place { interface: 1, role: Role::Uplink, source: sighting.source, cookie: None };
            let judgement = Judgement { grade, outcome: Outcome::Pending, ended: false, severity: 21 };
            self.0.part(&mut Connection::new(1, place), &judgement, &sighting)
        }

        fn kinds(&mut self, attempts: impl IntoIterator<Item = (i64, u8)>) -> Vec<&'static str> {
            let kind = |part| match part {
                Part::None => "single",
                Part::Counted => "counted",
                Part::Told(Scan { again: false, .. }) => "told",
                Part::Told(Scan { again: true, .. }) => "again",
            };
            attempts.into_iter().map(|(at, number)| kind(self.at(at, number, Grade::Attempted))).collect()
        }
    }

    #[test]
    fn a_scan_is_told_when_it_begins_and_when_it_has_doubled() {
        let kinds = Attempts::new(3).kinds((0..8).map(|number| (0, number)));
        assert_eq!(kinds, ["single", "single", "told", "counted", "counted", "again", "counted", "counted"]);
    }

    #[test]
    fn one_destination_is_no_scan() {
        assert_eq!(Attempts::new(3).kinds([(0, 1), (0, 1), (0, 2), (0, 1), (0, 2)]), ["single"; 5]);
    }

    #[test]
    fn what_was_tried_long_ago_does_not_count() {
        assert_eq!(
            Attempts::new(3).kinds([(0, 1), (1, 2), (WINDOW, 3), (WINDOW, 4)]),
            ["single", "single", "single", "told"]
        );
    }

    #[test]
    fn a_scan_ends_when_nothing_new_is_tried() {
        let end = WINDOW + 1;
        let kinds = Attempts::new(2).kinds([(0, 1), (1, 2), (2, 3), (end + 1, 4), (end + 1, 5)]);
        assert_eq!(kinds, ["single", "told", "counted", "single", "told"]);
    }

    #[test]
    fn smb_that_is_spoken_is_told_in_any_case() {
        let mut attempts = Attempts::new(2);
        attempts.kinds([(0, 1), (0, 2)]);
        assert_eq!(attempts.at(0, 3, Grade::Smb), Part::None);
        assert_eq!(
            attempts.at(0, 4, Grade::Established),
            Part::Told(Scan {
                incident: 1,
                again: true,
                start: Timestamp::UNIX_EPOCH,
                destinations: 4,
                more: false,
                connections: 4,
                samples: vec![
                    "8.8.8.1:445".parse().expect("an address"),
                    "8.8.8.2:445".parse().expect("an address")
                ],
            })
        );
    }

    #[test]
    fn a_threshold_of_nothing_switches_it_off() {
        assert_eq!(Attempts::new(0).kinds((0..50).map(|number| (0, number))), ["single"; 50]);
    }
}
