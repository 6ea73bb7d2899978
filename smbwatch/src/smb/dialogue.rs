//! A dialogue: all that an alert can say about one.

use super::dialect::Dialect;
use super::logon::Logon;
use super::negotiation::Negotiation;
use super::protocol::Protocol;
use super::status::Status;
use super::transport::Note;

/// What each list of a dialogue holds at most.
pub(super) const MAX_ITEMS: usize = 16;

/// A connection's SMB dialogue, as far as its first bytes tell. Text is safe to show, and cut to 512 characters;
/// lists hold at most 16 items, those of log-ons and shares count what they leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialogue {
    /// What is spoken; none while too little has been said.
    pub protocol: Option<Protocol>,
    /// The NetBIOS session, of port 139.
    pub netbios: Option<NetBios>,
    /// What the client offers.
    pub offered: Option<Negotiation>,
    /// What the server chose, with the one dialect and the algorithms that it took.
    pub chosen: Option<Negotiation>,
    /// Attempts to log on, in order.
    pub logons: Vec<Logon>,
    /// Shares that the client asked for, in order.
    pub shares: Vec<Share>,
    /// Names of files that the client asked for, relative to their share; only on demand.
    pub files: Vec<String>,
    /// What was counted.
    pub counts: Counts,
}

/// Who calls whom by NetBIOS (RFC 1002 section 4.3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetBios {
    /// The server's name, or `*SMBSERVER`.
    pub called: Option<String>,
    /// The client's name.
    pub calling: Option<String>,
    /// Whether the server took the call.
    pub accepted: Option<bool>,
}

/// A share that the client asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// As sent, such as `\\server\share`.
    pub path: String,
    /// The server's name or address in `path`.
    pub server: Option<String>,
    /// The share's name in `path`.
    pub name: Option<String>,
    /// What it is.
    pub kind: Option<ShareKind>,
    /// The server wants all of it encrypted.
    pub encrypted: bool,
    /// The answer.
    pub status: Option<Status>,
}

/// What a share gives access to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareKind {
    /// Files.
    Disk,
    /// Named pipes.
    Pipe,
    /// A printer.
    Printer,
}

/// Messages of the bytes that were read, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests to create or open a file.
    pub creates: u32,
    /// Requests to read.
    pub reads: u32,
    /// Requests to write.
    pub writes: u32,
    /// Requests to control a file or a file system.
    pub ioctls: u32,
    /// Signed requests of SMB 2 and 3.
    pub signed: u32,
    /// Encrypted messages of either side, whose content is unknown.
    pub encrypted: u32,
    /// Compressed messages of either side, whose content is unknown.
    pub compressed: u32,
    /// Messages of either side that break their specification.
    pub malformed: u32,
    /// Items that found no room in a list.
    pub omitted: u32,
}

impl Dialogue {
    /// The version that the server chose, such as `1.0` or `3.1.1`.
    pub fn version(&self) -> Option<String> {
        self.chosen.as_ref()?.dialects.first().map(Dialect::version)
    }

    /// Whether the client has said who it is, and proved it.
    pub fn has_identified(&self) -> bool {
        self.logons.iter().any(Logon::has_identified)
    }

    /// Takes what a message says by its kind.
    pub(super) fn note(&mut self, note: Note) {
        match note {
            Note::Call { called, calling } => {
                let netbios = self.netbios.get_or_insert_default();
                (netbios.called, netbios.calling) = (called, calling);
            }
            Note::CallAnswer { accepted } => self.netbios.get_or_insert_default().accepted = Some(accepted),
            Note::KeepAlive => {}
            Note::Encrypted => self.counts.encrypted += 1,
            Note::Compressed => self.counts.compressed += 1,
            Note::Unknown => self.counts.malformed += 1,
        }
    }

    /// Keeps the name of a file, if there is room.
    pub(super) fn add_file(&mut self, name: String, room: usize) {
        if room > 0 && !name.is_empty() {
            push(&mut self.files, name, room, &mut self.counts.omitted);
        }
    }

    /// Keeps a share.
    pub(super) fn add_share(&mut self, share: Share) {
        push(&mut self.shares, share, MAX_ITEMS, &mut self.counts.omitted);
    }
}

fn push<T>(list: &mut Vec<T>, item: T, room: usize, omitted: &mut u32) {
    if list.len() < room {
        list.push(item);
    } else {
        *omitted += 1;
    }
}

impl Share {
    /// The share at `path`, about which nothing else is known yet.
    pub(super) fn at(path: String) -> Self {
        let mut parts = path.trim_start_matches('\\').split('\\').map(str::to_owned);
        let (server, name) = match path.starts_with(r"\\") {
            true => (parts.next(), parts.next()),
            false => (None, parts.next()),
        };
        Self { path, server, name, ..Self::default() }
    }
}
