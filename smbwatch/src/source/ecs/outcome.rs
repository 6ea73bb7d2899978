//! How a connection went, in the words of whoever saw it.

use super::fields::Fields;
use super::place::Field;

/// How a connection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The document does not say.
    Unknown,
    /// Somebody on the way did not let it pass.
    Denied,
    /// Nobody answered.
    Unanswered,
    /// The peer answered with a reset.
    Refused,
    /// It failed, and the document does not say how.
    Failed,
    /// It came to be.
    Established,
}

impl Outcome {
    pub(super) fn of(fields: &Fields<'_>, answers: Option<u64>) -> Self {
        // AWS VPC flow logs told it as the outcome once.
        if fields.denied || fields.is(Field::Action, &DENIED) || fields.is(Field::Outcome, &DENIED) {
            return Self::Denied;
        }
        if let Some(outcome) = fields.str(Field::ZeekState).map(zeek) {
            return outcome;
        }
        // Of a command or a file, `event.outcome` tells how that went.
        if fields.is(Field::Protocol, &["smb"]) || fields.is(Field::Status, &["OK"]) {
            return Self::Established;
        }
        if fields.is(Field::Outcome, &["failure"]) {
            return Self::Failed;
        }
        match answers {
            Some(0) => Self::Unanswered,
            _ if fields.is(Field::Action, &["connection_accepted", "disconnect_received"]) => {
                Self::Established
            }
            Some(_) | None => Self::Unknown,
        }
    }
}

/// Actions of firewalls.
const DENIED: [&str; 9] =
    ["flow_denied", "flow_dropped", "deny", "denied", "drop", "dropped", "reject", "rejected", "blocked"];

/// Zeek's `conn_state` (<https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html>).
fn zeek(state: &str) -> Outcome {
    match state {
        "S0" | "SH" | "RSTOS0" => Outcome::Unanswered,
        "REJ" => Outcome::Refused,
        "S1" | "S2" | "S3" | "SF" | "RSTO" | "RSTR" => Outcome::Established,
        _ => Outcome::Unknown,
    }
}
