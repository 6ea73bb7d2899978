//! Names, images, labels and pods of containers, from the runtimes that run them, where their sockets answer.

mod container;
mod socket;
mod docker;
mod grpc;
mod cri;
mod endpoint;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::config::runtimes as config;
pub use container::{Container, Pod};
pub use endpoint::Endpoint;

/// How long a container is looked for, over all runtimes.
const LIMIT: Duration = Duration::from_secs(1);
/// How long a container that no runtime knows is not looked for again.
const MISSING_FOR: Duration = Duration::from_secs(5);
/// Containers that are remembered.
const KNOWN: NonZeroUsize = NonZeroUsize::new(1 << 9).expect("not zero");
/// Containers that are looked for at the same time; more are not.
const MAX_ASKED: usize = 32;

/// The runtimes of this host, and what they have said. A clone shares both; dropping the last ends the work
/// in the background.
#[derive(Clone)]
pub struct Runtimes {
    cache: Arc<Cache>,
    endpoints: Arc<[Arc<Endpoint>]>,
    _followers: Arc<JoinSet<()>>,
}

impl Runtimes {
    /// The runtimes that a configuration names, if any.
    pub fn of(config: &config::Runtimes) -> Option<Self> {
        config.is_any().then(|| Self::start(Endpoint::all(config)))
    }

    /// Begins to learn, in the background, what runs here. Needs a Tokio runtime, which it never blocks.
    pub fn start(endpoints: Vec<Endpoint>) -> Self {
        let cache = Arc::new(Cache::default());
        let endpoints: Arc<[_]> = endpoints.into_iter().map(Arc::new).collect();
        let mut followers = JoinSet::new();
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.follows()) {
            followers.spawn(Arc::clone(endpoint).follow(Arc::clone(&cache)));
        }
        Self { cache, endpoints, _followers: Arc::new(followers) }
    }

    /// The container of this identifier, if that is known already.
    pub fn known(&self, id: &str) -> Option<Arc<Container>> {
        self.cache.lock().known.get(id).cloned()
    }

    /// The container of this identifier. Takes at most a second, whatever the runtimes do.
    pub async fn find(&self, id: &str) -> Option<Arc<Container>> {
        if let Some(container) = self.known(id) {
            return Some(container);
        }
        let mut asking = self.ask(id)?;
        // The sender is dropped when the answer is in the cache.
        let _ = timeout(LIMIT, asking.changed()).await;
        self.known(id)
    }

    /// Asks all runtimes at once, unless that is being done already, or was in vain a moment ago.
    fn ask(&self, id: &str) -> Option<watch::Receiver<()>> {
        let mut state = self.cache.lock();
        let missing = state.missing.get(id).is_some_and(|since| since.elapsed() < MISSING_FOR);
        if !is_id(id) || missing {
            return None;
        }
        if let Some(asking) = state.asked.get(id) {
            return Some(asking.clone());
        }
        if state.asked.len() >= MAX_ASKED {
            return None;
        }
        let (sender, asking) = watch::channel(());
        state.asked.insert(id.to_owned(), asking.clone());
        let (cache, endpoints, id) = (Arc::clone(&self.cache), Arc::clone(&self.endpoints), id.to_owned());
        // On its own: whoever asked first may have stopped waiting.
        tokio::spawn(async move {
            let found = look(&endpoints, &id).await;
            cache.settle(id, found);
            drop(sender);
        });
        Some(asking)
    }
}

/// Whether it can go into a request as it is. Runtimes without such identifiers have no socket to ask.
fn is_id(id: &str) -> bool {
    (12..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn look(endpoints: &[Arc<Endpoint>], id: &str) -> Option<Container> {
    let mut answers = JoinSet::new();
    for endpoint in endpoints {
        let (endpoint, id) = (Arc::clone(endpoint), id.to_owned());
        answers.spawn(async move { endpoint.find(&id).await });
    }
    while let Some(answer) = answers.join_next().await {
        if let Ok(Some(container)) = answer {
            return Some(container);
        }
    }
    None
}

/// What is known, by identifier.
#[derive(Default)]
pub(crate) struct Cache(Mutex<State>);

struct State {
    known: LruCache<String, Arc<Container>>,
    /// Those that no runtime knew, and when.
    missing: LruCache<String, Instant>,
    /// Those that are being looked for.
    asked: HashMap<String, watch::Receiver<()>>,
}

impl Default for State {
    fn default() -> Self {
        Self { known: LruCache::new(KNOWN), missing: LruCache::new(KNOWN), asked: HashMap::new() }
    }
}

impl Cache {
    /// Keeps what a runtime said.
    fn learn(&self, container: Container) {
        let mut state = self.lock();
        state.missing.pop(&container.id);
        state.known.put(container.id.clone(), Arc::new(container));
    }

    /// Keeps the answer for the identifier that was asked for, which may be abbreviated.
    fn settle(&self, id: String, found: Option<Container>) {
        let mut state = self.lock();
        state.asked.remove(&id);
        match found {
            Some(container) => drop(state.known.put(id, Arc::new(container))),
            None => drop(state.missing.put(id, Instant::now())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
