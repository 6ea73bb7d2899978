//! MISP's JSON: events, their objects' and feeds' attributes. <https://www.misp-standard.org/rfc/misp-standard-core.html>

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::json::{self, Item, OneOrMany, entries};
use super::{Entry, Error, Indicator, List, Tlp, parse_prefix, shorten};

/// What a file, or the answer to a search, holds.
#[derive(Deserialize)]
struct Top {
    #[serde(rename = "Event")]
    event: Option<Event>,
    #[serde(default, rename = "Attribute", deserialize_with = "entries::<Attribute, _>")]
    attributes: Vec<Entry>,
    #[serde(default)]
    response: OneOrMany<Top>,
}

#[derive(Deserialize)]
struct Event {
    info: Option<String>,
    #[serde(rename = "Orgc")]
    creator: Option<Creator>,
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
    #[serde(default, rename = "Attribute", deserialize_with = "entries::<Attribute, _>")]
    attributes: Vec<Entry>,
    #[serde(default, rename = "Object")]
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Creator {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default, rename = "Attribute", deserialize_with = "entries::<Attribute, _>")]
    attributes: Vec<Entry>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

#[derive(Deserialize)]
struct Attribute {
    r#type: String,
    value: String,
    comment: Option<String>,
    /// Without this it is a hint for people, not for detection.
    #[serde(default = "yes")]
    to_ids: bool,
    #[serde(default)]
    deleted: bool,
    first_seen: Option<Timestamp>,
    last_seen: Option<Timestamp>,
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
    /// Of the answer to a search.
    #[serde(rename = "Event")]
    event: Option<Event>,
}

const fn yes() -> bool {
    true
}

pub(super) fn read(text: impl Read, path: &Path) -> Result<List, Error> {
    let all: OneOrMany<Top> = json::read(text, path)?;
    Ok(all.0.into_iter().flat_map(Top::entries).collect())
}

impl Top {
    fn entries(self) -> Vec<Entry> {
        let mut entries = self.attributes;
        entries.extend(self.event.into_iter().flat_map(Event::entries));
        entries.extend(self.response.0.into_iter().flat_map(Self::entries));
        entries
    }
}

impl Event {
    fn entries(mut self) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut self.attributes);
        entries.extend(self.objects.drain(..).flat_map(|object| object.attributes));
        let about = self.about();
        for entry in &mut entries {
            entry.indicator.inherit(&about);
        }
        entries
    }

    /// What it says of each of its attributes.
    fn about(&self) -> Indicator {
        Indicator {
            description: self.info.as_deref().and_then(text),
            provider: self.creator.as_ref().and_then(|creator| text(&creator.name)),
            tlp: tlp(&self.tags),
            ..Indicator::default()
        }
    }
}

impl Indicator {
    /// Takes what it lacks from its event.
    fn inherit(&mut self, event: &Self) {
        self.description = self.description.take().or_else(|| event.description.clone());
        self.provider = self.provider.take().or_else(|| event.provider.clone());
        self.tlp = self.tlp.or(event.tlp);
    }
}

impl Item for Attribute {
    fn entry(self) -> Result<Option<Entry>, String> {
        let (address, port) = match self.r#type.as_str() {
            "ip-dst" => (self.value.as_str(), None),
            "ip-dst|port" => split(&self.value)?,
            _ => return Ok(None),
        };
        if !self.to_ids || self.deleted {
            return Ok(None);
        }
        let mut indicator = Indicator {
            description: self.comment.as_deref().and_then(text),
            tlp: tlp(&self.tags),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            port,
            ..Indicator::default()
        };
        if let Some(event) = &self.event {
            indicator.inherit(&event.about());
        }
        Ok(Some(Entry { prefixes: vec![parse_prefix(address)?], indicator }))
    }
}

/// `198.51.100.7|445`
fn split(value: &str) -> Result<(&str, Option<u16>), String> {
    let parts = value.split_once('|').and_then(|(address, port)| Some((address, port.parse().ok()?)));
    let (address, port) = parts.ok_or_else(|| format!("`{}` is no address and port", shorten(value)))?;
    Ok((address, Some(port)))
}

fn text(text: &str) -> Option<Arc<str>> {
    let text = text.trim();
    (!text.is_empty()).then(|| shorten(text).into())
}

fn tlp(tags: &[Tag]) -> Option<Tlp> {
    tags.iter().find_map(|tag| {
        Some(match tag.name.to_ascii_lowercase().strip_prefix("tlp:")? {
            "white" => Tlp::White,
            "clear" => Tlp::Clear,
            "green" => Tlp::Green,
            "amber" => Tlp::Amber,
            "amber+strict" => Tlp::AmberStrict,
            "red" => Tlp::Red,
            _ => return None,
        })
    })
}
