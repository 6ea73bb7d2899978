//! An alert as a spool holds it: its document, which says the same to whatever sink is to deliver it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_json::Value;

/// An alert that is to be delivered.
pub(super) struct Stored {
    /// Its document, as one line of JSON without the line break.
    pub(super) json: Vec<u8>,
}

/// The same, to be looked into: it takes ten times the room, so that one is opened after the other.
pub(super) struct Opened<'a> {
    pub(super) json: &'a [u8],
    pub(super) fields: Value,
}

impl Stored {
    /// Checks that it is whole.
    pub(super) fn check(json: Vec<u8>) -> serde_json::Result<Self> {
        serde_json::from_slice::<IgnoredAny>(&json)?;
        Ok(Self { json })
    }

    pub(super) fn open(&self) -> Opened<'_> {
        Opened { json: &self.json, fields: serde_json::from_slice(&self.json).unwrap_or_default() }
    }
}

impl Opened<'_> {
    /// A text, or a number as text; empty where there is none.
    pub(super) fn text(&self, pointer: &str) -> Cow<'_, str> {
        match self.fields.pointer(pointer) {
            Some(Value::String(text)) => text.into(),
            Some(Value::Number(number)) => number.to_string().into(),
            _ => "".into(),
        }
    }

    /// How severe it is: 21, 47, 73 or 99.
    pub(super) fn severity(&self) -> u8 {
        let severity = self.fields.pointer("/event/severity").and_then(Value::as_u64);
        severity.and_then(|severity| severity.try_into().ok()).unwrap_or(0)
    }

    /// A time; the epoch where there is none.
    pub(super) fn time(&self, pointer: &str) -> Timestamp {
        self.text(pointer).parse().unwrap_or_default()
    }
}
