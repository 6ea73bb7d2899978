//! What the kernel and the agent agree on: the packet parser, the rule, flow states and wire types.
//!
//! Nothing here allocates, panics or indexes, and nothing depends on BPF: the same code runs in the
//! kernel and in tests on the host.
#![cfg_attr(not(feature = "testing"), no_std)]

pub mod packet;
pub mod parse;
pub mod skip;
pub mod rule;
pub mod decide;
pub mod flow;
pub mod wire;
pub mod owner;
pub mod event;
pub mod settings;
pub mod layout;
#[cfg(feature = "testing")]
pub mod testing;
