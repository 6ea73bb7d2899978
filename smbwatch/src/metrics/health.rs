//! Whether the agent does its work, in a status and a sentence.

use hyper::StatusCode;

use super::scrapes::PATIENCE;
use super::snapshot::{Interfaces, Snapshot};

/// Judges a snapshot, or that the pipeline has made none.
pub(super) fn of(snapshot: Option<&Snapshot>) -> (StatusCode, String) {
    let Some(snapshot) = snapshot else {
        let reason = format!("records are not read: the pipeline has not answered within {PATIENCE:?}");
        return (StatusCode::SERVICE_UNAVAILABLE, reason);
    };
    let Interfaces { attached, refused, waiting } = &snapshot.interfaces;
    let watched: u64 = attached.values().sum();
    let status = if watched > 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("interfaces: {watched} watched, {waiting} waiting, {refused} refused"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Attached;
    use crate::probe::roles::Role;

    #[test]
    fn it_is_well_while_it_watches_something() {
        for (attached, waiting, refused, status, told) in [
            (1, 0, 0, 200, "interfaces: 1 watched, 0 waiting, 0 refused"),
            (0, 0, 0, 503, "interfaces: 0 watched, 0 waiting, 0 refused"),
            (0, 3, 0, 503, "interfaces: 0 watched, 3 waiting, 0 refused"),
            (1, 2, 3, 200, "interfaces: 1 watched, 2 waiting, 3 refused"),
        ] {
            let attached = [((Role::Uplink, Attached::Tcx), attached)].into();
            let interfaces = Interfaces { attached, refused, waiting };
            let health = of(Some(&Snapshot { interfaces, ..Snapshot::default() }));
            assert_eq!((health.0.as_u16(), health.1.as_str()), (status, told));
        }
        assert_eq!(of(None).0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
