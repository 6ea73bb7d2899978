//! What an alert says of the dialogue: what was offered and chosen, who left, and which shares were asked for.

use std::fmt::Display;

use serde::Serialize;

use crate::smb::{Dialogue, Logon, Mechanism, Negotiation, Protocol, Response, Share};

#[derive(Clone, Debug, Serialize)]
pub struct Spoken {
    /// `smb`, or what it looks like.
    pub protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dialects: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logons: Vec<LogonFields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<ShareFields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netbios: Option<NetBiosFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Messages>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Signing {
    pub offered: bool,
    pub required: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Encryption {
    pub offered: bool,
    pub used: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct LogonFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workstation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerFields>,
    pub anonymous: bool,
    pub guest: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServerFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ShareFields {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct NetBiosFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calling: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Messages {
    pub creates: u32,
    pub reads: u32,
    pub writes: u32,
    pub ioctls: u32,
    pub encrypted: u32,
    pub compressed: u32,
    pub malformed: u32,
    pub omitted: u32,
}

/// What was said; none while too little has been.
pub(super) fn spoken(dialogue: &Dialogue) -> Option<Spoken> {
    let protocol = protocol(dialogue.protocol?);
    let offered = dialogue.offered.as_ref();
    let is_smb = dialogue.protocol == Some(Protocol::Smb);
    Some(Spoken {
        protocol,
        version: dialogue.version(),
        dialects: offered.map(|offered| texts(&offered.dialects)).unwrap_or_default(),
        signing: offered.map(|offered| Signing {
            offered: offered.signing_enabled || offered.signing_required,
            required: offered.signing_required,
        }),
        encryption: offered.map(|offered| encryption(offered, dialogue)),
        logons: dialogue.logons.iter().map(logon).collect(),
        shares: dialogue.shares.iter().map(share).collect(),
        files: dialogue.files.clone(),
        netbios: dialogue.netbios.as_ref().map(|netbios| NetBiosFields {
            called: netbios.called.clone(),
            calling: netbios.calling.clone(),
        }),
        messages: is_smb.then(|| messages(dialogue)),
    })
}

/// The server's name, where the client has told it and it is none of its addresses.
pub(super) fn server(dialogue: &Dialogue) -> Option<String> {
    let of_shares = dialogue.shares.iter().filter_map(|share| share.server.as_ref());
    let offered = dialogue.offered.as_ref().and_then(|offered| offered.server_name.as_ref());
    let is_name = |name: &&String| name.parse::<std::net::IpAddr>().is_err();
    of_shares.chain(offered).find(is_name).cloned()
}

/// Whether the client speaks, or offers nothing but, SMB 1.
pub(super) fn is_smb1(dialogue: &Dialogue) -> bool {
    match (dialogue.version(), &dialogue.offered) {
        (Some(version), _) => version == "1.0",
        (None, Some(offered)) => {
            let is_old = |dialect: &crate::smb::Dialect| {
                dialect.version() == "1.0" && !dialect.to_string().starts_with("SMB 2.")
            };
            !offered.dialects.is_empty() && offered.dialects.iter().all(is_old)
        }
        (None, None) => false,
    }
}

/// The log-on that gave an identity away.
pub(super) fn identity(dialogue: &Dialogue) -> Option<&Logon> {
    dialogue.logons.iter().find(|logon| logon.has_identified())
}

pub(super) const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Smb => "smb",
        Protocol::Tls => "tls",
        Protocol::Http => "http",
        Protocol::Ssh => "ssh",
        Protocol::Other => "other",
    }
}

fn encryption(offered: &Negotiation, dialogue: &Dialogue) -> Encryption {
    Encryption { offered: offered.encryption, used: dialogue.counts.encrypted > 0 }
}

fn logon(logon: &Logon) -> LogonFields {
    let identity = &logon.identity;
    let names = &logon.server;
    let server = ServerFields {
        name: names.dns_computer.clone().or(names.netbios_computer.clone()),
        domain: names.dns_domain.clone().or(names.netbios_domain.clone()).or(names.target.clone()),
    };
    LogonFields {
        mechanism: logon.mechanism.map(mechanism),
        user: identity.user.clone(),
        domain: identity.domain.clone(),
        workstation: identity.workstation.clone(),
        response: logon.response.map(response),
        realm: logon.ticket.as_ref().map(|ticket| ticket.realm.clone()),
        service: logon.ticket.as_ref().map(|ticket| ticket.service.clone()),
        server: (server.name.is_some() || server.domain.is_some()).then_some(server),
        anonymous: logon.anonymous,
        guest: logon.guest,
        status: logon.status.map(|status| status.to_string()),
    }
}

const fn mechanism(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "plain",
        Mechanism::Ntlm => "ntlm",
        Mechanism::Kerberos => "kerberos",
        Mechanism::NegoEx => "negoex",
        Mechanism::Other => "other",
    }
}

const fn response(response: Response) -> &'static str {
    match response {
        Response::Password => "password",
        Response::Lm => "lm",
        Response::V1 => "ntlm",
        Response::V2 => "ntlmv2",
    }
}

fn share(share: &Share) -> ShareFields {
    ShareFields {
        path: share.path.clone(),
        name: share.name.clone(),
        status: share.status.map(|status| status.to_string()),
    }
}

const fn messages(dialogue: &Dialogue) -> Messages {
    let counts = dialogue.counts;
    Messages {
        creates: counts.creates,
        reads: counts.reads,
        writes: counts.writes,
        ioctls: counts.ioctls,
        encrypted: counts.encrypted,
        compressed: counts.compressed,
        malformed: counts.malformed,
        omitted: counts.omitted,
    }
}

fn texts(items: &[impl Display]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
