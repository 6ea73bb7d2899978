//! Files that say more about a destination: lists of threats, where it is, and what was seen before.

use std::path::PathBuf;

use serde::Deserialize;

use super::file;

/// Severities that a list may raise an alert to.
const SEVERITIES: [u8; 3] = [47, 73, 99];
/// Destinations of workloads that are remembered, at most: some 100 bytes each.
const MAX_DESTINATIONS: usize = 1 << 20;

/// How a list of threats is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An address or a prefix a line; `#` and `;` begin a comment.
    Plain,
    /// Events or attributes of MISP, as JSON.
    Misp,
    /// A bundle of STIX 2.1, as JSON.
    Stix,
}

/// A list of addresses that are known to be bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreatList {
    /// What alerts call it.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
    /// What the severity of an alert is raised to; one of 47, 73 and 99.
    pub severity: u8,
}

/// Databases in MaxMind's format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Geo {
    /// Countries of addresses.
    pub country: Option<PathBuf>,
    /// Autonomous systems of addresses.
    pub asn: Option<PathBuf>,
}

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Folder to keep it in.
    pub dir: PathBuf,
    /// Destinations of workloads, at most; 0: none.
    pub destinations: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { dir: "/var/lib/smbwatch".into(), destinations: 1 << 14 }
    }
}

impl State {
    /// The folder in which sinks have their spools.
    pub fn spools(&self) -> PathBuf {
        self.dir.join("spool")
    }

    pub(super) fn check(self) -> Result<Self, String> {
        let destinations = self.destinations;
        if destinations > MAX_DESTINATIONS {
            return Err(format!(
                "`state.destinations` is {destinations}; give at most {MAX_DESTINATIONS}, or 0 for none"
            ));
        }
        Ok(self)
    }
}

impl ThreatList {
    pub(super) fn parse(list: file::ThreatList) -> Result<Self, String> {
        let file::ThreatList { name, path, format, severity } = list;
        if !SEVERITIES.contains(&severity) {
            return Err(format!("`threat_lists.severity` is {severity}; give 47, 73 or 99"));
        }
        let file_name = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = name.or_else(file_name).unwrap_or_default();
        Ok(Self { name, path, format, severity })
    }
}
