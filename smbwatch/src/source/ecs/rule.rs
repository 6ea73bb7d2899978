//! Whether an event is SMB leaving toward the Internet.

use super::Event;
use crate::config::Config;
use crate::explain::{destination_range, source_prefix};
use crate::ranges::Kind;

/// Whether `event` matches: TCP to a watched port or seen as SMB by Zeek, from `sources` to the Internet.
pub fn matches(config: &Config, event: &Event<'_>) -> bool {
    let watched = event.destination.port.is_some_and(|port| config.ports.contains(&port));
    event.is_tcp()
        && (watched || event.is_zeek_smb())
        && source_prefix(config, event.source.address).is_some()
        && destination_range(config, event.destination.address).is_none_or(|range| range.kind == Kind::Public)
}
