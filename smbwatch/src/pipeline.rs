//! The running agent: it moves records through the stages. The only place that knows tokio.

mod following;
mod watcher;

use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use ipnet::IpNet;
use jiff::Timestamp;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use crate::alert::{Alerter, Finding};
use crate::config::Config;
use crate::correlate::Correlator;
use crate::decode::{Clock, decode};
use crate::enrich::Enricher;
use crate::enrich::host::Host;
use crate::judge::judge;
use crate::metrics::{Account, Summary};
use crate::observation::{FlowObservation, Observation};
use crate::probe::{Probe, clsact, routes};
use crate::sink::{self, Format, Running};
use crate::source::ring::{self, Ring};
use crate::suppress::{Suppressed, Suppressor};
use following::Following;
use watcher::Watcher;

/// Records that are handled before signals and timers get their turn.
const BATCH: usize = 512;
/// How long sinks may take to empty their queues at the end.
const CLOSE: Duration = Duration::from_secs(2);

/// The stages between a record and its alert, and what they have counted.
struct Stages {
    config: Config,
    enricher: Enricher,
    correlator: Correlator,
    suppressor: Suppressor,
    alerter: Alerter,
    sinks: Vec<Running>,
    account: Account,
    untold: Untold,
}

/// What the next alert has to say of records that made none.
#[derive(Default)]
struct Untold {
    suppressed: u64,
    lost: u64,
}

/// Watches this host until SIGINT or SIGTERM; tells the account.
pub fn run(config: Config, run_dir: &Path, format: Format) -> anyhow::Result<Summary> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(watch(config, run_dir, format))
}

async fn watch(mut config: Config, run_dir: &Path, format: Format) -> anyhow::Result<Summary> {
    // Before anything is attached, so that no signal ends the agent without its detaching and its account.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let sinks: Vec<Running> =
        config.sinks.iter().map(|sink| sink::start(sink, format)).collect::<Result<_, _>>()?;
    let mut following = Following::start().await?;
    if config.own_addresses {
        let addresses = routes::addresses(&following.handle).await?;
        config.sources.extend(addresses.into_iter().filter(|address| is_public(*address)).map(IpNet::from));
    }

    let mut probe = Probe::load(&config, run_dir)?;
    if config.owners {
        probe.attach_owners()?;
    }
    let mut ring = readable(Ring::new(probe.ring()?))?;
    let mut stages = Stages::new(config, sinks);
    let clsact = clsact::interfaces(&following.handle).await?;
    probe.remove_leftovers(&following.snapshot(), &clsact);
    let mut watcher = Watcher::start(&following.snapshot(), &stages.config, &mut probe)?;
    if log::log_enabled!(log::Level::Debug) {
        tokio::spawn(forward_log(probe.log()?));
    }

    loop {
        tokio::select! {
            guard = ring.readable_mut() => {
                let mut guard = guard.context("wait for records")?;
                let clock = ring::clock();
                if guard.get_inner_mut().drain(BATCH, |record| stages.take(record, clock)) < BATCH {
                    guard.clear_ready();
                }
            }
            changed = following.changed() => {
                changed?;
                // What is in the ring of an interface that is gone still has its name.
                while ring.get_mut().drain(BATCH, |record| stages.take(record, ring::clock())) == BATCH {}
                let Stages { config, enricher, .. } = &mut stages;
                watcher.changed(&following.snapshot(), config, &mut probe, enricher);
            }
            // One at a time, so that records do not wait for hundreds of them.
            () = tokio::task::yield_now(), if watcher.has_work() => {
                watcher.attach_next(&stages.config, &mut probe, &mut stages.enricher)?;
            }
            _ = hangup.recv() => stages.sinks.iter().for_each(Running::reopen),
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    probe.detach_all();
    let clock = ring::clock();
    while ring.get_mut().drain(BATCH, |record| stages.take(record, clock)) > 0 {}
    stages.close(&probe).await
}

impl Stages {
    fn new(config: Config, sinks: Vec<Running>) -> Self {
        let capacity = NonZeroUsize::new(config.flows as usize).unwrap_or(NonZeroUsize::MIN);
        let host = Host::look();
        let run = format!("{}-{}", short(&host), Timestamp::now().as_microsecond());
        Self {
            enricher: Enricher::new(),
            correlator: Correlator::new(capacity, run),
            suppressor: Suppressor::new(config.alerts_per_second),
            alerter: Alerter::new(host, config.profile),
            sinks,
            account: Account::default(),
            untold: Untold::default(),
            config,
        }
    }

    /// Takes one record through all stages.
    fn take(&mut self, record: &[u8], clock: Clock) {
        match decode(record, clock) {
            Ok(Observation::Flow(sighting)) => self.flow(&sighting),
            Ok(Observation::Process(process)) => self.enricher.running(process),
            Ok(Observation::Connect(connect)) => {
                self.account.connects += 1;
                self.enricher.connecting(&connect);
            }
            Err(error) => {
                self.account.undecoded += 1;
                log::error!("record not understood: {error}");
            }
        }
    }

    fn flow(&mut self, sighting: &FlowObservation) {
        self.untold.lost += u64::from(sighting.lost);
        let judgement = judge(sighting, self.config.severity);
        let connection = self.correlator.connection(sighting);
        match self.suppressor.suppress(connection, &judgement, sighting.time) {
            Some(reason) => {
                match reason {
                    Suppressed::Repeat => self.account.repeated += 1,
                    Suppressed::Flood => self.account.flooded += 1,
                }
                self.untold.suppressed += 1;
            }
            None => {
                let who = self.enricher.who(sighting);
                let Untold { suppressed, lost } = std::mem::take(&mut self.untold);
                let incident = &connection.incident;
                let finding = Finding { sighting, who: &who, judgement, incident, suppressed, lost };
                let document = Arc::new(self.alerter.alert(&finding, Timestamp::now()));
                self.sinks.iter().for_each(|sink| sink.send(&document));
                self.account.alerted += 1;
            }
        }
    }

    /// Waits for the sinks, and adds up.
    async fn close(self, probe: &Probe) -> anyhow::Result<Summary> {
        let alerted = self.account.alerted;
        let closing: Vec<_> = self.sinks.into_iter().map(Running::close).collect();
        let deadline = tokio::time::Instant::now() + CLOSE;
        while !closing.iter().all(sink::Closing::is_finished) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let sinks = closing.into_iter().map(|sink| {
            let delivered = sink.tally.delivered.load(Ordering::Relaxed);
            (sink.name, delivered, alerted - delivered.min(alerted))
        });
        Ok(Summary { kernel: probe.counters()?, account: self.account, sinks: sinks.collect() })
    }
}

/// Whether an address of this host can be reached from the Internet, as far as the address tells.
fn is_public(address: IpAddr) -> bool {
    use crate::ranges::{Kind, longest, strict};
    longest(&strict(), address).is_none_or(|range| range.kind == Kind::Public)
}

/// What makes identifiers of this host differ from those of another.
fn short(host: &Host) -> &str {
    host.machine().get(..8).unwrap_or(host.machine())
}

/// Waits on a descriptor of BPF.
#[expect(
    deprecated,
    reason = "the sound form is unsafe to call; these descriptors live as long as their owners"
)]
fn readable<T: AsRawFd>(descriptor: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

async fn forward_log(logger: aya_log::EbpfLogger<&'static dyn log::Log>) -> io::Result<()> {
    let mut logger = readable(logger)?;
    loop {
        let mut guard = logger.readable_mut().await?;
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}
