//! The programs in the kernel: load them, attach them, and read their counters.

mod attach;
mod btf;
pub(crate) mod cgroup;
pub mod clsact;
mod error;
mod excepted;
mod flows;
pub mod interfaces;
mod lock;
mod memory;
mod owners;
mod permission;
pub mod plan;
pub mod roles;
pub mod routes;
mod tables;

use std::collections::HashMap;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::maps::{Array, MapData, PerCpuArray, RingBuf};
use aya::programs::{Program, ProgramError, SchedClassifier};
use aya::{Ebpf, EbpfLoader};
use ipnet::IpNet;
use smbwatch_ebpf::layout::{LAYOUT, Layout};
use smbwatch_ebpf::settings::{self, Settings, counter};
use smbwatch_ebpf::skip::Skip;

use crate::config::{BackEnd, Config};
pub use attach::{Attached, is_free_of_tcx};
pub use error::Error;
use excepted::{Excepted, Slots};
pub use flows::Flows;
use interfaces::Layer;
pub use lock::Lock;
pub use memory::let_go_of_program;
pub use permission::check_permission;
use plan::Target;
pub use tables::settings;

/// The compiled programs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/smbwatch.bpf.o"));

/// The classifiers for interfaces with an Ethernet header, by the names of their functions.
const ETHERNET: [&str; 2] = ["smbwatch_egress", "smbwatch_reply"];
/// The classifiers for those without.
const IP: [&str; 2] = ["smbwatch_egress_l3", "smbwatch_reply_l3"];

/// Loaded programs. Dropping it detaches them all.
pub struct Probe {
    bpf: Ebpf,
    counters: PerCpuArray<MapData, [u64; counter::COUNT]>,
    excepted: Excepted,
    /// What is attached, by the interface's index. A link ends when it is dropped.
    links: HashMap<u32, attach::Links>,
    run_dir: PathBuf,
}

/// What the programs have counted, over all CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flow records put into the ring.
    pub flow_sent: u64,
    /// Flow records that found no place in it.
    pub flow_lost: u64,
    /// Connect records put into the ring.
    pub connect_sent: u64,
    /// Connect records that found no place in it.
    pub connect_lost: u64,
    /// Payload records that found no place in it.
    pub payload_lost: u64,
    /// Packets that could not be judged, by reason, in the order of [`Skip::COUNTED`].
    pub skipped: [u64; Skip::COUNTED.len()],
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        let Self { flow_sent, flow_lost, connect_sent, connect_lost, payload_lost, skipped } = other;
        self.flow_sent += flow_sent;
        self.flow_lost += flow_lost;
        self.connect_sent += connect_sent;
        self.connect_lost += connect_lost;
        self.payload_lost += payload_lost;
        self.skipped.iter_mut().zip(skipped).for_each(|(sum, count)| *sum += count);
    }
}

/// What the kernel has counted of a program, while `kernel.bpf_stats_enabled` is 1.
#[derive(Clone, Debug)]
pub struct Runs {
    /// The program's name.
    pub program: String,
    /// How often it ran.
    pub count: u64,
    /// How long it ran altogether.
    pub time: Duration,
}

impl Probe {
    /// Loads the programs to run them on packets of a capture, at times that are told to them.
    pub fn load_for_replay(config: &Config, run_dir: &Path) -> Result<Self, Error> {
        error::check_kernel()?;
        let settings = Settings { replay: 1, ..tables::settings(config) };
        let mut probe = Self::load_with(config, &settings, &Layout::default(), None, run_dir)
            .map_err(|error| error::refused(error, run_dir))?;
        load_programs(&mut probe.bpf, |name| IP.contains(&name))
            .map_err(|error| error::refused(error, run_dir))?;
        Ok(probe)
    }

    /// Loads the programs and fills their tables. A verifier's refusal is written to `run_dir`.
    pub fn load(config: &Config, run_dir: &Path) -> Result<Self, Error> {
        Self::load_after(config, None, run_dir)
    }

