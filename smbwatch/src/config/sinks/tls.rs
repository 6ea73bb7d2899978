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

    /// Tells what is wrong with it, and what to do: `advice` has TLS spoken.
    pub(super) fn check(&self, is_spoken: bool, advice: &str) -> Result<(), String> {
        let Self { ca, certificate, key } = self;
        if !is_spoken && (ca.is_some() || certificate.is_some() || key.is_some()) {
            return Err(format!("certificates are for TLS; {advice}"));
        }
        if certificate.is_some() != key.is_some() {
            return Err("`certificate` and `key` belong together; give both, or neither".to_owned());
        }
        Ok(())
    }
}
