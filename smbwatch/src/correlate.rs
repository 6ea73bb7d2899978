//! From sightings to connections, and from connections to incidents.
//!
//! A connection that leaves a container is seen at its veth, at a bridge and at the NIC, and has another source
//! behind NAT; its destination and its initial sequence number stay. Where the SYN was not seen, its
//! destination and source port stand in.

mod states;

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU64, NonZeroUsize};

use jiff::{SignedDuration, Timestamp};
use lru::LruCache;
use smbwatch_ebpf::flow;

use crate::judge::{Grade, Judgement, Outcome};
use crate::observation::{FlowObservation, PayloadObservation};
use crate::probe::roles::Role;
use states::State;
pub use states::States;

/// Incidents that are remembered.
const INCIDENTS: NonZeroUsize = NonZeroUsize::new(1 << 12).expect("not zero");
/// Ports of one incident that are told apart.
const MAX_TRIES: usize = 8;

/// What is remembered of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The number of its incident in this run of the agent.
    pub incident: u64,
    /// What it was judged to be so far.
    pub judged: Option<Told>,
    /// It is counted as a part of a scan.
    pub scanned: bool,
    /// How far it has come, as far as that is counted.
    state: State,
    first: Place,
    others: Vec<Place>,
}

/// What there is to tell of a connection or an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The highest grade.
    pub grade: Grade,
    /// That the attempt failed.
    pub failed: bool,
    /// Its end.
    pub ended: bool,
}

/// Where a connection was seen, and whose address it had there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the interface.
    pub interface: u32,
    /// What the interface leads to.
    pub role: Role,
    /// The client's end.
    pub source: SocketAddr,
    /// Cookie of the socket, where its packets still have it.
    pub cookie: Option<NonZeroU64>,
}

impl Told {
    /// What a judgement has to tell.
    pub const fn of(judgement: &Judgement) -> Self {
        let failed = matches!(judgement.outcome, Outcome::Refused | Outcome::Unanswered);
        Self { grade: judgement.grade, failed, ended: judgement.ended }
    }

    /// Whether `other` would tell nothing new.
    pub fn covers(self, other: Self) -> bool {
        self.grade >= other.grade && self.failed >= other.failed && self.ended >= other.ended
    }

    /// Both, of which `other` is the later: a failure or an end is that of the latest.
    pub fn and(self, other: Self) -> Self {
        Self { grade: self.grade.max(other.grade), ..other }
    }
}

/// One of the connections of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The destination's port.
    pub port: u16,
    /// How it went, as far as is known.
    pub judgement: Judgement,
}

/// Identifies a connection among those that are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64);

/// The connections that were seen last.
pub struct Correlator {
    connections: LruCache<Key, Connection>,
    states: States,
    known: LruCache<Pair, Tries>,
    /// How long after a sighting another connection of the same workload to the same destination belongs to its
    /// incident.
    window: SignedDuration,
    hasher: RandomState,
    incidents: u64,
}

/// Who tries to reach whom: the workload, its address and the server's.
type Pair = (Workload, IpAddr, IpAddr);

/// A program of a user in a cgroup, where it is known: processes come and go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Workload(Option<(u64, u32, String)>);

struct Tries {
    incident: u64,
    time: Timestamp,
    tries: Vec<Attempt>,
}

impl Correlator {
    /// Remembers up to `capacity` connections. Those of one workload to one destination are one incident, as long
    /// as no `window` passes between two sightings.
    pub fn new(capacity: NonZeroUsize, window: SignedDuration) -> Self {
        // `new` would reserve all of it at once.
        let mut connections = LruCache::unbounded();
        connections.resize(capacity);
        Self {
            connections,
            states: States::default(),
            known: LruCache::new(INCIDENTS),
            window,
            hasher: RandomState::new(),
            incidents: 0,
        }
    }

    /// Takes other limits than those that it began with.
    pub fn adapt(&mut self, capacity: NonZeroUsize, window: SignedDuration) {
        while self.connections.len() > capacity.get()
            && let Some((_, forgotten)) = self.connections.pop_lru()
        {
            self.states.forget(forgotten.state);
        }
        self.connections.resize(capacity);
        self.window = window;
    }

    /// Whether a sighting belongs to a connection that was seen elsewhere.
    pub fn knows(&self, sighting: &FlowObservation) -> bool {
        let known = self.connections.peek(&self.key(&Trace::of(sighting)));
        known.is_some_and(|known| known.places().any(|place| place.source != sighting.source))
    }

