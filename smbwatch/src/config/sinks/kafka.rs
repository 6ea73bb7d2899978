//! What a sink of type `kafka` means.

use std::path::PathBuf;

use serde::Deserialize;

use super::{End, Tls};
use crate::sink::Secret;

/// A topic of Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaTarget {
    /// Where to ask for the brokers.
    pub brokers: Vec<End>,
    /// The topic.
    pub topic: String,
    /// Whether brokers are spoken to by TLS.
    #[serde(default)]
    pub tls: bool,
    /// Certificates of the authorities that are trusted; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// The agent's own certificate, and those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Who the agent is to the brokers.
    pub sasl: Option<Sasl>,
}

/// A user, and how the password is proven.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// How.
    pub mechanism: Mechanism,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: Secret,
}

/// A mechanism of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Mechanism {
    /// RFC 4616: the password itself is sent.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 7677.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    /// Its registered name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaTarget {
    /// Tells what is wrong with it, and what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let topic = &self.topic;
        if self.brokers.is_empty() || topic.is_empty() || topic.len() > 249 || !topic.bytes().all(is_right) {
            return Err("name `brokers`, and a `topic` of letters, digits, `.`, `_` and `-`".to_owned());
        }
        Tls::of(&self.ca, &self.certificate, &self.key).check(self.tls, "add `tls = true`")?;
        match &self.sasl {
            Some(sasl) if sasl.user.is_empty() => Err("`sasl` without a `user`; name one".to_owned()),
            Some(Sasl { mechanism: Mechanism::Plain, .. }) if !self.tls => {
                let advice = "add `tls = true`, or use SCRAM-SHA-512";
                Err(format!("PLAIN would send the password readable; {advice}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}
