//! How many connections are in each state.

use crate::judge::{Grade, Judgement, Outcome};

/// How far a connection has come, or how it ended; a later one takes the place of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// An exception covers it, whoever makes it: nobody has judged it.
    #[default]
    Excepted,
    /// A SYN left, and nothing more is known.
    Attempted,
    /// The SYN had to be repeated.
    Unanswered,
    /// The peer answered with a reset.
    Refused,
    /// The handshake finished.
    Established,
    /// SMB was spoken.
    Smb,
    /// The client has said who it is.
    Authenticated,
    /// So much was sent that it is a transfer.
    Transferring,
    /// It came to be, and is over.
    Ended,
}

impl State {
    /// Every state and its name, as metrics have it.
    const ALL: [(Self, &'static str); 9] = [
        (Self::Excepted, "excepted"),
        (Self::Attempted, "attempted"),
        (Self::Unanswered, "unanswered"),
        (Self::Refused, "refused"),
        (Self::Established, "established"),
        (Self::Smb, "smb"),
        (Self::Authenticated, "authenticated"),
        (Self::Transferring, "transferring"),
        (Self::Ended, "ended"),
    ];

    /// What a judgement says.
    pub(super) const fn of(judgement: &Judgement) -> Self {
        match (judgement.grade, judgement.outcome) {
            _ if judgement.ended => Self::Ended,
            (Grade::Attempted, Outcome::Refused) => Self::Refused,
            (Grade::Attempted, Outcome::Unanswered) => Self::Unanswered,
            (Grade::Attempted, Outcome::Pending | Outcome::Connected) => Self::Attempted,
            (Grade::Established, _) => Self::Established,
            (Grade::Smb, _) => Self::Smb,
            (Grade::Authenticated, _) => Self::Authenticated,
            (Grade::Transferring, _) => Self::Transferring,
        }
    }
}

/// The number of connections in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States([u64; State::ALL.len()]);

impl States {
    /// Each state's name and number.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        State::ALL.iter().zip(self.0).map(|((_, name), count)| (*name, count))
    }

    /// Adds a connection of which nothing is known yet.
    pub(super) fn begin(&mut self) {
        *self.of(State::default()) += 1;
    }

    /// Moves a connection to a later state.
    pub(super) fn rise(&mut self, from: &mut State, to: State) {
        if to > *from {
            *self.of(*from) -= 1;
            *self.of(to) += 1;
            *from = to;
        }
    }

    /// Takes out a connection that is forgotten.
    pub(super) fn forget(&mut self, state: State) {
        *self.of(state) -= 1;
    }

    fn of(&mut self, state: State) -> &mut u64 {
        &mut self.0[state as usize]
    }
}
