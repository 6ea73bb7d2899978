//! The agent: it loads the programs, and turns their few records into alerts.

// In the order in which data flows.
pub mod cli;
mod messages;
pub mod config;
pub mod ranges;
pub mod explain;
mod table;
pub mod ask;
pub mod explain_command;
pub mod exceptions_command;
pub mod interfaces_command;
pub mod probe;
pub mod source;
pub mod decode;
pub mod observation;
pub mod correlate;
pub mod reassemble;
pub mod smb;
pub mod converse;
pub mod runtime;
pub mod enrich;
pub mod judge;
pub mod except;
pub mod scan;
pub mod suppress;
pub mod novelty;
pub mod alert;
pub mod sink;
pub mod metrics;
pub mod pipeline;
pub mod replay;
