//! Exceptions that the agent decides: who may, until when, and how often that was so.

mod row;

use std::net::{IpAddr, SocketAddr};

use glob::Pattern;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;

use crate::config::exceptions::Exception;
use crate::config::file::parse_prefix;
use crate::enrich::files::Fresh;
use crate::enrich::who::Who;
pub use row::{Decider, Row, rows};

/// The exceptions, and what came of them.
pub struct Exceptions {
    all: Vec<State>,
}

struct State {
    exception: Exception,
    /// Of its file, if that was read.
    listed: Option<Vec<IpNet>>,
    /// Its expiry was told.
    told: bool,
    hits: u64,
}

impl Exceptions {
    /// Those which the kernel does not decide. None of them was used yet.
    pub fn new(exceptions: &[Exception]) -> Self {
        let state = |exception: &Exception| State {
            exception: exception.clone(),
            listed: None,
            told: false,
            hits: 0,
        };
        let decided = exceptions.iter().filter(|exception| exception.is_for_kernel().is_none());
        Self { all: decided.map(state).collect() }
    }

    /// Takes other exceptions. Those that stay keep what they have counted, and files what they are known to hold.
    pub fn adapt(&mut self, exceptions: &[Exception]) {
        let before = std::mem::replace(self, Self::new(exceptions)).all;
        for state in &mut self.all {
            if let Some(known) = before.iter().find(|known| known.exception == state.exception) {
                (state.told, state.hits) = (known.told, known.hits);
            }
            let file = &state.exception.destinations_file;
            let same_file = |known: &&State| file.is_some() && known.exception.destinations_file == *file;
            if let Some(known) = before.iter().find(same_file) {
                state.listed.clone_from(&known.listed);
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Learns what a file of destinations holds now, if that was read.
    pub fn refresh(&mut self, fresh: &Fresh) {
        let Fresh::Destinations(path, prefixes) = fresh else { return };
        let is_its = |state: &&mut State| state.exception.destinations_file.as_ref() == Some(path);
        for state in self.all.iter_mut().filter(is_its) {
            state.listed = Some(prefixes.clone());
        }
    }

    /// Says, once, which have expired.
    pub fn expire(&mut self, now: Timestamp) {
        for state in self.all.iter_mut().filter(|state| !state.told && !state.exception.is_live(now)) {
            state.told = true;
            let owner =
                state.exception.owner.as_ref().map(|owner| format!(", of {owner},")).unwrap_or_default();
            tracing::warn!("the exception `{}`{owner} has expired", state.exception.reason);
        }
    }

    /// Whether one that asks for no workload covers a connection; it is counted.
    pub fn covers(&mut self, source: IpAddr, destination: SocketAddr, now: Timestamp) -> bool {
        self.find(source, destination, now, |exception| exception.workload.is_any())
    }

    /// Whether one covers a connection of this workload; it is counted.
    pub fn covers_workload(
        &mut self,
        who: &Who,
        source: IpAddr,
        destination: SocketAddr,
        now: Timestamp,
    ) -> bool {
        self.find(source, destination, now, |exception| {
            !exception.workload.is_any() && is_meant(exception, who)
        })
    }

    fn find(
        &mut self,
        source: IpAddr,
        destination: SocketAddr,
        now: Timestamp,
        is_it: impl Fn(&Exception) -> bool,
    ) -> bool {
        let found = self.all.iter_mut().find(|state| {
            state.exception.is_live(now)
                && state.covers(source, destination) == Some(true)
                && is_it(&state.exception)
        });
        if let Some(state) = found {
            state.hits += 1;
            return true;
        }
        false
    }

    /// Those whose addresses and ports cover a packet, expired ones too; and whether a file that decides was read.
    pub fn about(
        &self,
        source: IpAddr,
        destination: SocketAddr,
    ) -> impl Iterator<Item = (&Exception, bool)> + use<'_> {
        let all = self.all.iter().map(move |state| (&state.exception, state.covers(source, destination)));
        all.filter(|(_, covers)| *covers != Some(false))
            .map(|(exception, covers)| (exception, covers.is_some()))
    }

    /// How often each was used, and its reason.
    pub fn hits(&self) -> impl Iterator<Item = (u64, &str)> {
        self.all.iter().map(|state| (state.hits, state.exception.reason.as_str()))
    }
}

impl State {
    /// Whether addresses and port are meant; none if a file decides that was not read.
    fn covers(&self, source: IpAddr, destination: SocketAddr) -> Option<bool> {
        if !self.exception.covers(source, destination.ip(), destination.port()) {
            return Some(false);
        }
        if self.exception.destinations_file.is_none() {
            return Some(true);
        }
        let listed = self.listed.as_ref()?;
        Some(listed.iter().any(|prefix| prefix.contains(&destination.ip())))
    }
}

/// Whether a workload is the one that an exception names. One that is not known is not.
fn is_meant(exception: &Exception, who: &Who) -> bool {
    let container = who.container.as_deref();
    let is = |pattern: &Option<Pattern>, name: Option<&str>| {
        pattern.as_ref().is_none_or(|pattern| name.is_some_and(|name| pattern.matches(name)))
    };
    let workload = &exception.workload;
    is(&workload.container, container.and_then(|container| container.name.as_deref()))
        && is(&workload.image, container.and_then(|container| container.image.as_deref()))
        && is(&workload.unit, who.place.unit.as_deref())
        && is(&workload.executable, who.process.as_deref().and_then(|process| process.executable.as_deref()))
}

/// Azure's service tags (<https://learn.microsoft.com/azure/virtual-network/service-tags-overview>).
#[derive(Deserialize)]
struct ServiceTags {
    values: Vec<ServiceTag>,
}

#[derive(Deserialize)]
struct ServiceTag {
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    address_prefixes: Vec<IpNet>,
}

/// One prefix a line, with comments behind `#`; or service tags, of which all prefixes count.
pub fn parse(text: &str) -> Result<Vec<IpNet>, String> {
    if text.trim_start().starts_with('{') {
        let tags: ServiceTags = serde_json::from_str(text).map_err(|error| error.to_string())?;
        return Ok(tags.values.into_iter().flat_map(|tag| tag.properties.address_prefixes).collect());
    }
    let lines = text.lines().enumerate().map(|(number, line)| {
        let entry = line.split('#').next().unwrap_or_default().trim();
        (number + 1, entry)
    });
    lines
        .filter(|(_, entry)| !entry.is_empty())
        .map(|(number, entry)| parse_prefix(entry).map_err(|error| format!("line {number}: {error}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::exceptions::Workload;
    use crate::enrich::process::Process;

    fn exception() -> Exception {
        Exception {
            destination: None,
            destinations_file: None,
            ports: Vec::new(),
            source: None,
            workload: Workload::default(),
            owner: None,
            reason: "a test".to_owned(),
            expires: None,
        }
    }

    fn server() -> SocketAddr {
        ([8, 8, 8, 8], 445).into()
    }

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn each_part_must_be_meant() {
        let prefix = |text: &str| Some(text.parse().expect("a prefix"));
        for (exception, covered) in [
            (Exception { destination: prefix("8.8.8.0/24"), ports: vec![445], ..exception() }, true),
            (Exception { destination: prefix("8.8.4.0/24"), ports: vec![445], ..exception() }, false),
            (Exception { source: prefix("10.0.0.0/8"), ports: vec![445], ..exception() }, true),
            (Exception { source: prefix("10.0.0.0/8"), ports: vec![139], ..exception() }, false),
            (Exception { source: prefix("10.9.0.0/16"), ..exception() }, false),
            (
                Exception {
                    source: prefix("10.0.0.0/8"),
                    expires: Some(Timestamp::UNIX_EPOCH),
                    ..exception()
                },
                false,
            ),
        ] {
            let mut exceptions = Exceptions::new(std::slice::from_ref(&exception));
            let is_covered = exceptions.covers(CLIENT, server(), Timestamp::UNIX_EPOCH);
            assert_eq!(is_covered, covered, "{exception:?}");
            assert_eq!(exceptions.hits().next(), Some((u64::from(covered), "a test")));
        }
    }

    #[test]
    fn a_workload_that_is_not_known_is_not_meant() {
        let pattern = Some(Pattern::new("/usr/bin/rclone*").expect("a pattern"));
        let workload = Workload { executable: pattern, ..Workload::default() };
        let mut exceptions = Exceptions::new(&[Exception { workload, ..exception() }]);
        let who = |executable: &str| {
            let process = Process { executable: Some(executable.to_owned()), ..Process::default() };
            Who { process: Some(Arc::new(process)), ..Who::default() }
        };
        let mut covers = |who: &Who| exceptions.covers_workload(who, CLIENT, server(), Timestamp::UNIX_EPOCH);
        assert!(covers(&who("/usr/bin/rclone-1.2")));
        assert!(!covers(&who("/usr/bin/smbclient")) && !covers(&Who::default()));
        assert!(!exceptions.covers(CLIENT, server(), Timestamp::UNIX_EPOCH), "it asks for a workload");
    }

    #[test]
    fn lists_are_plain_or_service_tags() {
        let prefixes = |text: &str| parse(text).map(|prefixes| prefixes.len());
        assert_eq!(prefixes("# Azure\n20.60.0.0/16\n\n2603:1030::/45 # eu\n1.2.3.4\n"), Ok(3));
        let tags = r#"{"values":[{"name":"Storage","properties":{"addressPrefixes":["20.60.0.0/16","2603:1030::/45"]}}]}"#;
        assert_eq!(prefixes(tags), Ok(2));
        assert!(prefixes("20.60.0.0/16\n20.60.0.1/16").is_err_and(|error| error.starts_with("line 2: ")));
        assert!(prefixes("{\"values\": 1}").is_err());
    }
}
