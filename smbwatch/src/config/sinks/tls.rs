//! The files of certificates that a sink names.

use std::path::PathBuf;

/// Whom to trust, and who the agent is.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// The authorities; without it, those of the system.
    pub(crate) ca: Option<PathBuf>,
    /// The agent's own certificate, and those that lead to its authority.
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key.
    pub(crate) key: Option<PathBuf>,
}

impl Tls {
    pub(super) fn of(ca: &Option<PathBuf>, certificate: &Option<PathBuf>, key: &Option<PathBuf>) -> Self {
        Self { ca: ca.clone(), certificate: certificate.clone(), key: key.clone() }
    }

    /// What is wrong with it, and what to do; `scheme` is that of an address where TLS is spoken.
    pub(super) fn mistake(&self, is_spoken: bool, scheme: &str) -> Option<String> {
        let Self { ca, certificate, key } = self;
        if !is_spoken && (ca.is_some() || certificate.is_some() || key.is_some()) {
            return Some(format!("certificates are for TLS; write `{scheme}://`"));
        }
        let is_half = certificate.is_some() != key.is_some();
        is_half.then(|| "`certificate` and `key` belong together; give both, or neither".to_owned())
    }
}
