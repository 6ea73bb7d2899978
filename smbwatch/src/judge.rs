//! How grave a sighting is.

use serde::{Deserialize, Serialize};
use smbwatch_ebpf::flow;

use crate::config::SeverityMode;
use crate::observation::FlowObservation;
use crate::smb::Dialogue;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// A SYN left; nothing more is known, or it failed.
    Attempted,
    /// The handshake finished.
    Established,
    /// SMB was spoken.
    Smb,
    /// The client has said who it is, with a response or a ticket.
    Authenticated,
    /// So much was sent that it is a transfer.
    Transferring,
}

impl Grade {
    /// Every grade, the least first.
    pub const ALL: [Self; 5] =
        [Self::Attempted, Self::Established, Self::Smb, Self::Authenticated, Self::Transferring];

    /// The name of the grade, as alerts and metrics have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attempted => "attempted",
            Self::Established => "established",
            Self::Smb => "smb",
            Self::Authenticated => "authenticated",
            Self::Transferring => "transferring",
        }
    }
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not known yet.
    Pending,
    /// The peer answered with a reset.
    Refused,
    /// The SYN had to be repeated.
    Unanswered,
    /// A connection came to be.
    Connected,
}

/// What a sighting amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How far the connection has come.
    pub grade: Grade,
    /// How the attempt went.
    pub outcome: Outcome,
    /// It is over.
    pub ended: bool,
    /// One of 21, 47, 73 and 99.
    pub severity: u8,
}

/// Judges a sighting, with what has been said so far.
pub fn judge(sighting: &FlowObservation, dialogue: Option<&Dialogue>, mode: SeverityMode) -> Judgement {
    let grade = if sighting.is(flow::TRANSFER) {
        Grade::Transferring
    } else if dialogue.is_some_and(Dialogue::has_identified) {
        Grade::Authenticated
    } else if sighting.is(flow::SMB) {
        Grade::Smb
    } else if sighting.is(flow::ESTABLISHED) {
        Grade::Established
    } else {
        Grade::Attempted
    };
    let outcome = if grade != Grade::Attempted {
        Outcome::Connected
    } else if sighting.is(flow::REFUSED) {
        Outcome::Refused
    } else if sighting.is(flow::UNANSWERED) {
        Outcome::Unanswered
    } else {
        Outcome::Pending
    };
    let ended = grade != Grade::Attempted && sighting.is(flow::ENDED);
    Judgement { grade, outcome, ended, severity: severity(mode, grade) }
}

/// The severity of a grade: one of 21, 47, 73 and 99.
pub const fn severity(mode: SeverityMode, grade: Grade) -> u8 {
    match (mode, grade) {
        (SeverityMode::Grade, Grade::Attempted) => 21,
        (SeverityMode::Grade, Grade::Established) => 47,
        (SeverityMode::Grade, Grade::Smb) | (SeverityMode::Rule, _) => 73,
        (SeverityMode::Grade, Grade::Authenticated | Grade::Transferring) => 99,
    }
}
