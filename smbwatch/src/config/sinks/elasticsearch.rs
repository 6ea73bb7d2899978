//! What a sink of type `elasticsearch` means.

use std::path::PathBuf;

use serde::Deserialize;

use super::{HTTPS, Tls, Url};
use crate::sink::Secret;

/// A data stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElasticsearchTarget {
    /// Where the cluster answers.
    pub url: Url,
    /// The name of the data stream.
    #[serde(default = "data_stream")]
    pub data_stream: String,
    /// An API key, encoded as the cluster gives it.
    pub api_key: Option<Secret>,
    /// Who the agent is to a cluster without API keys.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// Certificates of the authorities that are trusted; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// The agent's own certificate, and those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

fn data_stream() -> String {
    "logs-smbwatch.alert-default".to_owned()
}

impl ElasticsearchTarget {
    pub(crate) fn tls(&self) -> Tls {
        Tls::of(&self.ca, &self.certificate, &self.key)
    }

    /// Tells what is wrong with it, and what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        let name = self.data_stream.as_bytes();
        let is_right = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let begins = name.first().is_some_and(u8::is_ascii_alphanumeric);
        if !begins || !name.iter().all(is_right) {
            return Err(format!(
                "the data stream `{}`; use lower-case letters, digits, `-`, `_` and `.`, and begin with a letter \
                 or a digit",
                self.data_stream
            ));
        }
        let mistake = match (&self.user, &self.password) {
            (Some(_), None) | (None, Some(_)) => {
                "`user` and `password` belong together; give both, or neither"
            }
            (Some(_), Some(_)) if self.api_key.is_some() => {
                "an `api_key` takes the place of `user` and `password`; remove the one or the others"
            }
            // RFC 7617, section 2.
            (Some(user), Some(_)) if user.is_empty() || user.contains(':') => {
                "a `user` that is empty or has a colon; name another"
            }
            (None, None) | (Some(_), Some(_)) => return self.tls().check(self.url.secure, HTTPS),
        };
        Err(mistake.to_owned())
    }
}
