//! What sinks need of TLS: whom to trust, and how to say who is called.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};

/// Trusts the authorities in the PEM file `ca`, or those of the system.
pub(super) fn client(ca: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        let name = || format!("read the certificates in {}", path.display());
        for certificate in CertificateDer::pem_file_iter(path).with_context(name)? {
            roots.add(certificate.with_context(name)?).with_context(name)?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let place = ca.map_or_else(|| "this system".into(), |path| path.display().to_string());
    anyhow::ensure!(!roots.is_empty(), "{place} holds no certificates of authorities; name some by `ca`");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
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

fn advice(error: &Error) -> Option<&'static str> {
    if let Error::InvalidCertificate(why) = error {
        // Another authority of the same name has signed differently.
        let strange = matches!(why, CertificateError::UnknownIssuer | CertificateError::BadSignature);
        return strange.then_some("name the authority that has issued it by `ca`");
    }
    if matches!(error, Error::AlertReceived(AlertDescription::NoApplicationProtocol)) {
        return Some("something else is spoken there; correct `url` or `protocol`");
    }
    matches!(error, Error::InvalidMessage(_)).then_some("TLS is not spoken there")
}
