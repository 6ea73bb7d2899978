//! The real programs in the running kernel, one packet at a time (BPF_PROG_TEST_RUN).

use std::env;
use std::path::PathBuf;
use std::process::id;

use aya::maps::{MapData, RingBuf};
use aya::programs::{ProgramError, TestRun as _, TestRunOptions};
use smbwatch::config::Config;
use smbwatch::probe::{Counters, Error, Probe};
use smbwatch_ebpf::event::{self, FlowEvent, PayloadEvent};
use smbwatch_ebpf::parse::Link;
use smbwatch_ebpf::skip::Skip;

use super::skip::skip;

/// The shortest packet that a test run takes.
pub const SHORTEST: usize = 14;
/// What every program returns for every packet.
pub const UNSPEC: u32 = u32::MAX;
/// The test run's packets are at the loopback interface.
pub const INTERFACE: u32 = 1;

const CLASSIFIERS: [&str; 4] =
    ["smbwatch_egress", "smbwatch_egress_l3", "smbwatch_reply", "smbwatch_reply_l3"];

/// Loaded programs, attached to nothing.
pub struct Kernel {
    probe: Probe,
    ring: RingBuf<MapData>,
    folder: PathBuf,
    skipped: [u64; Skip::COUNTED.len()],
}

/// What a program made of a packet.
#[derive(Debug)]
pub struct Ran {
    pub verdict: u32,
    pub records: Vec<FlowEvent>,
    pub payloads: Vec<Payload>,
    /// Counted skips.
    pub skipped: Vec<Skip>,
}

/// Payload that was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    pub event: PayloadEvent,
    pub bytes: Vec<u8>,
}

/// Fields of `struct __sk_buff` (linux/bpf.h) that a test run takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    pub gso_size: u32,
    pub gso_segs: u32,
    pub wire_len: u32,
    /// Where the linear part ends; 0 is the end of the packet.
    pub data_end: u32,
}

impl Context {
    const SIZE: usize = 192;

    fn bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (offset, value) in
            [(80, self.data_end), (160, self.wire_len), (164, self.gso_segs), (176, self.gso_size)]
        {
            bytes[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    }
}

impl Kernel {
    /// Loads the programs; none where that is not permitted, and `test` is noted as skipped.
    pub fn load(test: &str, config: &Config) -> Option<Self> {
        let folder = env::temp_dir().join(format!("smbw-t-{}-{test}", id()));
        let mut probe = match Probe::load(config, &folder) {
            Ok(probe) => probe,
            Err(Error::Permission) => {
                skip(test, "cannot load BPF programs");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        for name in CLASSIFIERS {
            let program = probe.classifier(name).expect(name);
            if program.fd().is_err() {
                program.load().unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
        let ring = probe.ring().expect("the ring");
        Some(Self { probe, ring, folder, skipped: [0; Skip::COUNTED.len()] })
    }

    /// How many instructions the verifier has followed for each program, where it tells (Linux 5.16).
    pub fn verified(&mut self) -> Vec<(&'static str, u32)> {
        let verified = CLASSIFIERS.into_iter().filter_map(|name| {
            let info = self.probe.classifier(name).expect(name).info().expect(name);
            Some((name, info.verified_instruction_count()?))
        });
        verified.collect()
    }

    /// Whether a test run takes `packet`: an Ethernet header, and the IP header that it announces.
    pub fn takes(packet: &[u8]) -> bool {
        let shortest = match packet.get(12..SHORTEST) {
            None => return false,
            Some([0x08, 0x00]) => SHORTEST + 20,
            Some([0x86, 0xdd]) => SHORTEST + 40,
            Some(_) => SHORTEST,
        };
        packet.len() >= shortest
    }

    /// Runs the program for packets that leave.
    pub fn egress(&mut self, link: Link, packet: &[u8]) -> Ran {
        self.run(if link == Link::Ethernet { "smbwatch_egress" } else { "smbwatch_egress_l3" }, packet)
    }

    /// Runs the program for answers.
    pub fn reply(&mut self, link: Link, packet: &[u8]) -> Ran {
        self.run(if link == Link::Ethernet { "smbwatch_reply" } else { "smbwatch_reply_l3" }, packet)
    }

    fn run(&mut self, program: &str, packet: &[u8]) -> Ran {
        self.run_in(program, packet, None).expect("run a program")
    }

    /// Runs a program with fields of the buffer set, if this kernel lets them be.
    pub fn run_in(
        &mut self,
        program: &str,
        packet: &[u8],
        context: Option<Context>,
    ) -> Result<Ran, ProgramError> {
        let context = context.map(Context::bytes);
        let options = TestRunOptions {
            data_in: Some(packet),
            ctx_in: context.as_ref().map(<[u8; Context::SIZE]>::as_slice),
            ..TestRunOptions::default()
        };
        let verdict = self.probe.classifier(program).expect(program).test_run(options)?.return_value;
        let before = self.skipped;
        self.skipped = self.counters().skipped;
        let skips = before.iter().zip(self.skipped).zip(Skip::COUNTED);
        let skipped = skips.flat_map(|((before, after), skip)| (*before..after).map(move |_| skip)).collect();
        let (records, payloads) = self.records();
        Ok(Ran { verdict, records, payloads, skipped })
    }

    /// Runs a program and leaves the ring and the counters alone.
    pub fn run_blind(&mut self, program: &str, packet: &[u8]) {
        let options = TestRunOptions { data_in: Some(packet), ..TestRunOptions::default() };
        self.probe.classifier(program).expect(program).test_run(options).expect("run a program");
    }

    /// All records that wait in the ring.
    pub fn records(&mut self) -> (Vec<FlowEvent>, Vec<Payload>) {
        let (mut records, mut payloads) = (Vec::new(), Vec::new());
        while let Some(record) = self.ring.next() {
            if record.first() == Some(&event::PAYLOAD) {
                let (event, bytes) = record.split_at(PayloadEvent::SIZE);
                let event = PayloadEvent::from_bytes(event).expect("a payload record");
                payloads.push(Payload { event, bytes: bytes.to_vec() });
            } else {
                records.push(FlowEvent::from_bytes(&record).expect("a flow record"));
            }
        }
        (records, payloads)
    }

    /// What the programs have counted.
    pub fn counters(&self) -> Counters {
        self.probe.counters().expect("the counters")
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // It is there only if the verifier had something to say.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
