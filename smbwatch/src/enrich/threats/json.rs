//! What both JSON formats are read with.

use std::fmt;
use std::io::Read;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Entry, Error, MAX_PREFIXES};

/// Reads one document.
pub(super) fn read<T: DeserializeOwned>(text: impl Read, path: &Path) -> Result<T, Error> {
    serde_json::from_reader(text).map_err(|error| {
        let path = path.to_owned();
        let (line, column, message) = (error.line(), error.column(), error.to_string());
        if error.is_io() {
            return Error::Read { path, error: error.into() };
        }
        // The place is at the end of serde_json's messages too.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        Error::Wrong { path, line, column, message }
    })
}

/// One of a list that may hold an entry.
pub(super) trait Item: DeserializeOwned {
    /// The entry, if it is about addresses; or what is wrong.
    fn entry(self) -> Result<Option<Entry>, String>;
}

/// Reads a list, of which only the entries are kept.
pub(super) fn entries<'de, I: Item, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    struct Entries<I>(PhantomData<I>);

    impl<'de, I: Item> Visitor<'de> for Entries<I> {
        type Value = Vec<Entry>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let (mut entries, mut prefixes) = (Vec::new(), 0);
            while let Some(item) = items.next_element::<I>()? {
                let Some(entry) = item.entry().map_err(A::Error::custom)? else { continue };
                prefixes += entry.prefixes.len();
                if prefixes > MAX_PREFIXES {
                    return Err(A::Error::custom(format_args!("more than {MAX_PREFIXES} prefixes")));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_seq(Entries::<I>(PhantomData))
}

/// One of a kind, or a list of them.
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object or a list of objects")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut many = Vec::new();
                while let Some(item) = items.next_element()? {
                    if many.len() >= MAX_PREFIXES {
                        return Err(A::Error::custom(format_args!("more than {MAX_PREFIXES} objects")));
                    }
                    many.push(item);
                }
                Ok(OneOrMany(many))
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}
