//! The running agent: it moves records through the stages. The only place that knows tokio.

mod following;
mod hold;
mod inquiry;
mod refresh;
mod stages;
mod watcher;

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ipnet::IpNet;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::enrich::files::Follower;
use crate::enrich::questions::Wanted;
use crate::metrics::scrapes::Scrapes;
use crate::metrics::{Summary, serve};
use crate::novelty::Memory;
use crate::probe::{Probe, clsact, routes};
use crate::ranges::{Kind, longest, strict};
use crate::runtime::{Endpoint, Runtimes};
use crate::sink::{self, Format, Outlet, Running};
use crate::source::ring::{self, Ring};
use following::Following;
use inquiry::Inquiry;
pub(crate) use stages::Stages;
use watcher::Watcher;

/// Records that are handled before signals and timers get their turn.
const BATCH: usize = 512;

/// How often exceptions are looked at: whether one has expired.
const EXCEPTIONS: Duration = Duration::from_secs(5);
/// How often interfaces that were attached to in a hurry are looked at again.
const MAKE_UP: Duration = Duration::from_secs(10);

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
    let spools = config.state.dir.join("spool");
    let start = |sink| sink::start(sink, &spools, format);
    let sinks: Vec<Running> = config.sinks.iter().map(start).collect::<Result<_, _>>()?;
    let (scrapes, mut asked) = Scrapes::new();
    let _server = serve::start(&config.metrics, run_dir, scrapes)?;
    let mut following = Following::start().await?;
    let addresses = routes::addresses(&following.handle).await?;
    if config.own_addresses {
        config.sources.extend(addresses.iter().copied().filter(|own| is_public(*own)).map(IpNet::from));
    }
    config.nat_addresses = nat_addresses(&config, addresses);

    let mut probe = Probe::load(&config, run_dir)?;
    if config.owners {
        probe.attach_owners()?;
    }
    let mut ring = readable(Ring::new(probe.ring()?))?;
    let runtimes = config.runtimes.is_any().then(|| Runtimes::start(Endpoint::all(&config.runtimes)));
    let (inquiry, mut answers) =
        Inquiry::start(wanted(&config), runtimes.clone()).context("start a thread")?;
    let mut stages = Stages::new(config, Outlet::Sinks(sinks), runtimes, inquiry);
    let with_clsact = clsact::interfaces(&following.handle).await?;
    clsact::remove_leftovers(&following.snapshot(), &with_clsact);
    let mut watcher = Watcher::start(&following.snapshot(), &stages.config, &mut probe)?;
    // Only now: records wait in the ring meanwhile.
    let mut follower = Follower::of(&stages.config);
    follower.look().into_iter().for_each(|fresh| stages.refresh(fresh));
    let mut files = refresh::start(follower).context("start a thread")?;
    stages.memory = Memory::open(&stages.config.state);
    if tracing::enabled!(tracing::Level::DEBUG) {
        tokio::spawn(forward_log(probe.log()?));
    }

    stages.begin();
    let mut make_up = tokio::time::interval(MAKE_UP);
    make_up.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut exceptions = tokio::time::interval(EXCEPTIONS);
    exceptions.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            guard = ring.readable_mut() => {
                let mut guard = guard.context("wait for records")?;
                let (clock, now) = (ring::clock(), Instant::now());
                if guard.get_inner_mut().drain(BATCH, |record| stages.take(record, clock, now)) < BATCH {
                    guard.clear_ready();
                }
                stages.release(now);
            }
            changed = following.changed() => {
                changed?;
                // What is in the ring of an interface that is gone still has its name.
                drain(ring.get_mut(), &mut stages);
                let Stages { config, enricher, .. } = &mut stages;
                watcher.changed(&following.snapshot(), config, &mut probe, enricher);
            }
            // One at a time, so that records do not wait for hundreds of them.
            () = tokio::task::yield_now(), if watcher.has_work() => {
                watcher.attach_next(&stages.config, &mut probe, &mut stages.enricher)?;
            }
            _ = exceptions.tick(), if stages.has_exceptions() => stages.expire_exceptions(),
            _ = make_up.tick(), if watcher.is_hurried() => watcher.make_up(),
            Some((question, answer)) = answers.recv() => stages.learn(&question, answer, Instant::now()),
            Some(reply) = asked.recv() => match stages.snapshot(&probe, watcher.interfaces()) {
                // Who asked may have gone.
                Ok(snapshot) => drop(reply.send(snapshot)),
                Err(error) => tracing::error!("{error:#}"),
            },
            Some(fresh) = files.recv() => stages.refresh(fresh),
            () = until(stages.next_release()) => stages.release(Instant::now()),
            _ = hangup.recv() => stages.reopen(),
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    probe.detach_all();
    drain(ring.get_mut(), &mut stages);
    stages.close(&probe).await
}

/// Which connections that are older than the agent are worth looking up.
fn wanted(config: &Config) -> Box<Wanted> {
    let (ports, destinations) = (config.ports.clone(), config.destinations.clone());
    Box::new(move |address, port| {
        let range = || longest(&destinations, address);
        ports.contains(&port) && range().is_none_or(|range| range.kind == Kind::Public)
    })
}

/// Whether an address of this host can be reached from the Internet, as far as the address tells.
fn is_public(address: IpAddr) -> bool {
    longest(&strict(), address).is_none_or(|range| range.kind == Kind::Public)
}

/// Addresses behind which NAT can hide workloads, where they are no sources. IPv6 is left out: it is hardly
/// ever translated, and where no IPv6 source matches, the programs need not read it.
fn nat_addresses(config: &Config, own: Vec<IpAddr>) -> Vec<IpAddr> {
    let is_source = |address: &IpAddr| config.sources.iter().any(|prefix| prefix.contains(address));
    own.into_iter().filter(|own| own.is_ipv4() && !own.is_loopback() && !is_source(own)).collect()
}

/// Takes all records that wait in the ring.
fn drain(ring: &mut Ring, stages: &mut Stages) {
    let (clock, now) = (ring::clock(), Instant::now());
    while ring.drain(BATCH, |record| stages.take(record, clock, now)) > 0 {}
    stages.release(now);
}

/// Waits until a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
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

async fn forward_log(logger: aya_log::EbpfLogger<&'static dyn log::Log>) -> io::Result<()> {
    let mut logger = readable(logger)?;
    loop {
        let mut guard = logger.readable_mut().await?;
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}
