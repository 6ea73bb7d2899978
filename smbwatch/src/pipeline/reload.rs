//! From a configuration that was read again to an agent that works by it: all of it, or nothing.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::following::Following;
use super::programs::Programs;
use super::refresh::Read;
use super::stages::Stages;
use crate::config::Config;
use crate::enrich::files::Fresh;
use crate::metrics::snapshot::Reloads;
use crate::probe::{Error, Probe, routes};
use crate::ranges::{is_public, strict};
use crate::sink::{self, Format};

/// What is needed for another configuration.
pub(super) struct Reloader {
    run_dir: PathBuf,
    format: Format,
    /// The configuration in force, as it was read.
    current: Config,
    /// One that waits for its programs.
    next: Option<(Next, JoinHandle<Result<Probe, Error>>)>,
    pub(super) reloads: Reloads,
}

/// A configuration that is about to be in force.
struct Next {
    /// As it was read.
    read: Config,
    /// With what it leaves to the host.
    complete: Config,
    sinks: Vec<sink::Running>,
    fresh: Vec<Fresh>,
}

impl Reloader {
    pub(super) fn new(current: Config, run_dir: PathBuf, format: Format) -> Self {
        Self { run_dir, format, current, next: None, reloads: Reloads::default() }
    }

    /// Whether a configuration waits for its programs.
    pub(super) const fn is_loading(&self) -> bool {
        self.next.is_some()
    }

    /// Takes what was read.
    pub(super) async fn take(
        &mut self,
        read: Read,
        stages: &mut Stages,
        programs: &mut Programs,
        following: &mut Following,
    ) {
        match read {
            Read::Fresh(fresh) => stages.refresh(fresh),
            Read::Refused => self.reloads.refuse(),
            Read::Config(config, fresh) if *config == self.current => {
                tracing::info!("the configuration is as it was");
                fresh.into_iter().for_each(|fresh| stages.refresh(fresh));
                self.reloads.apply();
            }
            Read::Config(config, fresh) => {
                if let Err(error) = self.begin(*config, fresh, stages, programs, following).await {
                    self.refuse(&error);
                }
            }
        }
    }

    async fn begin(
        &mut self,
        read: Config,
        fresh: Vec<Fresh>,
        stages: &mut Stages,
        programs: &mut Programs,
        following: &mut Following,
    ) -> anyhow::Result<()> {
        if read.metrics != self.current.metrics {
            tracing::warn!("`metrics`: what has changed there takes a restart");
        }
        let complete = complete(read.clone(), &following.handle).await?;
        let sinks = stages.outlet.start_missing(&complete.sinks, &complete.state.spools(), self.format)?;
        let next = Next { read, complete, sinks, fresh };
        match programs.probe.change(&stages.config, &next.complete) {
            Ok(true) => self.adopt(next, None, stages, programs, following),
            changed => {
                // Tables that cannot hold the old and the new at once are made anew.
                let _ = changed.inspect_err(|error| tracing::debug!("{error}; loading anew"));
                let (config, flows) = (next.complete.clone(), programs.probe.flows()?);
                let run_dir = self.run_dir.clone();
                let load = move || Probe::load_after(&config, Some(flows), &run_dir);
                self.next = Some((next, spawn_blocking(load)));
                Ok(())
            }
        }
    }

    /// Waits for the programs of the next configuration, if there is one.
    pub(super) async fn loaded(&mut self) -> Result<Result<Probe, Error>, JoinError> {
        match &mut self.next {
            Some((_, loading)) => loading.await,
            None => std::future::pending().await,
        }
    }

    /// Lets the programs of the next configuration take over.
    pub(super) fn take_over(
        &mut self,
        loaded: Result<Result<Probe, Error>, JoinError>,
        stages: &mut Stages,
        programs: &mut Programs,
        following: &mut Following,
    ) {
        let Some((next, _)) = self.next.take() else { return };
        let adopted = match loaded {
            Ok(Ok(probe)) => self.adopt(next, Some(probe), stages, programs, following),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(error.into()),
        };
        adopted.unwrap_or_else(|error| self.refuse(&error));
    }

    fn adopt(
        &mut self,
        next: Next,
        probe: Option<Probe>,
        stages: &mut Stages,
        programs: &mut Programs,
        following: &mut Following,
    ) -> anyhow::Result<()> {
        let snapshot = following.snapshot();
        if let Some(probe) = probe {
            programs.succeed(probe, &snapshot, &next.complete)?;
        }
        stages.adapt(next.complete, next.sinks);
        next.fresh.into_iter().for_each(|fresh| stages.refresh(fresh));
        let Programs { probe, watcher, .. } = programs;
        watcher.changed(&snapshot, &stages.config, probe, &mut stages.enricher);
        self.current = next.read;
        self.reloads.apply();
        tracing::info!("the new configuration is in force");
        Ok(())
    }

    fn refuse(&mut self, error: &anyhow::Error) {
        tracing::error!("{error:#}; the configuration before stays in force");
        self.reloads.refuse();
    }
}

/// Adds to a configuration what it leaves to the host: its own addresses.
pub(super) async fn complete(mut config: Config, handle: &rtnetlink::Handle) -> Result<Config, Error> {
    let addresses = routes::addresses(handle).await?;
    if config.own_addresses {
        // What can be reached from the Internet, as far as an address tells.
        let registries = strict();
        let public = addresses.iter().copied().filter(|own| is_public(&registries, *own));
        config.sources.extend(public.map(IpNet::from));
    }
    config.nat_addresses = nat_addresses(&config, addresses);
    Ok(config)
}

/// Addresses behind which NAT can hide workloads, where they are no sources. IPv6 is left out: it is hardly
/// ever translated, and where no IPv6 source matches, the programs need not read it.
fn nat_addresses(config: &Config, own: Vec<IpAddr>) -> Vec<IpAddr> {
    let is_source = |own: IpAddr| config.source_prefix(own).is_some();
    own.into_iter().filter(|own| own.is_ipv4() && !own.is_loopback() && !is_source(*own)).collect()
}
