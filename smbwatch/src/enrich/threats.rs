//! Lists of addresses that are known to be bad.

mod plain;
mod misp;
mod stix;
mod pattern;
mod json;
mod spans;

use std::io::{self, BufRead, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::enrichment::Format;
use spans::{Span, Spans};

/// Prefixes that one list may hold.
const MAX_PREFIXES: usize = 1 << 21;
/// Bytes of a list that are read.
const MAX_BYTES: u64 = 1 << 29;
/// Characters of a name that are kept.
const MAX_TEXT: usize = 256;

/// A list, ready to be asked.
#[derive(Default)]
pub struct List {
    /// Each with the index of what is known of it, where anything is.
    v4: Spans<Ipv4Addr>,
    v6: Spans<Ipv6Addr>,
    indicators: Vec<Indicator>,
}

/// What a list says of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indicator {
    /// What it is, for people.
    pub description: Option<Arc<str>>,
    /// Who says so, where that is not the list itself.
    pub provider: Option<Arc<str>>,
    /// To whom it may be told.
    pub tlp: Option<Tlp>,
    /// How sure it is.
    pub confidence: Option<Confidence>,
    /// When it was first seen to be bad.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen to be bad.
    pub last_seen: Option<Timestamp>,
    /// Before this it says nothing.
    pub valid_from: Option<Timestamp>,
    /// From this on it says nothing.
    pub valid_until: Option<Timestamp>,
    /// The port there that is known. The address is believed to be bad on every other too.
    pub port: Option<u16>,
}

/// The Traffic Light Protocol, 1.0 and 2.0, as ECS writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "https://www.first.org/tlp/ defines them")]
pub enum Tlp {
    White,
    Clear,
    Green,
    Amber,
    #[serde(rename = "AMBER+STRICT")]
    AmberStrict,
    Red,
}

/// How sure an indicator is, as ECS writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "STIX 2.1, appendix A, defines them")]
pub enum Confidence {
    None,
    Low,
    Medium,
    High,
}

/// What is wrong with a list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It is not what a list of its format is.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

/// Prefixes, and what is said of all of them.
struct Entry {
    prefixes: Vec<IpNet>,
    indicator: Indicator,
}

impl List {
    /// Reads a file.
    pub fn read(path: &Path, format: Format) -> Result<Self, Error> {
        let failed = |error| Error::Read { path: path.to_owned(), error };
        let file = std::fs::File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > MAX_BYTES {
            return Err(failed(io::Error::other(format!("larger than {} MiB", MAX_BYTES >> 20))));
        }
        Self::parse(BufReader::with_capacity(1 << 16, file.take(MAX_BYTES)), path, format)
    }

    /// Reads a stream; `path` is for messages.
    pub fn parse(text: impl BufRead, path: &Path, format: Format) -> Result<Self, Error> {
        match format {
            Format::Plain => plain::read(text, path),
            Format::Misp => misp::read(text, path),
            Format::Stix => stix::read(text, path),
        }
    }

    /// The narrowest prefix around an address that says something at the time `now`.
    pub fn find(&self, address: IpAddr, now: Timestamp) -> Option<(IpNet, Indicator)> {
        match address {
            IpAddr::V4(address) => self.valid(self.v4.around(address), now),
            IpAddr::V6(address) => self.valid(self.v6.around(address), now),
        }
    }

    fn valid<'a, A: Copy + Into<IpAddr> + 'a>(
        &self,
        mut around: impl Iterator<Item = &'a Span<A>>,
        now: Timestamp,
    ) -> Option<(IpNet, Indicator)> {
        let says = |span: &&Span<A>| self.indicator(span.index).is_none_or(|known| known.is_valid(now));
        let span = around.find(says)?;
        let indicator = self.indicator(span.index).cloned().unwrap_or_default();
        Some((prefix(span.first.into(), span.last.into())?, indicator))
    }

    /// Prefixes of both families.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn indicator(&self, index: u32) -> Option<&Indicator> {
        self.indicators.get(index as usize)
    }

    fn push(&mut self, prefix: IpNet, index: u32) {
        match prefix {
            IpNet::V4(prefix) => self.v4.push(prefix.network(), prefix.broadcast(), index),
            IpNet::V6(prefix) => self.v6.push(prefix.network(), prefix.broadcast(), index),
        }
    }

    /// Makes it ready. Of what is said of one prefix, the one that is valid for longest is kept.
    fn settle(mut self) -> Self {
        let Self { v4, v6, indicators } = &mut self;
        indicators.shrink_to_fit();
        let rank = |index: u32| {
            let indicator = indicators.get(index as usize);
            indicator.and_then(|known| known.valid_until).unwrap_or(Timestamp::MAX)
        };
        v4.settle(rank);
        v6.settle(rank);
        self
    }
}

impl FromIterator<Entry> for List {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut list = Self::default();
        for Entry { prefixes, indicator } in entries {
            // An event says the same of most of its attributes.
            if list.indicators.last() != Some(&indicator) {
                list.indicators.push(indicator);
            }
            let Ok(index) = u32::try_from(list.indicators.len() - 1) else { break };
            prefixes.into_iter().for_each(|prefix| list.push(prefix, index));
        }
        list.settle()
    }
}

impl Indicator {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= now) && self.valid_until.is_none_or(|until| now < until)
    }
}

/// The prefix of which these are the first and the last address.
fn prefix(first: IpAddr, last: IpAddr) -> Option<IpNet> {
    let length = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits() ^ last.to_bits()).leading_zeros(),
        (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits() ^ last.to_bits()).leading_zeros(),
        _ => return None,
    };
    IpNet::new(first, length.try_into().ok()?).ok()
}

/// An address or a prefix. Bits behind the prefix are dropped: lists of others are not always tidy.
fn parse_prefix(text: &str) -> Result<IpNet, String> {
    let prefix = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match prefix {
        Ok(prefix) if prefix.prefix_len() == 0 => Err(format!("`{text}` is every address")),
        Ok(prefix) => Ok(prefix.trunc()),
        Err(_) => Err(format!("`{}` is no address and no prefix", shorten(text))),
    }
}

/// Text of others, of a length that can be kept.
fn shorten(text: &str) -> &str {
    text.char_indices().nth(MAX_TEXT).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests;
