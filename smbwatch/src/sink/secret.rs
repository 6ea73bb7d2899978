//! Keys that no message may show: they come from a file or the environment, never from the configuration itself.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use secrecy::SecretString;
use serde::Deserialize;

/// Where a key is found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Secret {
    /// In this file, whose first line it is.
    File(PathBuf),
    /// In the environment variable of this name.
    Env(String),
}

impl TryFrom<toml::Value> for Secret {
    type Error = &'static str;

    /// Who writes the key itself is not shown it by the error.
    fn try_from(value: toml::Value) -> Result<Self, Self::Error> {
        let mut entries = value.as_table().into_iter().flatten();
        match (entries.next(), entries.next()) {
            (Some((kind, toml::Value::String(place))), None) if kind == "file" => {
                Ok(Self::File(place.into()))
            }
            (Some((kind, toml::Value::String(place))), None) if kind == "env" => Ok(Self::Env(place.clone())),
            _ => Err(
                "a key is not written here; name where it is: `{ file = \"PATH\" }` or `{ env = \"NAME\" }`",
            ),
        }
    }
}

impl Secret {
    /// Reads it.
    pub(super) fn read(&self) -> anyhow::Result<SecretString> {
        let (text, place) = match self {
            Self::File(path) => {
                let place = path.display().to_string();
                (std::fs::read_to_string(path).with_context(|| format!("read the key in {place}"))?, place)
            }
            Self::Env(name) => {
                let place = format!("the environment variable {name}");
                // The error of the standard library would show what it holds.
                let text = std::env::var(name).ok();
                (text.with_context(|| format!("read the key in {place}: set it"))?, place)
            }
        };
        match text.lines().next().map(str::trim) {
            Some(key) if !key.is_empty() => Ok(SecretString::from(key)),
            _ => bail!("{place} holds no key; write it there"),
        }
    }
}
