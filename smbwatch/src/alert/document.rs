//! The shape of an alert, field by field. <https://www.elastic.co/docs/reference/ecs> defines them, but for
//! what is under `smbwatch`.
#![expect(missing_docs, reason = "each field is defined by ECS, or in docs/alert.md")]

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::alert::peer::{Feed, GeoFields, IndicatorFields, SystemFields};
use crate::alert::spoken::Spoken;
use crate::alert::workload::{ContainerFields, MountFields, Orchestrator};
use crate::enrich::who::Method;
use crate::judge::Grade;
use crate::novelty::Novelty;
use crate::probe::roles::Direction;

#[derive(Clone, Debug, Serialize)]
pub struct Document {
    #[serde(rename = "@timestamp")]
    pub timestamp: Timestamp,
    pub message: &'static str,
    pub event: Event,
    pub network: Network,
    pub source: Endpoint,
    pub destination: Endpoint,
    pub client: Endpoint,
    pub server: Endpoint,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orchestrator: Option<Orchestrator>,
    pub host: HostFields,
    pub observer: Observer,
    pub rule: Rule,
    pub threat: Threat,
    pub related: Related,
    pub tags: Vec<&'static str>,
    pub ecs: Ecs,
    pub smbwatch: Details,
}

#[derive(Clone, Debug, Serialize)]
pub struct Ecs {
    pub version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct Event {
    pub kind: &'static str,
    pub category: [&'static str; 2],
    pub r#type: [&'static str; 1],
    pub action: &'static str,
    pub outcome: &'static str,
    pub severity: u8,
    pub risk_score: f32,
    pub dataset: &'static str,
    pub module: &'static str,
    pub provider: &'static str,
    pub id: String,
    pub created: Timestamp,
    pub start: Timestamp,
    pub end: Timestamp,
    pub duration: u64,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Network {
    pub transport: &'static str,
    pub r#type: &'static str,
    pub iana_number: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'static str>,
    pub direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub community_id: Option<String>,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Vlan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Inner>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Vlan {
    pub id: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Inner {
    pub vlan: Vlan,
}

#[derive(Clone, Debug, Serialize)]
pub struct Endpoint {
    pub address: IpAddr,
    pub ip: IpAddr,
    pub port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geo: Option<GeoFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#as: Option<SystemFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nat: Option<Nat>,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Nat {
    pub ip: IpAddr,
    pub port: u16,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProcessFields {
    pub pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    pub thread: Thread,
    pub user: User,
    pub group: Group,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Relative>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Thread {
    pub id: u32,
}

#[derive(Clone, Debug, Serialize)]
pub struct User {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Group {
    pub id: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Relative {
    pub pid: u32,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct HostFields {
    pub name: String,
    pub hostname: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    pub architecture: String,
    pub os: Os,
}

#[derive(Clone, Debug, Serialize)]
pub struct Os {
    pub r#type: &'static str,
    pub kernel: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Observer {
    pub vendor: &'static str,
    pub product: &'static str,
    pub r#type: &'static str,
    pub version: &'static str,
    pub hostname: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Passed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<Passed>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Passed {
    pub interface: InterfaceFields,
}

#[derive(Clone, Debug, Serialize)]
pub struct InterfaceFields {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    pub id: &'static str,
    pub name: &'static str,
    pub category: &'static str,
    pub ruleset: String,
    pub version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct Threat {
    pub framework: &'static str,
    pub tactic: Named,
    pub technique: Named,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<Feed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indicator: Option<Box<IndicatorFields>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Named {
    pub id: &'static [&'static str],
    pub name: &'static [&'static str],
}

/// <https://attack.mitre.org>
pub(super) const THREAT: Threat = Threat {
    framework: "MITRE ATT&CK",
    tactic: Named { id: &["TA0001", "TA0010"], name: &["Initial Access", "Exfiltration"] },
    technique: Named {
        id: &["T1190", "T1048"],
        name: &["Exploit Public-Facing Application", "Exfiltration Over Alternative Protocol"],
    },
    feed: None,
    indicator: None,
};

/// The same, where an identity was given away.
pub(super) const IDENTITY_THREAT: Threat = Threat {
    framework: "MITRE ATT&CK",
    tactic: Named {
        id: &["TA0001", "TA0006", "TA0010"],
        name: &["Initial Access", "Credential Access", "Exfiltration"],
    },
    technique: Named {
        id: &["T1190", "T1187", "T1048"],
        name: &[
            "Exploit Public-Facing Application",
            "Forced Authentication",
            "Exfiltration Over Alternative Protocol",
        ],
    },
    ..THREAT
};

#[derive(Clone, Debug, Serialize)]
pub struct Related {
    pub ip: Vec<IpAddr>,
    pub hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Details {
    pub incident: Incident,
    pub grade: Grade,
    pub profile: String,
    pub attribution: Attribution,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountFields>,
    pub sightings: Vec<Sighting>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptFields>,
    pub flow: Flow,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smb: Option<Spoken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub novelty: Option<Novelty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Cut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Relative>,
    pub suppressed: Count,
    pub lost: Count,
}

#[derive(Clone, Debug, Serialize)]
pub struct ScanFields {
    pub start: Timestamp,
    pub destinations: usize,
    pub more: bool,
    pub connections: u64,
    pub samples: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    pub id: String,
    pub repeats: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Attribution {
    pub method: Method,
    pub ambiguous: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Relative>,
}

#[derive(Clone, Debug, Serialize)]
pub struct OriginFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Cut {
    pub args_cut: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Sighting {
    pub interface: String,
    pub direction: Direction,
    pub source: SightingSource,
}

#[derive(Clone, Debug, Serialize)]
pub struct SightingSource {
    pub ip: IpAddr,
    pub port: u16,
}

#[derive(Clone, Debug, Serialize)]
pub struct AttemptFields {
    pub destination: Port,
    pub action: &'static str,
    pub outcome: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct Port {
    pub port: u16,
}

#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    pub midstream: bool,
    pub partial: bool,
    pub by_content: bool,
    pub wire: Wire,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake: Option<Handshake>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Wire {
    pub bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Handshake {
    pub duration: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Count {
    pub count: u64,
}
