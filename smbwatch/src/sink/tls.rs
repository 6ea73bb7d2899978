//! What sinks need of TLS: whom to trust, and how to say who is called.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};

use crate::config::sinks::Tls;

/// Trusts the authorities in the PEM file `ca`, or those of the system; shows its own certificate, if it has one, to
/// those who ask for it.
pub(super) fn client(tls: &Tls) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(authorities(tls.ca.as_deref())?);
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let name = || format!("read the key in {}", key.display());
    let private = PrivateKeyDer::from_pem_file(key).with_context(name)?;
    let name = || format!("use {} with the key in {}", certificate.display(), key.display());
    builder.with_client_auth_cert(certificates(certificate)?, private).with_context(name)
}

fn authorities(ca: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            roots.add(certificate).with_context(|| reading(path))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let place = ca.map_or_else(|| "this system".into(), |path| path.display().to_string());
    anyhow::ensure!(!roots.is_empty(), "{place} holds no certificates of authorities; name some by `ca`");
    Ok(roots)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.with_context(|| reading(path))
}

fn reading(path: &Path) -> String {
    format!("read the certificates in {}", path.display())
}

/// The name that the other side's certificate must have.
pub(super) fn server_name(host: &str) -> anyhow::Result<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).with_context(|| format!("`{host}` is no name of a server"))
}

/// Why a handshake failed, and what to do about it.
pub(super) fn failure(error: io::Error) -> anyhow::Error {
    let advice = error.get_ref().and_then(|inner| inner.downcast_ref()).and_then(advice);
    match advice {
        Some(advice) => anyhow!("{error}; {advice}"),
        None => error.into(),
    }
}

/// Whether the other side has ended it, and said why.
pub(super) fn is_alert(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(Error::AlertReceived(_)))
}

fn advice(error: &Error) -> Option<&'static str> {
    if let Error::InvalidCertificate(why) = error {
        // Another authority of the same name has signed differently.
        let strange = matches!(why, CertificateError::UnknownIssuer | CertificateError::BadSignature);
        return strange.then_some("name the authority that has issued it by `ca`");
    }
    if let Error::AlertReceived(alert) = error {
        return about_alert(*alert);
    }
    matches!(error, Error::InvalidMessage(_)).then_some("TLS is not spoken there")
}

#[expect(clippy::wildcard_enum_match_arm, reason = "there is no advice on the others")]
const fn about_alert(alert: AlertDescription) -> Option<&'static str> {
    match alert {
        AlertDescription::NoApplicationProtocol => {
            Some("something else is spoken there; correct `url` or `protocol`")
        }
        AlertDescription::CertificateRequired => Some("name `certificate` and `key`"),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::UnsupportedCertificate => Some("it does not take this `certificate`"),
        _ => None,
    }
}
