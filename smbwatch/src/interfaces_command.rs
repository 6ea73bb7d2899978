//! `smbwatch interfaces`: every interface, its role, and what the kernel says is attached to it.

use std::collections::HashSet;
use std::io;

use anyhow::Context as _;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use rtnetlink::Handle;
use serde::Serialize;

use crate::config::interfaces::Interfaces;
use crate::probe::clsact;
use crate::probe::interfaces::Snapshot;
use crate::probe::roles::{Direction, Role, Verdict, verdict};
use crate::sink::Format;
use crate::table;

/// The beginning of the names of the programs that see clients' packets; the kernel cuts names.
const PROGRAM: &str = "smbwatch_egress";

/// One interface.
#[derive(Debug, Serialize)]
struct Row {
    index: u32,
    name: String,
    kind: String,
    role: Option<Role>,
    direction: Option<Direction>,
    attached: State,
    reason: Option<String>,
}

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Tcx,
    Clsact,
    No,
    /// This process may not ask.
    Unknown,
}

/// Lists the interfaces of this network namespace.
pub fn list(interfaces: &Interfaces, format: Format) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let rows = runtime.context("start the runtime")?.block_on(rows(interfaces))?;
    Ok(if format.is_text() { table(&rows) } else { serde_json::to_string_pretty(&rows)? + "\n" })
}

async fn rows(interfaces: &Interfaces) -> anyhow::Result<Vec<Row>> {
    let (connection, handle, _) = rtnetlink::new_connection().context("open rtnetlink")?;
    tokio::spawn(connection);
    let snapshot = Snapshot::take(&handle).await?;
    let clsact = clsact::interfaces(&handle).await?;
    let mut rows = Vec::new();
    for interface in snapshot.interfaces.values() {
        let (watch, reason) = match verdict(interface, &snapshot, interfaces) {
            Verdict::Watched(watch) => (Some(watch), None),
            Verdict::NotWatched(reason) => (None, Some(reason)),
        };
        let (attached, direction) = attached(&handle, interface.index, &interface.name, &clsact).await?;
        rows.push(Row {
            index: interface.index,
            name: interface.name.clone(),
            kind: interface
                .kind
                .clone()
                .unwrap_or_else(|| format!("{:?}", interface.link_type).to_lowercase()),
            role: watch.map(|watch| watch.role),
            direction: direction.or(watch.map(|watch| watch.direction)),
            attached,
            reason,
        });
    }
    Ok(rows)
}

/// What is attached, and at which hook it sees clients.
async fn attached(
    handle: &Handle,
    index: u32,
    name: &str,
    clsact: &HashSet<u32>,
) -> anyhow::Result<(State, Option<Direction>)> {
    let ways = [(TcAttachType::Egress, Direction::Egress), (TcAttachType::Ingress, Direction::Ingress)];
    let mut denied = false;
    for (hook, direction) in ways {
        match SchedClassifier::query_tcx(name, hook) {
            Ok((_, programs)) => {
                if programs.iter().any(|program| program.name().starts_with(PROGRAM.as_bytes())) {
                    return Ok((State::Tcx, Some(direction)));
                }
            }
            Err(error) => denied |= is_denied(&error),
        }
    }
    if clsact.contains(&index) {
        for (filters, (_, direction)) in clsact::filters(handle, index).await?.iter().zip(ways) {
            if filters.iter().any(|name| name.starts_with(PROGRAM)) {
                return Ok((State::Clsact, Some(direction)));
            }
        }
    }
    Ok((if denied { State::Unknown } else { State::No }, None))
}

/// A kernel without TCX refuses otherwise.
fn is_denied(error: &ProgramError) -> bool {
    matches!(error, ProgramError::SyscallError(error)
        if error.io_error.kind() == io::ErrorKind::PermissionDenied)
}

fn table(rows: &[Row]) -> String {
    let words = rows.iter().map(|row| {
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let state = match row.attached {
            State::Tcx => "tcx",
            State::Clsact => "clsact",
            State::No if row.reason.is_some() => "-",
            State::No => "not attached",
            State::Unknown => "not known (needs root)",
        };
        let reason = row.reason.as_deref().map(|reason| format!("; {reason}")).unwrap_or_default();
        [
            row.name.clone(),
            row.kind.clone(),
            text(row.role.map(|role| role.to_string())),
            text(row.direction.map(|direction| direction.to_string())),
            format!("{state}{reason}").trim_start_matches("-; ").to_owned(),
        ]
    });
    table::table(["INTERFACE", "KIND", "ROLE", "CLIENTS AT", "WATCHED BY"], words)
}
