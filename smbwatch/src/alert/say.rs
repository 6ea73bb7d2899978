//! What an alert says in words.

use crate::alert::Finding;
use crate::enrich::who::Who;
use crate::judge::{Grade, Judgement, Outcome};

/// `event.action` and `event.outcome`.
pub(super) const fn action(judgement: &Judgement) -> (&'static str, &'static str) {
    match (judgement.grade, judgement.outcome) {
        (Grade::Smb, _) => ("smb-spoken", "success"),
        (Grade::Established, _) => ("connection-established", "success"),
        (Grade::Attempted, Outcome::Refused) => ("connection-refused", "failure"),
        (Grade::Attempted, Outcome::Unanswered) => ("connection-unanswered", "failure"),
        (Grade::Attempted, Outcome::Pending | Outcome::Connected) => ("connection-attempted", "unknown"),
    }
}

/// One sentence that says what happened.
pub(super) fn reason(finding: &Finding<'_>) -> String {
    let Judgement { grade, outcome, .. } = finding.judgement;
    let what = match (grade, outcome) {
        (Grade::Smb, _) => "spoke SMB with",
        (Grade::Established, _) => "connected to",
        (Grade::Attempted, Outcome::Refused) => "was refused by",
        (Grade::Attempted, Outcome::Unanswered) => "got no answer from",
        (Grade::Attempted, Outcome::Pending | Outcome::Connected) => "tried to connect to",
    };
    let over: Vec<&str> = finding.seen.iter().map(|seen| seen.interface.as_str()).collect();
    let subject = subject(finding.who);
    format!("{subject} {what} {} over {}", finding.sighting.destination, over.join(" and "))
}

fn subject(who: &Who) -> String {
    match (who.process.as_deref(), who.mounts.first()) {
        (Some(process), _) => {
            let user = process.user.clone().unwrap_or_else(|| format!("user {}", process.uid));
            let path = process.executable.as_deref().unwrap_or(&process.name);
            format!("{path} (pid {}, {user}){}", process.pid, place(who))
        }
        (None, Some(mount)) => format!("The mount of {} on {}", mount.source, mount.path.display()),
        (None, None) if who.is_ambiguous() => {
            format!("One of {} processes{}", who.candidates.len(), place(who))
        }
        (None, None) => format!("An unknown process{}", place(who)),
    }
}

/// Where a process runs: ` in container web`, ` of ssh.service`.
pub(super) fn place(who: &Who) -> String {
    let container = who.container.as_deref();
    if let Some(pod) = container.and_then(|container| container.pod.as_ref()) {
        return format!(" in pod {}/{}", pod.namespace, pod.name);
    }
    if let Some(name) = container.and_then(|container| container.name.as_ref()) {
        return format!(" in container {name}");
    }
    if let Some(container) = &who.place.container {
        return format!(" in container {}", container.id.get(..12).unwrap_or(&container.id));
    }
    who.place.unit.as_ref().map(|unit| format!(" of {unit}")).unwrap_or_default()
}
