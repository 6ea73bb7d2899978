//! The files of certificates that a sink names.

use std::path::{Path, PathBuf};

/// Whom to trust, and who the agent is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tls<'a> {
    /// The authorities; without it, those of the system.
    pub(crate) ca: Option<&'a Path>,
    /// The agent's own certificate, and those that lead to its authority.
    pub(crate) certificate: Option<&'a Path>,
    /// Its private key.
    pub(crate) key: Option<&'a Path>,
}

impl<'a> Tls<'a> {
    pub(super) fn of(
        ca: &'a Option<PathBuf>,
        certificate: &'a Option<PathBuf>,
        key: &'a Option<PathBuf>,
    ) -> Self {
        Self { ca: ca.as_deref(), certificate: certificate.as_deref(), key: key.as_deref() }
    }

    /// What is wrong with it, and what to do; `scheme` is that of an address where TLS is spoken.
    pub(super) fn mistake(self, is_spoken: bool, scheme: &str) -> Option<String> {
        let Self { ca, certificate, key } = self;
        if !is_spoken && (ca.is_some() || certificate.is_some() || key.is_some()) {
            return Some(format!("certificates are for TLS; write `{scheme}://`"));
        }
        let is_half = certificate.is_some() != key.is_some();
        is_half.then(|| "`certificate` and `key` belong together; give both, or neither".to_owned())
    }
}
