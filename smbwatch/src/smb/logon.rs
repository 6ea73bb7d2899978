//! One attempt to log on, put together from its requests and answers.

use super::dialogue::{Dialogue, MAX_ITEMS};
use super::kerberos::{self, Ticket};
use super::ntlm::{self, Identity, Response, ServerNames};
use super::spnego::{self, Mechanism};
use super::status::Status;

/// An attempt to log on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logon {
    /// The server's number for the session; 0 where no answer was seen.
    pub session: u64,
    /// Mechanisms that the client offered, best first.
    pub offered: Vec<Mechanism>,
    /// The mechanism that was used.
    pub mechanism: Option<Mechanism>,
    /// Who the client says it is; empty with Kerberos, which encrypts that.
    pub identity: Identity,
    /// The kind of response that left, with NTLM.
    pub response: Option<Response>,
    /// The ticket that left, with Kerberos.
    pub ticket: Option<Ticket>,
    /// What the server calls itself, with NTLM.
    pub server: ServerNames,
    /// The client did not say who it is, or the server took it so.
    pub anonymous: bool,
    /// The server took it as a guest.
    pub guest: bool,
    /// The server wants all of the session encrypted.
    pub encrypted: bool,
    /// The latest answer; none where none was seen.
    pub status: Option<Status>,
}

impl Logon {
    /// Whether the client has proved who it is: with a response to a challenge, a password or a ticket.
    pub const fn has_identified(&self) -> bool {
        !self.anonymous && (self.response.is_some() || self.ticket.is_some())
    }

    /// Takes the security buffer of a request.
    pub(super) fn client(&mut self, buffer: &[u8]) {
        let blob = spnego::read(buffer);
        if self.offered.is_empty() {
            self.offered = blob.offered;
        }
        self.use_mechanism(blob.mechanism);
        self.ticket = kerberos::ticket(blob.token).or(self.ticket.take());
        match ntlm::read(blob.token) {
            Some(ntlm::Message::Negotiate(identity)) => self.identity = identity,
            Some(ntlm::Message::Authenticate { identity, response, anonymous }) => {
                (self.identity, self.response, self.anonymous) = (identity, response, anonymous);
            }
            Some(ntlm::Message::Challenge(_)) | None => {}
        }
    }

    /// Takes the security buffer of an answer.
    pub(super) fn server(&mut self, buffer: &[u8]) {
        let blob = spnego::read(buffer);
        self.use_mechanism(blob.mechanism);
        if let Some(ntlm::Message::Challenge(names)) = ntlm::read(blob.token) {
            self.server = names;
        }
    }

    /// What nobody knows does not replace what somebody knew.
    fn use_mechanism(&mut self, mechanism: Option<Mechanism>) {
        if self.mechanism.is_none() || !matches!(mechanism, None | Some(Mechanism::Other)) {
            self.mechanism = mechanism;
        }
    }

    fn continues(&self, session: u64) -> bool {
        matches!(self.status, None | Some(Status::MORE_PROCESSING_REQUIRED))
            && (self.session == session || self.session == 0)
    }
}

impl Dialogue {
    /// The attempt that a request with this session number belongs to, maybe a new one; none without room.
    pub(super) fn logon(&mut self, session: u64) -> Option<&mut Logon> {
        let open = self.logons.iter().rposition(|logon| session != 0 && logon.continues(session));
        if open.is_none() && self.logons.len() >= MAX_ITEMS {
            self.counts.omitted += 1;
            return None;
        }
        let index = open.unwrap_or(self.logons.len());
        if open.is_none() {
            self.logons.push(Logon::default());
        }
        self.logons.get_mut(index)
    }
}
