//! The running agent: it moves records through the stages. The only place that knows tokio.

mod answers;
mod following;
mod hold;
mod inquiry;
mod programs;
mod refresh;
mod reload;
mod stages;
mod watcher;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior};

use crate::config::{Config, Given};
use crate::enrich::files::Follower;
use crate::enrich::questions::Wanted;
use crate::metrics::scrapes::Scrapes;
use crate::metrics::{Summary, serve};
use crate::novelty::Memory;
use crate::probe::{Probe, clsact, let_go_of_program};
use crate::ranges::is_public;
use crate::runtime::Runtimes;
use crate::sink::{self, Format, Outlet};
use crate::source::ring::{self, Ring};
use following::Following;
use inquiry::Inquiry;
use programs::Programs;
use refresh::Refresh;
use reload::Reloader;
pub(crate) use stages::Stages;

/// Records that are handled before signals and timers get their turn.
const BATCH: usize = 512;

/// How often exceptions are looked at: whether one has expired.
const EXCEPTIONS: Duration = Duration::from_secs(5);
/// How long after the start its code is not needed any more.
const STARTED: Duration = Duration::from_secs(1);
/// How often interfaces that were attached to in a hurry are looked at again.
const MAKE_UP: Duration = Duration::from_secs(10);

/// Watches this host until SIGINT or SIGTERM; tells the account. `config` is what was `given`, which is read again
/// when it changes.
pub fn run(given: Given, config: Config, run_dir: &Path, format: Format) -> anyhow::Result<Summary> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(watch(given, config, run_dir, format))
}

async fn watch(given: Given, config: Config, run_dir: &Path, format: Format) -> anyhow::Result<Summary> {
    // Before anything is attached, so that no signal ends the agent without its detaching and its account.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let sinks = sink::start_all(&config.sinks, &config.state.spools(), format)?;
    let (scrapes, mut asked) = Scrapes::new();
    let _server = serve::start(&config.metrics, run_dir, scrapes)?;
    let mut following = Following::start().await?;
    let mut reloader = Reloader::new(config.clone(), run_dir.to_owned(), format);
    let config = reload::complete(config, &following.handle).await?;

    let probe = Probe::load(&config, run_dir)?;
    let runtimes = Runtimes::of(&config.runtimes);
    let (inquiry, mut answers) =
        Inquiry::start(wanted(&config), runtimes.clone()).context("start a thread")?;
    let with_clsact = clsact::interfaces(&following.handle).await?;
    clsact::remove_leftovers(&following.snapshot(), &with_clsact);
    let mut programs = Programs::start(probe, &following.snapshot(), &config)?;
    let mut stages = Stages::new(config, Outlet::to(sinks), runtimes, inquiry);
    // Only now: records wait in the ring meanwhile.
    let mut follower = Follower::of(&stages.config);
    follower.look().into_iter().for_each(|fresh| stages.refresh(fresh));
    let mut refresh = Refresh::start(given, follower).context("start a thread")?;
    stages.memory = Memory::open(&stages.config.state);

    stages.begin();
    let mut started = Some(Instant::now() + STARTED);
    let mut make_up = interval(MAKE_UP);
    let mut exceptions = interval(EXCEPTIONS);
    loop {
        tokio::select! {
            guard = programs.ring.readable_mut() => {
                let mut guard = guard.context("wait for records")?;
                if drain(guard.get_inner_mut(), BATCH, &mut stages) < BATCH {
                    guard.clear_ready();
                }
            }
            changed = following.changed() => {
                changed?;
                // What is in the ring of an interface that is gone still has its name.
                drain(programs.ring.get_mut(), usize::MAX, &mut stages);
                let Stages { config, enricher, .. } = &mut stages;
                let Programs { probe, watcher, .. } = &mut programs;
                watcher.changed(&following.snapshot(), config, probe, enricher);
            }
            // One at a time, so that records do not wait for hundreds of them; and at once, so that it does not
            // wait until no record comes.
            () = std::future::ready(()), if programs.have_work() => {
                programs.attach_next(&mut stages)?;
                tokio::task::yield_now().await;
            }
            _ = exceptions.tick(), if stages.has_exceptions() => stages.expire_exceptions(),
            _ = make_up.tick(), if programs.watcher.is_hurried() => programs.watcher.make_up(),
            Some((question, answer)) = answers.recv() => stages.learn(&question, answer, Instant::now()),
            Some(asked) = asked.recv() => stages.answer(asked, &programs, reloader.reloads),
            Some(read) = refresh.read.recv(), if programs.are_settled() && !reloader.is_loading() => {
                reloader.take(read, &mut stages, &mut programs, &mut following).await;
            }
            loaded = reloader.loaded(), if reloader.is_loading() => {
                reloader.take_over(loaded, &mut stages, &mut programs, &mut following);
                started = Some(Instant::now() + STARTED);
            }
            () = until(started), if !programs.have_work() => {
                let_go_of_program();
                started = None;
            }
            () = until(stages.next_release()) => stages.release(Instant::now()),
            _ = hangup.recv() => {
                stages.reopen();
                refresh.now();
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    programs.end(&mut stages)?;
    stages.close(programs.counters()?).await
}

/// Which connections that are older than the agent are worth looking up.
fn wanted(config: &Config) -> Box<Wanted> {
    let (ports, destinations) = (config.ports.clone(), config.destinations.clone());
    Box::new(move |address, port| ports.contains(&port) && is_public(&destinations, address))
}

/// Takes records that wait in a ring, up to about `limit`; tells how many.
fn drain(ring: &mut Ring, limit: usize, stages: &mut Stages) -> usize {
    let (clock, now) = (ring::clock(), Instant::now());
    let mut taken = 0;
    while taken < limit {
        let count = ring.drain(BATCH, |record| stages.take(record, clock, now));
        taken += count;
        if count < BATCH {
            break;
        }
    }
    stages.release(now);
    taken
}

/// Ticks at once, and then each `period`.
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Waits until a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
