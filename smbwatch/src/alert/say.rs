//! What an alert says in words.

use crate::alert::Finding;
use crate::alert::spoken;
use crate::alert::text::size;
use crate::enrich::who::Who;
use crate::judge::{Grade, Judgement, Outcome};
use crate::scan::Scan;
use crate::smb::{Dialogue, Protocol};

/// `event.action` and `event.outcome`.
pub(super) const fn action(judgement: &Judgement) -> (&'static str, &'static str) {
    if judgement.ended {
        return ("connection-ended", "success");
    }
    match (judgement.grade, judgement.outcome) {
        (Grade::Transferring, _) => ("data-transferring", "success"),
        (Grade::Authenticated, _) => ("identity-sent", "success"),
        (Grade::Smb, _) => ("smb-spoken", "success"),
        (Grade::Established, _) => ("connection-established", "success"),
        (Grade::Attempted, Outcome::Refused) => ("connection-refused", "failure"),
        (Grade::Attempted, Outcome::Unanswered) => ("connection-unanswered", "failure"),
        (Grade::Attempted, Outcome::Pending | Outcome::Connected) => ("connection-attempted", "unknown"),
    }
}

/// The same of a scan.
pub(super) const fn scan(scan: &Scan) -> (&'static str, &'static str) {
    (if scan.again { "scan-continued" } else { "scan-detected" }, "unknown")
}

/// One sentence that says what happened.
pub(super) fn reason(finding: &Finding<'_>) -> String {
    let over: Vec<&str> = finding.seen.iter().map(|seen| seen.interface.as_str()).collect();
    let subject = subject(finding.who);
    let destination = finding.sighting.destination;
    if let Some(scan) = finding.scan {
        let Scan { destinations, connections, .. } = scan;
        let more = if scan.more { "more than " } else { "" };
        let seconds = finding.sighting.time.duration_since(scan.start).as_secs().max(1);
        return format!(
            "{subject} has tried {more}{destinations} destinations by {connections} connections in {seconds} s, \
             {destination} the latest"
        );
    }
    let since = match finding.since.repeats {
        0 => String::new(),
        repeats => format!(", and {repeats} times more since the last alert"),
    };
    let listed = finding
        .peer
        .threat
        .as_ref()
        .map(|threat| format!("; {} is listed by {}", threat.prefix, threat.list));
    let listed = listed.unwrap_or_default();
    format!(
        "{subject} {} {destination} over {}{}{since}{listed}",
        what(finding),
        over.join(" and "),
        speaking(finding)
    )
}

fn what(finding: &Finding<'_>) -> String {
    let Judgement { grade, outcome, ended, .. } = finding.judgement;
    let sent = || size(finding.sighting.sent);
    let what = match (grade, outcome) {
        _ if ended => return format!("ended its connection after {} sent to", sent()),
        (Grade::Transferring, _) => return format!("has sent {} to", sent()),
        (Grade::Authenticated, _) => return format!("sent {} to", identity(finding.dialogue)),
        (Grade::Smb, _) => "spoke SMB with",
        (Grade::Established, _) => "connected to",
        (Grade::Attempted, Outcome::Refused) => "was refused by",
        (Grade::Attempted, Outcome::Unanswered) => "got no answer from",
        (Grade::Attempted, Outcome::Pending | Outcome::Connected) => "tried to connect to",
    };
    what.to_owned()
}

/// The identity that left: `the NTLM identity CORP\alice`.
fn identity(dialogue: Option<&Dialogue>) -> String {
    let Some(logon) = dialogue.and_then(spoken::identity) else { return "an identity".to_owned() };
    if let Some(ticket) = &logon.ticket {
        return format!("a Kerberos ticket for {} of {}", ticket.service, ticket.realm);
    }
    let user = logon.identity.user.as_deref().unwrap_or("?");
    let domain = logon.identity.domain.as_ref().map(|domain| format!("{domain}\\")).unwrap_or_default();
    format!("the NTLM identity {domain}{user}")
}

/// What there is to say of the protocol.
fn speaking(finding: &Finding<'_>) -> &'static str {
    let Some(dialogue) = finding.dialogue else { return "" };
    match dialogue.protocol {
        Some(Protocol::Tls) => ", which is not SMB but TLS",
        Some(Protocol::Http) => ", which is not SMB but HTTP",
        Some(Protocol::Ssh) => ", which is not SMB but SSH",
        Some(Protocol::Other) => ", which is not SMB",
        Some(Protocol::Smb) if spoken::is_smb1(dialogue) => ", by SMB 1",
        Some(Protocol::Smb) | None => "",
    }
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