    /// The same for programs that go on with the flows of others.
    pub fn load_after(config: &Config, flows: Option<Flows>, run_dir: &Path) -> Result<Self, Error> {
        error::check_kernel()?;
        let settings = tables::settings(config);
        let loaded = match btf::layout() {
            Some(layout) => match Self::load_with(config, &settings, &layout, flows, run_dir) {
                // A kernel in lockdown lets no program read its memory.
                Err(error) if !error::is_permission(&error) => Err(error.root_cause().to_string()),
                loaded => Ok(loaded),
            },
            None => Err(format!("{} does not tell", btf::VMLINUX)),
        };
        let loaded = loaded.unwrap_or_else(|reason| {
            tracing::warn!(
                "how the kernel keeps processes is not known ({reason}): one that ends right after it \
                 connects may go without executable and arguments"
            );
            Self::load_with(config, &settings, &Layout::default(), flows, run_dir)
        });
        memory::trim();
        loaded.map_err(|error| error::refused(error, run_dir))
    }

    fn load_with(
        config: &Config,
        settings: &Settings,
        layout: &Layout,
        flows: Option<Flows>,
        run_dir: &Path,
    ) -> anyhow::Result<Self> {
        let settings: Vec<u8> = settings.to_bytes().collect();
        let layout: Vec<u8> = layout.to_bytes().collect();
        let log_level = log::max_level() as u8;
        let mut bpf = EbpfLoader::new()
            .btf(None)
            .override_global(aya_log::LEVEL, &log_level, true)
            .override_global(settings::SETTINGS, settings.as_slice(), true)
            .override_global(LAYOUT, layout.as_slice(), true)
            .map_max_entries("FLOWS4", config.flows)
            .map_max_entries("FLOWS6", config.flows.div_ceil(2))
            .map_max_entries("EVENTS", config.ring_bytes)
            .map_max_entries("EXCEPTED", excepted::room_for(config))
            .load(OBJECT)?;
        let mut slots = Slots::default();
        tables::fill(&mut bpf, config, &mut slots)?;
        if let Some(flows) = flows {
            flows.copy_to(&mut bpf)?;
        }
        load_programs(&mut bpf, |name| {
            ETHERNET.contains(&name) || (config.owners && owners::HOOKS.contains(&name))
        })?;
        let counters = map(&mut bpf, "COUNTERS")?;
        let excepted = Excepted::new(map(&mut bpf, "EXCEPTED")?, slots);
        Ok(Self { bpf, counters, excepted, links: HashMap::new(), run_dir: run_dir.to_owned() })
    }

    /// Turns from one configuration to another without a moment in which what matches by both goes unseen. False
    /// where that takes programs that are loaded anew.
    pub fn change(&mut self, old: &Config, new: &Config) -> Result<bool, Error> {
        let same = tables::settings(old) == tables::settings(new)
            && (old.flows, old.ring_bytes, old.owners, old.back_end)
                == (new.flows, new.ring_bytes, new.owners, new.back_end);
        if same {
            tables::change(&mut self.bpf, old, new, &mut self.excepted.slots).map_err(Error::Bpf)?;
        }
        Ok(same)
    }

    /// The flows that the programs know, for those that succeed them.
    pub fn flows(&self) -> Result<Flows, Error> {
        Flows::of(&self.bpf).map_err(Error::Bpf)
    }

    /// Hooks every `connect` of the host, to learn who opens sockets.
    pub fn attach_owners(&mut self) -> Result<(), Error> {
        owners::attach(&mut self.bpf)
    }

    /// Loads now what these interfaces need, and not while the first of them waits for it.
    pub fn prepare(&mut self, targets: &[Target]) -> Result<(), Error> {
        if !targets.iter().any(|target| target.interface.layer() == Layer::Ip) {
            return Ok(());
        }
        load_programs(&mut self.bpf, |name| IP.contains(&name))
            .map_err(|error| error::refused(error, &self.run_dir))
    }

    /// Watches an interface. What was attached to it otherwise ends after the new has begun.
    pub fn attach(&mut self, target: &Target, back_end: BackEnd) -> Result<Attached, Error> {
        let (links, how) = attach::attach(&mut self.bpf, target, back_end, &self.run_dir)?;
        self.links.insert(target.interface.index, links);
        Ok(how)
    }

    /// Watches an interface no more, or forgets one that is gone; says whether it was watched.
    pub fn detach(&mut self, index: u32) -> bool {
        self.links.remove(&index).is_some()
    }