    /// The connection that a sighting at an interface of `role` belongs to.
    pub fn join(&mut self, sighting: &FlowObservation, role: Role) -> Key {
        let cookie = sighting.cookie.and_then(NonZeroU64::new);
        let place = Place { interface: sighting.interface, role, source: sighting.source, cookie };
        let key = self.key_at(&Trace::of(sighting), place);
        match self.connections.get_mut(&key) {
            Some(connection) => connection.seen_at(place),
            None => {
                let incident = self.incident(sighting);
                self.states.begin();
                if let Some((_, forgotten)) = self.connections.push(key, Connection::new(incident, place)) {
                    self.states.forget(forgotten.state);
                }
            }
        }
        key
    }

    /// The connection of a key, as long as it is remembered.
    pub fn connection(&mut self, key: Key) -> Option<&mut Connection> {
        self.connections.peek_mut(&key)
    }

    /// The same for looking at.
    pub fn peek(&self, key: Key) -> Option<&Connection> {
        self.connections.peek(&key)
    }

    /// Notes how a connection went; the other attempt of its incident, if there was one, and this.
    pub fn attempts(&mut self, key: Key, sighting: &FlowObservation, judgement: Judgement) -> Vec<Attempt> {
        let attempt = Attempt { port: sighting.destination.port(), judgement };
        let connection = self.connections.peek_mut(&key);
        let incident = connection.map(|connection| {
            self.states.rise(&mut connection.state, State::of(&judgement));
            connection.incident
        });
        let pair = self.known.get_mut(&pair(sighting)).filter(|pair| Some(pair.incident) == incident);
        let Some(pair) = pair else { return Vec::new() };
        pair.time = pair.time.max(sighting.time);
        let is_full = pair.tries.len() >= MAX_TRIES;
        match pair.tries.iter_mut().find(|other| other.port == attempt.port) {
            Some(known) => *known = attempt,
            None if is_full => {}
            None => pair.tries.push(attempt),
        }
        if pair.tries.len() > 1 { pair.tries.clone() } else { Vec::new() }
    }

    /// How many of the connections that are remembered are in each state.
    pub const fn states(&self) -> States {
        self.states
    }

    /// The connection that payload belongs to, if it is remembered.
    pub fn find(&self, payload: &PayloadObservation, role: Role) -> Option<Key> {
        let (interface, source) = (payload.interface, payload.source);
        let place = Place { interface, role, source, cookie: None };
        let key = self.key_at(&Trace::of_payload(payload), place);
        self.connections.contains(&key).then_some(key)
    }

    /// The key of what was seen at a place, which may look like another connection's.
    fn key_at(&self, trace: &Trace, place: Place) -> Key {
        let key = self.key(trace);
        if self.connections.peek(&key).is_some_and(|known| known.excludes(place)) {
            return Key(self.hasher.hash_one((key, place.interface, place.source)));
        }
        key
    }

    fn key(&self, trace: &Trace) -> Key {
        Key(self.hasher.hash_one(trace))
    }

    /// A new incident, or that of what the workload did there before.
    fn incident(&mut self, sighting: &FlowObservation) -> u64 {
        let (pair, time) = (pair(sighting), sighting.time);
        // Sightings come from several CPUs: a later one may bear an earlier time.
        let within = |earlier: &&Tries| time.duration_since(earlier.time).abs() < self.window;
        let earlier = self.known.get(&pair).filter(within);
        if let Some(earlier) = earlier {
            return earlier.incident;
        }
        let incident = self.next();
        self.known.put(pair, Tries { incident, time, tries: Vec::new() });
        incident
    }

    const fn next(&mut self) -> u64 {
        self.incidents += 1;
        self.incidents
    }
}

/// What a connection has in common wherever it is seen: the server's end, and the client's initial sequence
/// number, or its port where that was not seen.
#[derive(Hash)]
struct Trace {
    destination: SocketAddr,
    sequence: Option<u32>,
    port: Option<u16>,
}

impl Trace {
    fn of(sighting: &FlowObservation) -> Self {
        let FlowObservation { destination, source, initial_sequence, marks, .. } = sighting;
        Self::new(*destination, *source, *initial_sequence, *marks)
    }

    fn of_payload(payload: &PayloadObservation) -> Self {
        let PayloadObservation { destination, source, initial_sequence, marks, .. } = payload;
        Self::new(*destination, *source, *initial_sequence, *marks)
    }

    fn new(destination: SocketAddr, source: SocketAddr, initial_sequence: u32, marks: u16) -> Self {
        if marks & flow::MIDSTREAM == 0 {
            Self { destination, sequence: Some(initial_sequence), port: None }
        } else {
            Self { destination, sequence: None, port: Some(source.port()) }
        }
    }
}

