//! What sinks are given of an alert.

mod cef;
mod journal;
mod otlp;
mod syslog;

use std::io;

use super::stored::Stored;
use crate::alert::{Document, text};
pub(super) use journal::journal;
pub(super) use otlp::otlp;
pub(super) use syslog::syslog;

/// One line, with its line break: readable text, or JSON.
pub(super) fn line(document: &Document, text: bool) -> io::Result<Vec<u8>> {
    let mut line = if text { text::line(document).into_bytes() } else { serde_json::to_vec(document)? };
    line.push(b'\n');
    Ok(line)
}

/// A JSON document a line.
pub(super) fn lines(alerts: &[Stored]) -> Vec<u8> {
    alerts.iter().flat_map(|alert| [alert.json.as_slice(), b"\n"]).flatten().copied().collect()
}

/// Action and document as a line each, for `_bulk`. The identifier keeps a document from being there twice.
pub(super) fn bulk(alerts: &[Stored]) -> Vec<u8> {
    let mut lines = Vec::new();
    for alert in alerts {
        let action = serde_json::json!({ "create": { "_id": alert.open().text("/event/id") } });
        lines.extend(action.to_string().into_bytes());
        lines.push(b'\n');
        lines.extend(&alert.json);
        lines.push(b'\n');
    }
    lines
}

/// The severity as syslog and the journal have it.
const fn priority(severity: u8) -> u8 {
    const NOTICE: u8 = 5;
    const WARNING: u8 = 4;
    const ERROR: u8 = 3;
    const CRITICAL: u8 = 2;
    match severity {
        0..=21 => NOTICE,
        22..=47 => WARNING,
        48..=73 => ERROR,
        74.. => CRITICAL,
    }
}
