//! The life of flows: tables of what is told when, and counters compared with a simulated dialogue.

mod dialogue;
mod states;
