//! From sightings to connections: what belongs to one connection carries one incident.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::judge::Grade;
use crate::observation::FlowObservation;

/// What is remembered of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Identifies the connection in every alert about it.
    pub incident: String,
    /// The highest grade that was told, and whether the attempt was known to have failed.
    pub told: Option<(Grade, bool)>,
}

/// What tells connections apart. Ports come back after a while; the initial sequence number does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: SocketAddr,
    destination: SocketAddr,
    initial_sequence: u32,
}

/// The connections that were seen last.
pub struct Correlator {
    connections: LruCache<Key, Connection>,
    /// Distinguishes this run of the agent, on this host, from every other.
    run: String,
    next: u64,
}

impl Correlator {
    /// Remembers up to `capacity` connections. `run` is unique to this run of the agent.
    pub fn new(capacity: NonZeroUsize, run: String) -> Self {
        Self { connections: LruCache::new(capacity), run, next: 0 }
    }

    /// The connection that a sighting belongs to.
    pub fn connection(&mut self, sighting: &FlowObservation) -> &mut Connection {
        let key = Key {
            source: sighting.source,
            destination: sighting.destination,
            initial_sequence: sighting.initial_sequence,
        };
        let (run, next) = (&self.run, &mut self.next);
        self.connections.get_or_insert_mut(key, || {
            *next += 1;
            Connection { incident: format!("{run}-{next}"), told: None }
        })
    }
}
