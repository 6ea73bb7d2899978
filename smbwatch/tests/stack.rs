//! The programs' stack fits the kernels that count it most strictly.
//!
//! All frames of a chain of calls share 512 bytes. Since Linux 6.8, where programs are compiled, a frame
//! is rounded up to 16 bytes; before, and where they are interpreted, to 32 (`check_max_stack_depth` in
//! kernel/bpf/verifier.c). So a program that this kernel takes may be one that Linux 5.10 refuses.

use std::collections::{BTreeMap, HashSet};

use aya_obj::Object;
use aya_obj::generated::bpf_insn;

const LIMIT: usize = 512;
const ROUND: usize = 32;
const FRAME_POINTER: u8 = 10;

#[test]
fn every_chain_of_calls_fits_kernels_that_round_frames_up_to_32_bytes() {
    let mut object = Object::parse(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/smbwatch.bpf.o")))
        .expect("the object");
    let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_calls(&text).expect("link the programs");
    assert!(!object.programs.is_empty());
    for (name, program) in &object.programs {
        let function = &object.functions[&program.function_key()];
        let depth = Frames::of(&function.instructions).depth(0);
        eprintln!("{name}: {depth} bytes");
        assert!(depth <= LIMIT, "{name} needs {depth} bytes of stack where frames are rounded up to {ROUND}");
    }
}

/// The functions of a linked program, by their first instruction.
struct Frames(BTreeMap<usize, Frame>);

/// A function: the bytes of stack that it touches, and what it calls.
#[derive(Default)]
struct Frame {
    size: usize,
    calls: Vec<usize>,
}

impl Frames {
    fn of(instructions: &[bpf_insn]) -> Self {
        let calls = instructions
            .iter()
            .enumerate()
            .filter_map(|(at, instruction)| Some((at, callee(at, instruction)?)));
        let calls: Vec<(usize, usize)> = calls.collect();
        let mut frames = BTreeMap::from([(0, Frame::default())]);
        frames.extend(calls.iter().map(|(_, callee)| (*callee, Frame::default())));
        let mut around = |at: usize, change: &mut dyn FnMut(&mut Frame)| {
            if let Some((_, frame)) = frames.range_mut(..=at).next_back() {
                change(frame);
            }
        };
        for (at, callee) in calls {
            around(at, &mut |frame| frame.calls.push(callee));
        }
        for (at, pair) in instructions.windows(2).enumerate() {
            around(at, &mut |frame| frame.size = frame.size.max(touched(&pair[0], &pair[1])));
        }
        Self(frames)
    }

    fn depth(&self, first: usize) -> usize {
        let frame = &self.0[&first];
        let below = frame.calls.iter().map(|callee| self.depth(*callee)).max().unwrap_or(0);
        frame.size.max(1).next_multiple_of(ROUND) + below
    }
}

/// Where a call of another function of the program leads (BPF_JMP | BPF_CALL from BPF_PSEUDO_CALL).
fn callee(at: usize, instruction: &bpf_insn) -> Option<usize> {
    (instruction.code == 0x85 && instruction.src_reg() == 1)
        .then(|| at.checked_add_signed(instruction.imm as isize + 1).expect("within the program"))
}

/// How far below the frame pointer an access reaches, or an address that the next instruction makes.
fn touched(instruction: &bpf_insn, next: &bpf_insn) -> usize {
    let class = instruction.code & 0x07;
    let offset = match class {
        // Loads address by their source, stores by their destination.
        0x01 if instruction.src_reg() == FRAME_POINTER => i32::from(instruction.off),
        0x02 | 0x03 if instruction.dst_reg() == FRAME_POINTER => i32::from(instruction.off),
        // rX = r10; rX += constant
        0x07 if instruction.code == 0xbf
            && instruction.src_reg() == FRAME_POINTER
            && next.code == 0x07
            && next.dst_reg() == instruction.dst_reg() =>
        {
            next.imm
        }
        _ => 0,
    };
    usize::try_from(-offset).unwrap_or(0)
}
