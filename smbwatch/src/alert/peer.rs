//! What an alert says of the destination from files.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::enrich::files::Threat;
use crate::enrich::geo::{Place, System};
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

#[derive(Clone, Debug, Serialize)]
pub struct GeoFields {
    pub country_iso_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continent_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continent_name: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SystemFields {
    pub number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<Organization>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Organization {
    pub name: String,
}

impl From<Place> for GeoFields {
    fn from(place: Place) -> Self {
        let Place { country: country_iso_code, country_name, continent: continent_code, continent_name } =
            place;
        Self { country_iso_code, country_name, continent_code, continent_name }
    }
}

impl From<System> for SystemFields {
    fn from(system: System) -> Self {
        Self { number: system.number, organization: system.organization.map(|name| Organization { name }) }
    }
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
