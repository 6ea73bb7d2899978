//! What a sink of type `webhook` means.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hyper::header::HeaderName;
use serde::Deserialize;

use super::{HTTPS, Template, Tls, Url};
use crate::sink::Secret;

/// A web service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookTarget {
    /// Where alerts are posted to.
    pub url: Url,
    /// How many at once.
    pub body: Option<Body>,
    /// What is sent of an alert, where it is not the document.
    pub template: Option<Template>,
    /// The key of an HMAC-SHA256 of the body.
    pub hmac: Option<Secret>,
    /// Further headers, whose values are keys.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// A token for the `Authorization` header.
    pub bearer: Option<Secret>,
    /// Certificates of the authorities that are trusted; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// The agent's own certificate, and those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

impl WebhookTarget {
    pub(crate) fn tls(&self) -> Tls {
        Tls::of(&self.ca, &self.certificate, &self.key)
    }

    /// Whether each alert is a request.
    pub(crate) fn is_one_by_one(&self) -> bool {
        self.template.is_some() || self.body == Some(Body::One)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.template.is_some() && self.body == Some(Body::Lines) {
            return Err("a `template` makes one request of each alert; remove `body`".to_owned());
        }
        check_headers(&self.headers, |name| {
            let bearer = self.bearer.is_some() && name == "authorization";
            bearer || ["content-type", "content-length", "host", "x-smbwatch-signature"].contains(&name)
        })?;
        self.tls().check(self.url.secure, HTTPS)
    }
}

/// Checks the names of further headers, of which none may be ours.
pub(super) fn check_headers(
    headers: &BTreeMap<String, Secret>,
    is_ours: impl Fn(&str) -> bool,
) -> Result<(), String> {
    for name in headers.keys() {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(header) if is_ours(header.as_str()) => {
                return Err(format!("the header `{name}` is set already; remove it from `headers`"));
            }
            Ok(_) => {}
            Err(_) => return Err(format!("`{name}` cannot be the name of a header")),
        }
    }
    Ok(())
}

/// What one request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// One document a line.
    Lines,
    /// One document.
    One,
}
