//! The configuration as people write it, in TOML.
#![expect(missing_docs, reason = "each field is what the key of its name says in config/smbwatch.toml")]

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

use super::enrichment::{Format, Geo, State};
use super::sinks::Target;
use super::{BackEnd, Profile, SeverityMode};
use crate::judge::Grade;

/// The whole file. What is left out has the default that `config/smbwatch.toml` shows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub profile: Option<Profile>,
    pub severity: Option<SeverityMode>,
    pub ports: Option<Vec<u16>>,
    pub any_port: Option<bool>,
    pub sources: Option<Vec<Prefix>>,
    pub reserved: Option<Vec<Prefix>>,
    pub owners: Option<bool>,
    pub incident_seconds: Option<u32>,
    pub exceptions: Vec<Exception>,
    pub interfaces: Interfaces,
    pub runtimes: Runtimes,
    pub smb: Smb,
    pub scan: Scan,
    pub limits: Limits,
    pub state: State,
    pub geo: Geo,
    pub threat_lists: Vec<ThreatList>,
    pub sinks: Option<Vec<Sink>>,
    pub metrics: Metrics,
}

/// Who may speak SMB to the Internet.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    #[serde(default, deserialize_with = "part")]
    pub destination: Option<Prefix>,
    pub destinations_file: Option<PathBuf>,
    #[serde(default)]
    pub ports: Vec<u16>,
    #[serde(default, deserialize_with = "part")]
    pub source: Option<Prefix>,
    pub container: Option<String>,
    pub image: Option<String>,
    pub unit: Option<String>,
    pub executable: Option<String>,
    pub owner: Option<String>,
    #[serde(deserialize_with = "reason")]
    pub reason: String,
    pub expires: Option<String>,
}

/// Where to look.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Interfaces {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub back_end: Option<BackEnd>,
}

/// Whom to ask about containers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Runtimes {
    pub docker: Option<Vec<PathBuf>>,
    pub podman: Option<Vec<PathBuf>>,
    pub cri: Option<Vec<PathBuf>>,
    pub labels: Option<Vec<String>>,
}

/// What is read of what is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Smb {
    pub payload_bytes: Option<u32>,
    pub transfer_kib: Option<u32>,
    pub file_names: Option<usize>,
}

/// What makes a scan.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scan {
    pub destinations: Option<usize>,
    pub seconds: Option<u32>,
}

/// How much to keep and to say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub flows: Option<u32>,
    pub ring_bytes: Option<u32>,
    pub alerts_per_second: Option<u32>,
}

/// Addresses that are known to be bad.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreatList {
    pub name: Option<String>,
    pub path: PathBuf,
    pub format: Format,
    #[serde(default = "critical")]
    pub severity: u8,
}

const fn critical() -> u8 {
    99
}

/// Where alerts go.
#[derive(Clone, Debug, Deserialize)]
pub struct Sink {
    pub name: Option<String>,
    #[serde(default)]
    pub severity: u8,
    #[serde(default)]
    pub grades: Vec<Grade>,
    pub spool_mib: Option<u64>,
    #[serde(flatten)]
    pub target: Target,
}

/// Where metrics are served.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    pub socket: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub allow_remote: bool,
}

/// An address range without host bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Prefix(pub IpNet);

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What the visitor refuses gets the place of this value, not that of the list around it.
        deserializer.deserialize_str(PrefixVisitor)
    }
}

struct PrefixVisitor;

impl Visitor<'_> for PrefixVisitor {
    type Value = Prefix;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an address range")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Prefix, E> {
        parse_prefix(text).map(Prefix).map_err(E::custom)
    }
}

/// Not all there is: that would switch the agent off.
fn part<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Prefix>, D::Error> {
    let prefix = Prefix::deserialize(deserializer)?;
    if prefix.0.prefix_len() == 0 {
        return Err(D::Error::custom(format!(
            "`{}` would except every address, so nothing could match; name a part of it",
            prefix.0
        )));
    }
    Ok(Some(prefix))
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let reason = String::deserialize(deserializer)?;
    if reason.trim().is_empty() {
        return Err(D::Error::custom("an exception without a reason; say why it may be reached"));
    }
    Ok(reason)
}

/// Reads `10.0.0.0/8`, or an address alone as the range that holds only it.
pub fn parse_prefix(text: &str) -> Result<IpNet, String> {
    let prefix = match text.parse::<IpNet>() {
        Ok(prefix) => prefix,
        Err(_) => text.parse::<std::net::IpAddr>().map(IpNet::from).map_err(|_| {
            format!("`{text}` is no address range; write one like `10.0.0.0/8` or `fc00::/7`")
        })?,
    };
    if prefix.trunc() == prefix {
        Ok(prefix)
    } else {
        Err(format!("`{text}` has bits set behind its prefix; write `{}`", prefix.trunc()))
    }
}
