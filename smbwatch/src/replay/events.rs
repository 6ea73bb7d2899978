//! Events of other tools: from ECS documents to the stages behind the rule.

use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::SignedDuration;
use smbwatch_ebpf::flow::{self, Cause};

use super::{Options, Replay, Summary, name, open};
use crate::config::Config;
use crate::decode::printable;
use crate::enrich::process::Process;
use crate::enrich::who::{Method, Origin, SocketUser, Who};
use crate::observation::FlowObservation;
use crate::source::ecs::outcome::Outcome;
use crate::source::ecs::rule::matches;
use crate::source::ecs::{Documents, Event, Problem};

/// Errors that are told one by one; all are counted.
const TOLD: u64 = 20;
const BUFFER: usize = 1 << 16;

/// Replays a stream of documents. A line that cannot be read is told with its number, and passed over.
pub(super) fn replay(
    config: &Config,
    path: &Path,
    options: Options<'_>,
) -> anyhow::Result<(Summary, anyhow::Result<()>)> {
    let input = BufReader::with_capacity(BUFFER, open(path)?);
    let mut documents = Documents::open(input).with_context(|| name(path))?;
    let mut replay = Replay::new(config, options)?;
    let (mut unreadable, mut others, mut unmatched) = (0, 0, 0);
    let ended: anyhow::Result<()> = loop {
        match documents.next_document() {
            Ok(Some(document)) => {
                replay.read += 1;
                match document.event {
                    None => others += 1,
                    Some(event) if !matches(config, &event) => unmatched += 1,
                    Some(event) => replay.event(&event),
                }
            }
            Ok(None) => break Ok(()),
            Err(error) if matches!(error.problem, Problem::Read(_)) => break Err(error.into()),
            Err(error) => {
                replay.read += 1;
                unreadable += 1;
                if unreadable <= TOLD {
                    tracing::error!("{}: {error}", name(path));
                }
            }
        }
    };
    let passed_over = vec![
        (others, "are no events of two hosts".to_owned()),
        (unmatched, "do not match".to_owned()),
        (unreadable, "could not be read".to_owned()),
    ];
    let passed_over = passed_over.into_iter().filter(|(count, _)| *count > 0).collect();
    let ended = ended.with_context(|| name(path)).and_then(|()| match unreadable {
        0 => Ok(()),
        count => anyhow::bail!("{}: {count} lines could not be read", name(path)),
    });
    Ok((replay.close(Default::default(), passed_over, "documents"), ended))
}

impl Replay<'_> {
    fn event(&mut self, event: &Event<'_>) {
        let now = self.at(event.time);
        self.flows += 1;
        let sighting = sighting(event, self.rule.transfer());
        self.stages.observe_of(Box::new(sighting), origin(event), now);
        self.stages.release(now);
    }
}

/// The event as if its flow had been seen here, from somewhere in its middle.
fn sighting(event: &Event<'_>, transfer: u64) -> FlowObservation {
    let sent = event.source.bytes.unwrap_or(0);
    let mut marks = flow::MIDSTREAM;
    let mut cause = Cause::Attempted;
    match event.outcome {
        Outcome::Refused | Outcome::Denied | Outcome::Failed => {
            (marks, cause) = (marks | flow::REFUSED, Cause::Refused);
        }
        Outcome::Unanswered => (marks, cause) = (marks | flow::UNANSWERED, Cause::Unanswered),
        Outcome::Established => (marks, cause) = (marks | flow::ESTABLISHED, Cause::Established),
        Outcome::Unknown => {}
    }
    if event.is_zeek_smb() || event.protocol.as_deref() == Some("smb") {
        (marks, cause) = (marks | flow::SMB | flow::ESTABLISHED, Cause::Smb);
    }
    if transfer != 0 && sent >= transfer {
        (marks, cause) = (marks | flow::TRANSFER | flow::ESTABLISHED, Cause::Transfer);
    }
    let before = |nanoseconds: u64| {
        let nanoseconds = i64::try_from(nanoseconds).unwrap_or(0);
        event.time.checked_sub(SignedDuration::from_nanos(nanoseconds)).unwrap_or(event.time)
    };
    let started = event.start.or_else(|| event.duration.map(before)).unwrap_or(event.time);
    FlowObservation {
        time: event.time,
        started: started.min(event.time),
        handshake: None,
        cause,
        marks,
        source: (event.source.address, event.source.port.unwrap_or(0)).into(),
        destination: (event.destination.address, event.destination.port.unwrap_or(0)).into(),
        initial_sequence: 0,
        interface: super::INTERFACE,
        vlans: [0; 2],
        packets: event.source.packets.unwrap_or(0),
        bytes: sent,
        sent,
        received: event.destination.bytes.unwrap_or(0),
        cookie: None,
        cgroup: None,
        uid: None,
        owner: None,
        lost: 0,
    }
}

/// Where the event came from, and who it says it was.
fn origin(event: &Event<'_>) -> Origin {
    let text =
        |text: &Option<std::borrow::Cow<'_, str>>| text.as_ref().map(|text| printable(text.as_bytes()));
    let user_id = event.user.id.as_ref().and_then(|id| id.parse().ok());
    let process = event.process.pid.map(|pid| {
        Arc::new(Process {
            pid,
            tid: pid,
            name: text(&event.process.name).unwrap_or_default(),
            executable: text(&event.process.executable),
            uid: user_id.unwrap_or(0),
            user: text(&event.user.name),
            ..Process::default()
        })
    });
    let user = user_id.map(|id| SocketUser { id, name: text(&event.user.name) });
    let method = if process.is_some() { Method::Document } else { Method::None };
    Origin {
        host: text(&event.host),
        observer: text(&event.observer.name).or_else(|| text(&event.observer.product)),
        event: text(&event.id),
        who: Who { method, process, user, ..Who::default() },
    }
}
