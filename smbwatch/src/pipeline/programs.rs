//! The loaded programs with their ring and what they watch, and how others take over from them.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;

use ipnet::IpNet;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::stages::Stages;
use super::watcher::Watcher;
use super::{BATCH, drain};
use crate::config::Config;
use crate::probe::interfaces::Snapshot;
use crate::probe::{Counters, Error, Probe};
use crate::source::ring::Ring;

/// Loaded programs.
pub(super) struct Programs {
    pub(super) probe: Probe,
    pub(super) ring: AsyncFd<Ring>,
    pub(super) watcher: Watcher,
    /// Those that these take over from.
    previous: Option<Previous>,
    /// What all before have counted.
    counted: Counters,
    /// And what of it were packets to exceptions, by range.
    excepted: HashMap<IpNet, u64>,
}

/// Programs that watch until others watch all that is to be watched.
struct Previous {
    probe: Probe,
    ring: Ring,
    /// Indexes of the interfaces that they watch.
    interfaces: Vec<u32>,
}

impl Programs {
    /// Hooks on `connect` come with them; interfaces are still to be attached.
    pub(super) fn start(mut probe: Probe, snapshot: &Snapshot, config: &Config) -> anyhow::Result<Self> {
        let ring = ready(&mut probe, config)?;
        let watcher = Watcher::start(snapshot, config, &mut probe)?;
        Ok(Self {
            probe,
            ring,
            watcher,
            previous: None,
            counted: Counters::default(),
            excepted: HashMap::new(),
        })
    }

    /// Lets other programs take over: these go on until the others are attached everywhere. What both see is told
    /// twice, and alerted of once.
    pub(super) fn succeed(
        &mut self,
        mut probe: Probe,
        snapshot: &Snapshot,
        config: &Config,
    ) -> anyhow::Result<()> {
        let ring = ready(&mut probe, config)?;
        let watcher = Watcher::again(snapshot, config, &mut probe)?;
        let interfaces = std::mem::replace(&mut self.watcher, watcher).into_indexes();
        let probe = std::mem::replace(&mut self.probe, probe);
        let ring = std::mem::replace(&mut self.ring, ring).into_inner();
        self.previous = Some(Previous { probe, ring, interfaces });
        Ok(())
    }

    /// Whether no programs are being taken over from.
    pub(super) const fn are_settled(&self) -> bool {
        self.previous.is_none()
    }

    /// Whether something waits to be attached, or to be ended.
    pub(super) fn have_work(&self) -> bool {
        self.watcher.has_work() || !self.are_settled()
    }

    /// Attaches to the next interface; after the last one, ends those that these take over from.
    pub(super) fn attach_next(&mut self, stages: &mut Stages) -> anyhow::Result<()> {
        self.watcher.attach_next(&stages.config, &mut self.probe, &mut stages.enricher)?;
        let Some(previous) = &mut self.previous else { return Ok(()) };
        drain(&mut previous.ring, BATCH, stages);
        if !self.watcher.has_work() {
            self.end_previous(stages)?;
        }
        Ok(())
    }

    fn end_previous(&mut self, stages: &mut Stages) -> Result<(), Error> {
        let Some(Previous { mut probe, mut ring, interfaces }) = self.previous.take() else { return Ok(()) };
        probe.detach_all();
        drain(&mut ring, usize::MAX, stages);
        self.counted += probe.counters()?;
        for (range, packets) in probe.all_excepted() {
            *self.excepted.entry(range).or_default() += packets;
        }
        for index in interfaces {
            if !self.watcher.watches(index) {
                stages.enricher.forget_interface(index);
            }
        }
        Ok(())
    }

    /// Detaches everything, and takes what the programs still had to tell.
    pub(super) fn end(&mut self, stages: &mut Stages) -> Result<(), Error> {
        self.end_previous(stages)?;
        self.probe.detach_all();
        drain(self.ring.get_mut(), usize::MAX, stages);
        Ok(())
    }

    /// What they, and all before them, have counted.
    pub(super) fn counters(&self) -> Result<Counters, Error> {
        let mut counters = self.counted.clone();
        if let Some(previous) = &self.previous {
            counters += previous.probe.counters()?;
        }
        counters += self.probe.counters()?;
        Ok(counters)
    }

    /// The same for packets to the exception of a range.
    pub(super) fn excepted(&self, range: IpNet) -> Option<u64> {
        let previous = self.previous.as_ref().map(|previous| &previous.probe);
        let running = previous.into_iter().chain([&self.probe]);
        let counts = running.filter_map(|probe| probe.excepted(range));
        counts.chain(self.excepted.get(&range).copied()).reduce(std::ops::Add::add)
    }
}

/// Hooks `connect`, before any packet is seen, and opens the ring.
fn ready(probe: &mut Probe, config: &Config) -> anyhow::Result<AsyncFd<Ring>> {
    if config.owners {
        probe.attach_owners()?;
    }
    if tracing::enabled!(tracing::Level::DEBUG) {
        tokio::spawn(forward_log(probe.log()?));
    }
    Ok(readable(Ring::new(probe.ring()?))?)
}

async fn forward_log(logger: aya_log::EbpfLogger<&'static dyn log::Log>) -> io::Result<()> {
    let mut logger = readable(logger)?;
    loop {
        let mut guard = logger.readable_mut().await?;
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}

/// Waits on a descriptor of BPF.
#[expect(
    deprecated,
    reason = "the sound form is unsafe to call; these descriptors live as long as their owners"
)]
fn readable<T: AsRawFd>(descriptor: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}
