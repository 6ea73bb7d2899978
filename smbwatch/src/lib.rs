//! The agent: it loads the programs, and turns their few records into alerts.
pub mod config;
pub mod ranges;
pub mod probe;
