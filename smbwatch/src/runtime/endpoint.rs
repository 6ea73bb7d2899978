//! One runtime's socket: what it speaks, and how long it is left alone after it failed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::container::Container;
use super::socket::{Error, within};
use super::{Cache, LIMIT, cri, docker, is_id};
use crate::config::runtimes::Runtimes;

/// How long a list of all containers, which nobody waits for, may take.
const LIST_LIMIT: Duration = Duration::from_secs(10);
/// How long a socket that failed is left alone; twice as long each time.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A runtime's socket. One that does not exist is tried again whenever a container is looked for.
pub struct Endpoint {
    api: Api,
    runtime: &'static str,
    path: PathBuf,
    follows: bool,
    health: Mutex<Health>,
    /// Told when the runtime knew a container.
    answered: Notify,
}

#[derive(Clone, Copy)]
enum Api {
    Docker,
    Cri,
}

/// How it went of late.
#[derive(Default)]
struct Health {
    rest: Option<Duration>,
    until: Option<Instant>,
}

enum Events {
    Docker(docker::Events),
    Cri(Box<cri::Events>),
}

impl Endpoint {
    /// Every socket of a configuration.
    pub fn all(runtimes: &Runtimes) -> Vec<Self> {
        let docker = runtimes.docker.iter().map(Self::docker);
        let podman = runtimes.podman.iter().map(Self::podman);
        let cri = runtimes.cri.iter().map(|path| {
            let is_crio = path.file_name().is_some_and(|name| name == "crio.sock");
            Self::cri(path, if is_crio { "cri-o" } else { "containerd" })
        });
        docker.chain(podman).chain(cri).collect()
    }

    /// Docker's API.
    pub fn docker(path: impl Into<PathBuf>) -> Self {
        Self::new(Api::Docker, path.into(), "docker", true)
    }

    /// Podman's form of Docker's API. It is only asked, never followed: systemd starts its service for a
    /// request, and the service would not end as long as someone follows.
    pub fn podman(path: impl Into<PathBuf>) -> Self {
        Self::new(Api::Docker, path.into(), "podman", false)
    }

    /// The Container Runtime Interface of `runtime`.
    pub fn cri(path: impl Into<PathBuf>, runtime: &'static str) -> Self {
        Self::new(Api::Cri, path.into(), runtime, true)
    }

    fn new(api: Api, path: PathBuf, runtime: &'static str, follows: bool) -> Self {
        Self { api, runtime, path, follows, health: Mutex::default(), answered: Notify::new() }
    }

    pub(super) fn follows(&self) -> bool {
        self.follows
    }

    /// Asks for one container, unless the socket is left alone.
    pub(super) async fn find(&self, id: &str) -> Option<Container> {
        if self.health().until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let answer = within(LIMIT, self.list(Some(id))).await;
        self.note(answer.as_ref().err());
        let found = answer.ok()?.into_iter().find(|container| container.id.starts_with(id))?;
        self.answered.notify_one();
        Some(found)
    }

    /// Learns all containers, and then each that starts, for as long as it is polled. What goes wrong here
    /// does not keep anyone from asking.
    pub(super) async fn follow(self: Arc<Self>, cache: Arc<Cache>) {
        let mut rest = FIRST_REST;
        let mut seen = false;
        loop {
            let began = Instant::now();
            match self.learn(&cache).await {
                Ok(()) => seen = true,
                Err(Error::NoEvents) => return,
                // Not installed, perhaps: a container that it knows would tell.
                Err(Error::Absent) if !seen => {
                    self.answered.notified().await;
                    continue;
                }
                Err(error) => tracing::debug!("{}: {error}", self.path.display()),
            }
            if began.elapsed() > LONGEST_REST {
                rest = FIRST_REST;
            }
            tokio::select! {
                () = tokio::time::sleep(rest) => rest = LONGEST_REST.min(rest * 2),
                () = self.answered.notified() => {}
            }
        }
    }

    /// Ends well when the runtime ends.
    async fn learn(&self, cache: &Cache) -> Result<(), Error> {
        // First the events, so that none is lost between the two.
        let events = match within(LIST_LIMIT, self.subscribe()).await {
            Err(error) if !matches!(error, Error::NoEvents) => return Err(error),
            events => events,
        };
        within(LIST_LIMIT, self.list(None)).await?.into_iter().for_each(|each| cache.learn(each));
        let mut events = events?;
        tracing::debug!("{}: following its containers", self.path.display());
        while let Some(id) = events.next().await? {
            if !is_id(&id) {
                continue;
            }
            match within(LIST_LIMIT, self.list(Some(&id))).await {
                Ok(found) => found.into_iter().for_each(|each| cache.learn(each)),
                // It may be gone already; a runtime that is gone ends the events, too.
                Err(error) => tracing::debug!("{}: container {id}: {error}", self.path.display()),
            }
        }
        Ok(())
    }

    async fn list(&self, id: Option<&str>) -> Result<Vec<Container>, Error> {
        match self.api {
            Api::Docker => docker::list(&self.path, self.runtime, id).await,
            Api::Cri => cri::list(&self.path, self.runtime, id).await,
        }
    }

    async fn subscribe(&self) -> Result<Events, Error> {
        match self.api {
            Api::Docker => docker::Events::subscribe(&self.path).await.map(Events::Docker),
            Api::Cri => cri::Events::subscribe(&self.path).await.map(|events| Events::Cri(Box::new(events))),
        }
    }

    /// Leaves the socket alone for a while after an error, and says the first of several.
    fn note(&self, error: Option<&Error>) {
        let mut health = self.health();
        match error {
            None => *health = Health::default(),
            Some(Error::Absent | Error::NoEvents) => {}
            Some(error) => {
                if health.rest.is_none() {
                    tracing::warn!(
                        "{}: {error}; containers of {} may go without names until it answers",
                        self.path.display(),
                        self.runtime
                    );
                }
                let rest = health.rest.map_or(FIRST_REST, |rest| LONGEST_REST.min(rest * 2));
                *health = Health { rest: Some(rest), until: Some(Instant::now() + rest) };
            }
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    async fn next(&mut self) -> Result<Option<String>, Error> {
        match self {
            Self::Docker(events) => events.next().await,
            Self::Cri(events) => events.next().await,
        }
    }
}
