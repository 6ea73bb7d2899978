//! Whether an event is SMB leaving toward the Internet.

use super::Event;
use crate::config::Config;

/// Whether `event` matches: TCP to a watched port or seen as SMB by Zeek, from `sources` to the Internet.
pub fn matches(config: &Config, event: &Event<'_>) -> bool {
    let watched = event.destination.port.is_some_and(|port| config.ports.contains(&port));
    event.is_tcp()
        && (watched || event.is_zeek_smb())
        && config.matches(event.source.address, event.destination.address)
}