fn pair(sighting: &FlowObservation) -> Pair {
    let owner = sighting.owner.as_ref();
    let workload = owner.map(|owner| (owner.cgroup, owner.uid, owner.comm.clone()));
    (Workload(workload), sighting.source.ip(), sighting.destination.ip())
}

impl Connection {
    /// A connection of an incident, seen for the first time.
    pub const fn new(incident: u64, first: Place) -> Self {
        Self { incident, judged: None, scanned: false, state: State::Excepted, first, others: Vec::new() }
    }

    /// Every place where it was seen, in that order.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The place nearest to the workload: there its packets still have its own address and socket.
    pub fn nearest(&self) -> &Place {
        self.places().find(|place| place.role == Role::Workload).unwrap_or(&self.first)
    }

    /// The client's end as the network outside sees it, where that differs.
    pub fn translated(&self) -> Option<SocketAddr> {
        let outside = self.places().filter(|place| place.role == Role::Uplink).last()?;
        (outside.source != self.nearest().source).then_some(outside.source)
    }

    /// Whether it was seen at an uplink, beyond which nothing changes any more.
    pub fn has_left(&self) -> bool {
        self.places().any(|place| place.role == Role::Uplink)
    }

    /// Whether a place cannot be this connection's: there, or where another workload is, it has another source.
    fn excludes(&self, place: Place) -> bool {
        self.places().any(|known| {
            let same = known.interface == place.interface || [known.role, place.role] == [Role::Workload; 2];
            same && known.source != place.source
        })
    }

