//! What a sink of type `syslog` means.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Receiver, Tls};

/// A syslog receiver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogTarget {
    /// Where it listens.
    pub address: Receiver,
    /// What is sent.
    #[serde(default)]
    pub format: Payload,
    /// As which part of a system.
    #[serde(default)]
    pub facility: Facility,
    /// Certificates of the authorities that are trusted; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// The agent's own certificate, and those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

impl SyslogTarget {
    pub(crate) fn tls(&self) -> Tls {
        Tls::of(&self.ca, &self.certificate, &self.key)
    }
}

/// What a syslog message says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// The document.
    #[default]
    Json,
    /// Its main fields, in the Common Event Format.
    Cef,
}

/// A part of a system, RFC 5424, section 6.2.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of syslog(3)")]
pub enum Facility {
    #[default]
    Daemon,
    Auth,
    Authpriv,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

impl Facility {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Daemon => 3,
            Self::Auth => 4,
            Self::Authpriv => 10,
            Self::Local0 => 16,
            Self::Local1 => 17,
            Self::Local2 => 18,
            Self::Local3 => 19,
            Self::Local4 => 20,
            Self::Local5 => 21,
            Self::Local6 => 22,
            Self::Local7 => 23,
        }
    }
}
