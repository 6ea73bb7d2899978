//! Keys that no message may show: they come from a file or the environment, never from the configuration itself.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use secrecy::SecretString;
use serde::Deserialize;

/// Where a key is found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// In this file, whose first line it is.
    File(PathBuf),
    /// In the environment variable of this name.
    Env(String),
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
