//! Bundles of STIX 2.1: the addresses of their indicators' patterns.
//! <https://docs.oasis-open.org/cti/stix/v2.1/os/stix-v2.1-os.html>

use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use super::json::{self, Item, entries};
use super::{Confidence, Entry, Error, Indicator, List, Tlp, pattern, shorten};

/// Marking definitions of TLP 1.0 (section 7.2.1.4), and of TLP 2.0 (its extension's definition).
const MARKINGS: [(&str, Tlp); 9] = [
    ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", Tlp::White),
    ("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", Tlp::Green),
    ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", Tlp::Amber),
    ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp::Red),
    ("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", Tlp::Clear),
    ("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", Tlp::Green),
    ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", Tlp::Amber),
    ("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", Tlp::AmberStrict),
    ("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", Tlp::Red),
];

#[derive(Deserialize)]
struct Bundle {
    #[serde(default, deserialize_with = "entries::<Object, _>")]
    objects: Vec<Entry>,
}

/// An object, as far as an indicator needs it (section 4.7).
#[derive(Deserialize)]
struct Object {
    r#type: String,
    pattern: Option<String>,
    pattern_type: Option<String>,
    name: Option<String>,
    created: Option<Timestamp>,
    valid_from: Option<Timestamp>,
    valid_until: Option<Timestamp>,
    confidence: Option<u8>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    object_marking_refs: Vec<String>,
}

pub(super) fn read(text: impl Read, path: &Path) -> Result<List, Error> {
    json::read::<Bundle>(text, path).map(|bundle| bundle.objects.into_iter().collect())
}

impl Item for Object {
    fn entry(self) -> Result<Option<Entry>, String> {
        let is_stix = self.pattern_type.as_deref().is_none_or(|kind| kind == "stix");
        let Some(text) = self.pattern.filter(|_| self.r#type == "indicator" && is_stix && !self.revoked)
        else {
            return Ok(None);
        };
        let prefixes =
            pattern::addresses(&text).map_err(|error| format!("pattern `{}`: {error}", shorten(&text)))?;
        if prefixes.is_empty() {
            return Ok(None);
        }
        let indicator = Indicator {
            description: self.name.map(|name| shorten(&name).into()),
            tlp: self.object_marking_refs.iter().find_map(|marking| tlp(marking)),
            confidence: self.confidence.map(confidence),
            first_seen: self.created,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            ..Indicator::default()
        };
        Ok(Some(Entry { prefixes, indicator }))
    }
}

fn tlp(marking: &str) -> Option<Tlp> {
    MARKINGS.iter().find(|(id, _)| *id == marking).map(|(_, tlp)| *tlp)
}

/// Appendix A: the scale None / Low / Med / High.
const fn confidence(percent: u8) -> Confidence {
    match percent {
        0 => Confidence::None,
        1..=29 => Confidence::Low,
        30..=69 => Confidence::Medium,
        70.. => Confidence::High,
    }
}
