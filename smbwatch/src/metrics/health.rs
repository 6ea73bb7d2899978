//! Whether the agent does its work, in a status and a sentence.

use hyper::StatusCode;

use super::scrapes::PATIENCE;
use super::snapshot::Snapshot;

/// Judges a snapshot, or that the pipeline has made none.
pub(super) fn of(snapshot: Option<&Snapshot>) -> (StatusCode, String) {
    let Some(snapshot) = snapshot else {
        let reason = format!("records are not read: the pipeline has not answered within {PATIENCE:?}");
        return (StatusCode::SERVICE_UNAVAILABLE, reason);
    };
    let interfaces = &snapshot.interfaces;
    let attached: u64 = interfaces.attached.values().sum();
    let mut told = format!("{attached} interfaces are watched");
    if interfaces.waiting > 0 {
        told += &format!(", {} wait to be", interfaces.waiting);
    }
    if interfaces.refused > 0 {
        told += &format!(", {} could not be attached", interfaces.refused);
    }
    let status = if attached > 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, told)
}