    fn seen_at(&mut self, place: Place) {
        if self.places().all(|known| known.interface != place.interface) {
            self.others.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Owner;
    use crate::observation::tests::syn;

    const WINDOW: SignedDuration = SignedDuration::from_secs(60);

    fn at(interface: u32, sighting: FlowObservation) -> FlowObservation {
        FlowObservation { interface, ..sighting }
    }

    fn correlator() -> Correlator {
        Correlator::new(NonZeroUsize::new(8).expect("not zero"), WINDOW)
    }

    #[test]
    fn sightings_before_and_after_nat_are_one_connection() {
        let mut correlator = correlator();
        let inside = correlator.join(&at(7, syn("10.9.0.2:40000", "8.8.8.8:445", 5)), Role::Workload);
        let outside = correlator.join(&at(2, syn("192.168.0.9:1024", "8.8.8.8:445", 5)), Role::Uplink);
        assert_eq!(inside, outside);
        let connection = correlator.peek(inside).expect("a connection");
        assert_eq!(connection.nearest().source, ([10, 9, 0, 2], 40000).into());
        assert_eq!(connection.translated(), Some(([192, 168, 0, 9], 1024).into()));
    }

    #[test]
    fn the_place_nearest_to_the_workload_counts_even_if_it_is_seen_last() {
        let mut correlator = correlator();
        correlator.join(&at(2, syn("192.168.0.9:1024", "8.8.8.8:445", 5)), Role::Uplink);
        let key = correlator.join(&at(7, syn("10.9.0.2:40000", "8.8.8.8:445", 5)), Role::Workload);
        let connection = correlator.peek(key).expect("a connection");
        assert_eq!(connection.nearest().interface, 7);
        assert!(connection.has_left());
    }

    #[test]
    fn what_only_looks_alike_stays_apart() {
        let mut correlator = correlator();
        let first = correlator.join(&at(7, syn("10.9.0.2:40000", "8.8.8.8:445", 5)), Role::Workload);
        for (interface, role, sighting) in [
            (7, Role::Workload, syn("10.9.0.2:40001", "8.8.8.8:445", 5)),
            (8, Role::Workload, syn("10.9.0.3:40000", "8.8.8.8:445", 5)),
            (7, Role::Workload, syn("10.9.0.2:40000", "8.8.8.8:445", 6)),
            (2, Role::Uplink, syn("192.168.0.9:1024", "8.8.4.4:445", 5)),
        ] {
            assert_ne!(correlator.join(&at(interface, sighting), role), first);
        }
    }

    #[test]
    fn without_its_syn_a_connection_is_known_by_its_port() {
        let mut correlator = correlator();
        let midstream = |sighting| FlowObservation { marks: flow::MIDSTREAM, ..sighting };
        let inside = midstream(at(7, syn("10.9.0.2:40000", "8.8.8.8:445", 50)));
        let outside = midstream(at(2, syn("192.168.0.9:40000", "8.8.8.8:445", 90)));
        assert_eq!(correlator.join(&inside, Role::Workload), correlator.join(&outside, Role::Uplink));
    }

    #[test]
    fn what_a_workload_does_at_one_destination_is_one_incident_for_a_while() {
        let owner = |comm: &str| Owner {
            monotonic: 0,
            version: None,
            pid: 7,
            tid: 7,
            uid: 0,
            gid: 0,
            comm: comm.to_owned(),
            cgroup: 1,
            netns: 1,
        };
        let first = FlowObservation { owner: Some(owner("cp")), ..syn("10.9.0.2:40000", "8.8.8.8:445", 5) };
        let later = |seconds, comm, source: &str, destination: &str| FlowObservation {
            owner: Some(owner(comm)),
            time: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds),
            ..syn(source, destination, 6)
        };
        for (second, same) in [
            (later(1, "cp", "10.9.0.2:40001", "8.8.8.8:445"), true),
            (later(1, "cp", "10.9.0.2:40001", "8.8.8.8:139"), true),
            (later(60, "cp", "10.9.0.2:40001", "8.8.8.8:445"), false),
            (later(1, "mv", "10.9.0.2:40001", "8.8.8.8:445"), false),
            (later(1, "cp", "10.9.0.3:40001", "8.8.8.8:445"), false),
            (later(1, "cp", "10.9.0.2:40001", "8.8.4.4:445"), false),
        ] {
            let mut correlator = correlator();
            let mut incident = |sighting: &FlowObservation| {
                let key = correlator.join(sighting, Role::Uplink);
                correlator.peek(key).map(|connection| connection.incident)
            };
            assert_eq!(incident(&first) == incident(&second), same, "{second:?}");
        }
    }

    /// However little lies between them, and whichever seems to be the earlier.
    #[test]
    fn without_a_window_each_connection_is_an_incident() {
        let mut correlator = Correlator::new(NonZeroUsize::new(8).expect("not zero"), SignedDuration::ZERO);
        let mut incidents = [3, 3, 1, 2].map(|nanosecond| {
            let port = 40000 + correlator.incidents;
            let sighting = syn(&format!("10.9.0.2:{port}"), "8.8.8.8:445", 5);
            let time = sighting.time + SignedDuration::from_nanos(nanosecond);
            let key = correlator.join(&FlowObservation { time, ..sighting }, Role::Workload);
            correlator.peek(key).expect("a connection").incident
        });
        incidents.sort_unstable();
        assert_eq!(incidents, [1, 2, 3, 4]);
    }

    #[test]
    fn connections_are_counted_by_the_last_state_until_they_are_forgotten() {
        let judgement = |grade, outcome, ended| Judgement { grade, outcome, ended, severity: 21 };
        let mut correlator = correlator();
        let counted = |correlator: &Correlator| -> Vec<(&str, u64)> {
            correlator.states().named().filter(|(_, count)| *count != 0).collect()
        };
        let first = syn("10.9.0.2:40000", "8.8.8.8:445", 5);
        let key = correlator.join(&first, Role::Uplink);
        assert_eq!(counted(&correlator), [("excepted", 1)]);
        for (grade, outcome, ended, state) in [
            (Grade::Attempted, Outcome::Pending, false, "attempted"),
            (Grade::Attempted, Outcome::Unanswered, false, "unanswered"),
            (Grade::Established, Outcome::Connected, false, "established"),
            (Grade::Attempted, Outcome::Pending, false, "established"),
            (Grade::Authenticated, Outcome::Connected, false, "authenticated"),
            (Grade::Smb, Outcome::Connected, false, "authenticated"),
            (Grade::Smb, Outcome::Connected, true, "ended"),
        ] {
            correlator.attempts(key, &first, judgement(grade, outcome, ended));
            assert_eq!(counted(&correlator), [(state, 1)]);
        }
        let refused = judgement(Grade::Attempted, Outcome::Refused, false);
        for number in 0..8 {
            let next = syn("10.9.0.2:40000", "8.8.8.8:445", 6 + number);
            let key = correlator.join(&next, Role::Uplink);
            correlator.attempts(key, &next, refused);
        }
        assert_eq!(counted(&correlator), [("refused", 8)], "the first is forgotten");
    }

    #[test]
    fn an_incident_lists_the_ports_that_were_tried() {
        let failed =
            Judgement { grade: Grade::Attempted, outcome: Outcome::Refused, ended: false, severity: 21 };
        let mut correlator = correlator();
        let mut attempts = |sighting: &FlowObservation| {
            let key = correlator.join(sighting, Role::Uplink);
            correlator.attempts(key, sighting, failed).len()
        };
        assert_eq!(attempts(&syn("10.9.0.2:40000", "8.8.8.8:445", 5)), 0);
        assert_eq!(attempts(&syn("10.9.0.2:40001", "8.8.4.4:139", 6)), 0, "an incident of its own");
        assert_eq!(attempts(&syn("10.9.0.2:40002", "8.8.8.8:139", 7)), 2);
    }
}
