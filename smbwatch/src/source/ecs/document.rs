//! Goes through a document once and takes the fields that matter; the rest is skipped unread.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::Problem;
use super::fields::{Fields, Scalar};
use super::place::Place;

/// Takes the fields of one line.
pub(super) fn parse(line: &[u8]) -> Result<Fields<'_>, Problem> {
    if !line.trim_ascii_start().starts_with(b"{") {
        // What is no JSON at all is an error of its own.
        let _: IgnoredAny = serde_json::from_slice(line)?;
        return Err(Problem::NoObject);
    }
    let mut fields = Fields::default();
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let walk = Walk { place: Place::Root, fields: &mut fields };
    let walked = walk.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if fields.search {
        return Err(Problem::Search);
    }
    walked?;
    Ok(fields)
}

/// Reads the value at a place.
struct Walk<'f, 'de> {
    place: Place,
    fields: &'f mut Fields<'de>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.place == Place::Hits {
            self.fields.search = true;
            return Err(A::Error::custom("a search"));
        }
        while let Some(place) = map.next_key_seed(Key(self.place))? {
            if place == Place::Elsewhere {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Walk { place, fields: self.fields })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(Walk { place: self.place, fields: self.fields })?.is_some() {}
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.fields.set(self.place, Scalar::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.fields.set(self.place, Scalar::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.fields.set(self.place, Scalar::Whole(number));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.fields.set(self.place, Scalar::Real(number as f64));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.fields.set(self.place, Scalar::Real(number));
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a key of the object at a place: the place that it leads to.
struct Key(Place);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Place;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Place, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Place;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Place, E> {
        Ok(self.0.follow(key))
    }
}
