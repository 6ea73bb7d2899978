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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::snapshot::Interfaces;
    use crate::probe::Attached;
    use crate::probe::roles::Role;

    #[test]
    fn it_is_well_while_it_watches_something() {
        for (attached, waiting, refused, status, told) in [
            (2, 0, 0, 200, "2 interfaces are watched"),
            (0, 0, 0, 503, "0 interfaces are watched"),
            (0, 3, 0, 503, "0 interfaces are watched, 3 wait to be"),
            (1, 2, 3, 200, "1 interfaces are watched, 2 wait to be, 3 could not be attached"),
        ] {
            let attached = [((Role::Uplink, Attached::Tcx), attached)].into();
            let interfaces = Interfaces { attached, refused, waiting };
            let health = of(Some(&Snapshot { interfaces, ..Snapshot::default() }));
            assert_eq!((health.0.as_u16(), health.1.as_str()), (status, told));
        }
        assert_eq!(of(None).0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
