//! The fields of a document as they were written, and what they must be.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;

use super::error::Problem;
use super::place::{FIELDS, Field, Place};

/// As much of a wrong value as an error shows.
const SHOWN: usize = 64;

/// A value that is neither an object nor a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Whole(u64),
    Real(f64),
}

/// What a document tells. Of several values the first one counts.
pub(super) struct Fields<'a> {
    values: [Option<Scalar<'a>>; FIELDS],
    /// One of `event.type` is `denied`.
    pub(super) denied: bool,
    /// The document is what a search found.
    pub(super) search: bool,
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self { values: [const { None }; FIELDS], denied: false, search: false }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn set(&mut self, place: Place, value: Scalar<'a>) {
        let Place::Field(field) = place else { return };
        if field == Field::EventType {
            self.denied |= matches!(&value, Scalar::Text(text) if text == "denied");
        }
        if let Some(slot @ None) = self.values.get_mut(field as usize) {
            *slot = Some(value);
        }
    }

    fn get(&self, field: Field) -> Option<&Scalar<'a>> {
        self.values.get(field as usize)?.as_ref()
    }

    pub(super) fn text(&self, field: Field) -> Option<Cow<'a, str>> {
        Some(match self.get(field)? {
            Scalar::Text(text) => text.clone(),
            number @ (Scalar::Whole(_) | Scalar::Real(_)) => number.to_string().into(),
        })
    }

    /// The first of two fields that is there.
    pub(super) fn either(&self, first: Field, second: Field) -> Option<Cow<'a, str>> {
        self.text(first).or_else(|| self.text(second))
    }

    pub(super) fn is(&self, field: Field, values: &[&str]) -> bool {
        let Some(Scalar::Text(text)) = self.get(field) else { return false };
        values.iter().any(|value| text.eq_ignore_ascii_case(value))
    }

    pub(super) fn str(&self, field: Field) -> Option<&str> {
        match self.get(field)? {
            Scalar::Text(text) => Some(text),
            Scalar::Whole(_) | Scalar::Real(_) => None,
        }
    }

    /// What the rule asks for: it may be missing, but not wrong.
    pub(super) fn must<T>(
        &self,
        field: Field,
        name: &'static str,
        wanted: &'static str,
        read: impl Fn(&Scalar<'a>) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let wrong = || {
            let shown = value.to_string().chars().take(SHOWN).collect::<String>();
            Problem::Field { field: name, value: format!("{shown:?}"), wanted }
        };
        read(value).map(Some).ok_or_else(wrong)
    }

    /// What is told besides: no reason to lose the event where it is wrong.
    pub(super) fn may<T>(&self, field: Field, read: impl Fn(&Scalar<'a>) -> Option<T>) -> Option<T> {
        self.get(field).and_then(read)
    }
}

impl Scalar<'_> {
    /// An IPv4 address that is written as an IPv6 one is an IPv4 address, as Elasticsearch has it.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Text(text) => text.parse::<IpAddr>().ok().map(|address| address.to_canonical()),
            Self::Whole(_) | Self::Real(_) => None,
        }
    }

    /// Whole and not negative, even if it is written as text or with a fraction of zero.
    pub(super) fn number<N: TryFrom<u64>>(&self) -> Option<N> {
        let number = match self {
            Self::Whole(number) => *number,
            Self::Text(text) => text.parse().ok()?,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
            Self::Real(number) if number.fract() == 0.0 && (0.0..9e15).contains(number) => *number as u64,
            Self::Real(_) => return None,
        };
        N::try_from(number).ok()
    }

    /// Text as in RFC 3339, or milliseconds since 1970.
    pub(super) fn time(&self) -> Option<Timestamp> {
        match (self, self.number()) {
            (_, Some(milliseconds)) => Timestamp::from_millisecond(milliseconds).ok(),
            (Self::Text(text), None) => text.parse().ok(),
            (Self::Whole(_) | Self::Real(_), None) => None,
        }
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Whole(number) => write!(formatter, "{number}"),
            Self::Real(number) => write!(formatter, "{number}"),
        }
    }
}
