//! Where alerts go: what the `[[sinks]]` mean.

mod elasticsearch;
mod file;
mod kafka;
mod receiver;
mod syslog;
mod template;
mod tls;
mod url;
mod webhook;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::Deserialize;

use super::file as text;
use crate::sink::{Filter, Secret};
pub use elasticsearch::ElasticsearchTarget;
pub use file::{Compress, FileTarget};
pub use kafka::{KafkaTarget, Mechanism, Sasl};
pub use receiver::{End, Receiver};
pub use syslog::{Facility, Payload, SyslogTarget};
pub use template::Template;
pub(crate) use tls::Tls;
pub use url::Url;
pub use webhook::{Body, WebhookTarget};

const MIB: u64 = 1 << 20;
/// Files of such sizes are bounded well.
const SPOOL_MIB: RangeInclusive<u64> = 8..=4096;
/// The severity of the most severe alerts.
const MOST_SEVERE: u8 = 99;

/// How TLS is spoken with a web service.
const HTTPS: &str = "write `https://`";

/// A checked sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// Its name for people, and that of its spool's file.
    pub name: String,
    /// Which alerts it is given.
    pub filter: Filter,
    /// Bytes that its spool takes on disk; 0: it has none there.
    pub spool_bytes: u64,
    /// The place itself.
    pub target: Target,
}

/// The place that alerts are handed to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Target {
    /// Standard output.
    Stdout(StdoutTarget),
    /// A file of one document a line.
    File(FileTarget),
    /// A syslog receiver.
    Syslog(SyslogTarget),
    /// The journal of systemd.
    Journald(JournaldTarget),
    /// A web service.
    Webhook(WebhookTarget),
    /// A data stream of Elasticsearch or OpenSearch.
    Elasticsearch(ElasticsearchTarget),
    /// A receiver of OpenTelemetry's protocol.
    Otlp(OtlpTarget),
    /// A topic of Kafka.
    Kafka(KafkaTarget),
}

/// Standard output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdoutTarget {}

/// The journal of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournaldTarget {
    /// Its socket.
    #[serde(default = "journal_socket")]
    pub socket: PathBuf,
}

fn journal_socket() -> PathBuf {
    PathBuf::from("/run/systemd/journal/socket")
}

/// A receiver of OpenTelemetry's protocol.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpTarget {
    /// Where it listens; the path is for HTTP only.
    pub url: Url,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: Protocol,
    /// A token for the `Authorization` header.
    pub bearer: Option<Secret>,
    /// Further headers, or metadata, whose values are keys.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Certificates of the authorities that are trusted; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// The agent's own certificate, and those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

impl OtlpTarget {
    pub(crate) fn tls(&self) -> Tls {
        Tls::of(&self.ca, &self.certificate, &self.key)
    }

    fn check(&self) -> Result<(), String> {
        const OURS: [&str; 5] = ["content-type", "content-length", "host", "te", "user-agent"];
        webhook::check_headers(&self.headers, |name| {
            let bearer = self.bearer.is_some() && name == "authorization";
            bearer || OURS.contains(&name) || name.starts_with("grpc-")
        })?;
        self.tls().check(self.url.secure, HTTPS)
    }
}

/// What carries OpenTelemetry's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// gRPC.
    #[default]
    Grpc,
    /// HTTP, with protocol buffers as bodies.
    Http,
}

impl Target {
    /// Whether it takes an alert at once, or never.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Stdout(_) | Self::File(_))
    }

    /// Tells what is wrong with it, and what to do.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Syslog(target) => {
                target.tls().check(matches!(target.address, Receiver::Tls(_)), "write `tls://`")
            }
            Self::Webhook(target) => target.check(),
            Self::Elasticsearch(target) => target.check(),
            Self::Otlp(target) => target.check(),
            Self::Kafka(target) => target.check(),
            Self::Stdout(_) | Self::File(_) | Self::Journald(_) => Ok(()),
        }
    }

    fn default_name(&self) -> String {
        match self {
            Self::Stdout(_) => "stdout".to_owned(),
            Self::File(target) => format!("file {}", target.path.display()),
            Self::Syslog(_) => "syslog".to_owned(),
            Self::Journald(_) => "journald".to_owned(),
            Self::Webhook(_) => "webhook".to_owned(),
            Self::Elasticsearch(_) => "elasticsearch".to_owned(),
            Self::Otlp(_) => "otlp".to_owned(),
            Self::Kafka(_) => "kafka".to_owned(),
        }
    }
}

impl SinkConfig {
    /// Whether alerts wait where those of `other` do: nowhere, in memory or on disk.
    pub(crate) const fn keeps_like(&self, other: &Self) -> bool {
        self.target.is_local() == other.target.is_local()
            && (self.spool_bytes == 0) == (other.spool_bytes == 0)
    }

    /// Standard output, for every alert.
    pub fn stdout() -> Self {
        let target = Target::Stdout(StdoutTarget {});
        Self { name: target.default_name(), filter: Filter::default(), spool_bytes: 0, target }
    }

    fn of(sink: text::Sink) -> Result<Self, String> {
        let text::Sink { name, severity, grades, spool_mib, target } = sink;
        if let Some(name) = &name
            && (name.is_empty()
                || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)))
        {
            return Err(format!("`sinks`: the name `{name}`; use letters, digits, `-` and `_`"));
        }
        let name = name.unwrap_or_else(|| target.default_name());
        if severity > MOST_SEVERE {
            return Err(format!(
                "`sinks`: {name}: `severity` is {severity}, which no alert has; give at most 99"
            ));
        }
        if spool_mib.is_some() && target.is_local() {
            return Err(format!(
                "`sinks`: {name} has no spool, since it is on this host; remove `spool_mib`"
            ));
        }
        if let Some(mib) = spool_mib.filter(|mib| *mib != 0 && !SPOOL_MIB.contains(mib)) {
            return Err(format!("`sinks`: {name}: `spool_mib` is {mib}; give 0, or between 8 and 4096"));
        }
        target.check().map_err(|mistake| format!("`sinks`: {name}: {mistake}"))?;
        let spool_bytes = if target.is_local() { 0 } else { spool_mib.unwrap_or(64).saturating_mul(MIB) };
        Ok(Self { name, filter: Filter { severity, grades }, spool_bytes, target })
    }

    /// Checks a list of sinks.
    pub(super) fn all(sinks: Vec<text::Sink>) -> Result<Vec<Self>, String> {
        let sinks: Vec<Self> = sinks.into_iter().map(Self::of).collect::<Result<_, _>>()?;
        let mut paths = HashMap::new();
        for sink in &sinks {
            if let Target::File(FileTarget { path, .. }) = &sink.target
                && let Some(other) = paths.insert(path, &sink.name)
            {
                let (name, path) = (&sink.name, path.display());
                return Err(format!(
                    "`sinks`: {other} and {name} both write {path}; give one another `path`"
                ));
            }
        }
        let mut names = HashSet::new();
        match sinks.iter().find(|sink| !names.insert(&sink.name)) {
            Some(sink) => Err(format!("`sinks`: two are called `{0}`; give one another `name`", sink.name)),
            None => Ok(sinks),
        }
    }
}
