//! Attaches to interfaces as they come, one at a time, and lets go of those that went.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;

use crate::config::{BackEnd, Config};
use crate::enrich::Enricher;
use crate::metrics::snapshot::Interfaces;
use crate::probe::interfaces::Snapshot;
use crate::probe::plan::{Plan, Target, plan, targets};
use crate::probe::roles::Role;
use crate::probe::{self, Attached, Probe, is_free_of_tcx};

/// Interfaces that may wait for TCX, some 30 ms each.
const CROWD: usize = 16;

/// What is watched, and what is still to be done.
#[derive(Default)]
pub(super) struct Watcher {
    /// By index; those that were refused too, so that they are not tried again and again.
    watched: HashMap<u32, Target>,
    /// How those are attached that were not refused.
    attached: HashMap<u32, (Role, Attached)>,
    plan: Plan,
    /// The first interfaces are all attached.
    started: bool,
    /// Those of them that have clsact filters because there was no time for TCX.
    hurried: HashSet<u32>,
}

impl Watcher {
    /// Checks what is there at the start, and loads what it needs.
    pub(super) fn start(snapshot: &Snapshot, config: &Config, probe: &mut Probe) -> anyhow::Result<Self> {
        for name in &config.interfaces.names {
            let mut all = snapshot.interfaces.values().map(|interface| &interface.name);
            if !all.clone().any(|existing| existing == name) {
                let available = all.by_ref().cloned().collect();
                return Err(probe::Error::NoInterface { name: name.clone(), available }.into());
            }
        }
        let targets = targets(snapshot, &config.interfaces);
        if targets.is_empty() {
            tracing::warn!(
                "no interface is to be watched yet; waiting for one (`smbwatch interfaces` says what keeps \
                 each from being watched)"
            );
        }
        probe.prepare(&targets)?;
        let plan = plan(targets, &HashMap::new());
        Ok(Self { started: plan.attach.is_empty(), plan, ..Self::default() })
    }

    /// Watches the same by other programs, as far as another configuration wants it.
    pub(super) fn again(snapshot: &Snapshot, config: &Config, probe: &mut Probe) -> anyhow::Result<Self> {
        let targets = targets(snapshot, &config.interfaces);
        probe.prepare(&targets)?;
        Ok(Self { started: true, plan: plan(targets, &HashMap::new()), ..Self::default() })
    }

    /// Whether an interface is watched.
    pub(super) fn watches(&self, index: u32) -> bool {
        self.watched.contains_key(&index)
    }

    /// The interfaces that are watched.
    pub(super) fn into_indexes(self) -> Vec<u32> {
        self.watched.into_keys().collect()
    }

    /// Something waits to be attached.
    pub(super) fn has_work(&self) -> bool {
        !self.plan.attach.is_empty()
    }

    /// Lets go of what is gone, learns new names, and notes what is to be attached.
    pub(super) fn changed(
        &mut self,
        snapshot: &Snapshot,
        config: &Config,
        probe: &mut Probe,
        enricher: &mut Enricher,
    ) {
        self.plan = plan(targets(snapshot, &config.interfaces), &self.watched);
        for index in self.plan.detach.drain(..) {
            enricher.forget_interface(index);
            self.hurried.remove(&index);
            self.attached.remove(&index);
            if let Some(target) = self.watched.remove(&index)
                && probe.detach(index)
            {
                tracing::info!("detached from {}", target.interface.name);
            }
        }
        for target in self.plan.rename.drain(..) {
            let index = target.interface.index;
            enricher.interface(&target.interface, target.watch);
            if let Some(known) = self.watched.insert(index, target.clone()) {
                tracing::info!("{} is {} now", known.interface.name, target.interface.name);
            }
        }
    }

    /// How many interfaces are watched, and how.
    pub(super) fn interfaces(&self) -> Interfaces {
        let mut interfaces = Interfaces {
            refused: self.watched.keys().filter(|index| !self.attached.contains_key(index)).count() as u64,
            waiting: self.plan.attach.len() as u64,
            ..Interfaces::default()
        };
        for how in self.attached.values() {
            *interfaces.attached.entry(*how).or_default() += 1;
        }
        interfaces
    }

    /// Some interfaces were attached to in a hurry.
    pub(super) fn is_hurried(&self) -> bool {
        !self.hurried.is_empty()
    }

    /// Attaches by TCX where others have begun to use it: their programs could hide packets from our filters.
    pub(super) fn make_up(&mut self) {
        for index in &self.hurried {
            let Some(target) = self.watched.get(index) else { continue };
            if !self.plan.attach.contains(target) && !is_free_of_tcx(&target.interface.name) {
                self.plan.attach.push(target.clone());
            }
        }
    }

    /// TCX waits for the kernel at each hook of each interface; a crowd of workloads does not wait for that.
    fn back_end(&self, target: &Target, config: &Config) -> BackEnd {
        let hurry = self.plan.attach.len() > CROWD && target.watch.role == Role::Workload;
        if config.back_end == BackEnd::Auto && hurry && is_free_of_tcx(&target.interface.name) {
            BackEnd::Clsact
        } else {
            config.back_end
        }
    }

    /// Attaches to one interface. At the start a refusal is an error, later it is told.
    pub(super) fn attach_next(
        &mut self,
        config: &Config,
        probe: &mut Probe,
        enricher: &mut Enricher,
    ) -> anyhow::Result<()> {
        let Some(target) = self.plan.attach.pop() else { return Ok(()) };
        let back_end = self.back_end(&target, config);
        match probe.attach(&target, back_end) {
            Ok(how) => {
                if back_end == config.back_end {
                    self.hurried.remove(&target.interface.index);
                } else {
                    self.hurried.insert(target.interface.index);
                }
                enricher.interface(&target.interface, target.watch);
                announce(&target, how);
                self.attached.insert(target.interface.index, (target.watch.role, how));
                self.watched.insert(target.interface.index, target);
            }
            // Its next name, if it has one, comes with a message.
            Err(error @ probe::Error::Gone { .. }) => tracing::debug!("{error}"),
            Err(error) if !self.started => return Err(error).context("watch the interfaces"),
            Err(error) => {
                tracing::error!("{error}");
                self.watched.insert(target.interface.index, target);
            }
        }
        if self.plan.attach.is_empty() {
            self.started = true;
            tracing::debug!("all interfaces that are to be watched are");
        }
        Ok(())
    }
}

fn announce(target: &Target, how: Attached) {
    let role = match target.watch.role {
        Role::Uplink => "",
        Role::Workload => ", workload",
    };
    tracing::info!("attached to {} ({}{role})", target.interface.name, how.name());
}
