//! What an alert says of the destination from files.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::enrich::files::Threat;
use crate::enrich::threats::{Confidence, Tlp};

#[derive(Clone, Debug, Serialize)]
pub struct Feed {
    pub name: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct IndicatorFields {
    pub r#type: &'static str,
    pub ip: IpAddr,
    pub name: String,
    pub provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marking: Option<Marking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Marking {
    pub tlp: Tlp,
}

/// `threat.feed` and `threat.indicator`.
pub(super) fn threat(ip: IpAddr, threat: &Threat) -> (Feed, IndicatorFields) {
    let Threat { list, prefix, indicator, .. } = threat;
    let text = |text: &std::sync::Arc<str>| text.as_ref().to_owned();
    let fields = IndicatorFields {
        r#type: if prefix.addr().is_ipv4() { "ipv4-addr" } else { "ipv6-addr" },
        ip,
        name: prefix.to_string(),
        provider: indicator.provider.as_ref().map_or_else(|| list.clone(), text),
        description: indicator.description.as_ref().map(text),
        port: indicator.port,
        marking: indicator.tlp.map(|tlp| Marking { tlp }),
        confidence: indicator.confidence,
        first_seen: indicator.first_seen,
        last_seen: indicator.last_seen,
    };
    (Feed { name: list.clone() }, fields)
}