    /// Detaches everything. Counters and ring stay, for what is still to be read.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the object holds these two kinds of programs")]
    pub fn detach_all(&mut self) {
        self.links.clear();
        for (_, program) in self.bpf.programs_mut() {
            // A link that is gone already is as good as detached.
            let _ = match program {
                Program::SchedClassifier(program) => program.unload(),
                Program::CgroupSockAddr(program) => program.unload(),
                _ => Ok(()),
            };
        }
    }

    /// The ring of records; there is one, so the second call fails.
    pub fn ring(&mut self) -> Result<RingBuf<MapData>, Error> {
        map(&mut self.bpf, "EVENTS").map_err(Error::Bpf)
    }

    /// The clock of programs that were loaded for a replay, in nanoseconds; there is one, so the second call
    /// fails.
    pub fn clock(&mut self) -> Result<Array<MapData, u64>, Error> {
        map(&mut self.bpf, "CLOCK").map_err(Error::Bpf)
    }

    /// A classifier, for a test that runs it on packets of its own.
    pub fn classifier(&mut self, name: &str) -> Result<&mut SchedClassifier, Error> {
        classifier(&mut self.bpf, name).map_err(Error::Bpf)
    }

    /// Sends the rare messages of the programs to the log; off, they cost nothing.
    pub fn log(&mut self) -> Result<aya_log::EbpfLogger<&'static dyn log::Log>, Error> {
        aya_log::EbpfLogger::init(&mut self.bpf).map_err(|error| Error::Bpf(error.into()))
    }

    /// How often each program has run, and for how long, where the kernel counts that.
    pub fn runs(&self) -> Vec<Runs> {
        let loaded = self.bpf.programs().filter_map(|(name, program)| Some((name, program.info().ok()?)));
        loaded
            .filter(|(_, info)| info.run_count() > 0)
            .map(|(name, info)| Runs {
                program: name.to_owned(),
                count: info.run_count(),
                time: info.run_time(),
            })
            .collect()
    }

    /// Packets to the exception of this range, as far as it has a counter.
    pub fn excepted(&self, range: IpNet) -> Option<u64> {
        self.excepted.packets(range)
    }

    /// The same for every range that has one.
    pub fn all_excepted(&self) -> impl Iterator<Item = (IpNet, u64)> {
        self.excepted.all()
    }

    /// What the programs have counted so far.
    pub fn counters(&self) -> Result<Counters, Error> {
        let cpus = self.counters.get(&0, 0).map_err(|error| Error::Bpf(error.into()))?;
        let sum = |index: usize| cpus.iter().filter_map(|counters| counters.get(index)).sum();
        let mut counters = Counters {
            flow_sent: sum(counter::FLOW_SENT),
            flow_lost: sum(counter::FLOW_LOST),
            connect_sent: sum(counter::CONNECT_SENT),
            connect_lost: sum(counter::CONNECT_LOST),
            payload_lost: sum(counter::PAYLOAD_LOST),
            ..Counters::default()
        };
        for (index, value) in (counter::SKIPS..).zip(&mut counters.skipped) {
            *value = sum(index);
        }
        Ok(counters)
    }
}

/// Loads programs side by side: nearly all of the time goes into the kernel's verifier.
fn load_programs(bpf: &mut Ebpf, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let wanted = bpf.programs_mut().filter(|(name, _)| wanted(name));
    std::thread::scope(|scope| {
        let loading: Vec<_> = wanted.map(|(_, program)| scope.spawn(|| load(program))).collect();
        loading.into_iter().try_for_each(|thread| match thread.join() {
            Ok(loaded) => Ok(loaded?),
            Err(_) => anyhow::bail!("a thread that loaded a program panicked"),
        })
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the object holds these two kinds of programs")]
fn load(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::SchedClassifier(program) if program.fd().is_err() => program.load(),
        Program::CgroupSockAddr(program) if program.fd().is_err() => program.load(),
        _ => Ok(()),
    }
}

fn classifier<'a>(bpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut SchedClassifier> {
    let program =
        bpf.program_mut(name).ok_or_else(|| anyhow::anyhow!("no program `{name}` in the object"))?;
    load(program)?;
    Ok(program.try_into()?)
}

fn map<T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>>(
    bpf: &mut Ebpf,
    name: &str,
) -> anyhow::Result<T> {
    let map = bpf.take_map(name).ok_or_else(|| anyhow::anyhow!("no map `{name}` in the object, or taken"))?;
    Ok(T::try_from(map)?)
}
