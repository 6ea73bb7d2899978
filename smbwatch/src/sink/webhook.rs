//! A web service that alerts are posted to.

use anyhow::Context as _;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use ring::hmac;
use secrecy::ExposeSecret as _;

use super::http::{Client, Headers};
use super::stored::Stored;
use super::{Failure, Fate, Secret, Sink, encode};
use crate::config::sinks::{Body, WebhookTarget};

/// `sha256=` and the HMAC of the body in hexadecimal digits, as GitHub's webhooks have it.
const SIGNATURE: HeaderName = HeaderName::from_static("x-smbwatch-signature");

pub(super) struct Webhook {
    client: Client,
    path: String,
    body: Body,
    key: Option<hmac::Key>,
    authorization: Option<HeaderValue>,
}

impl Webhook {
    pub(super) fn new(target: &WebhookTarget) -> anyhow::Result<Self> {
        let key = target.hmac.as_ref().map(Secret::read).transpose()?;
        let key = key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes()));
        Ok(Self {
            client: Client::new(&target.url, target.ca.as_deref())?,
            path: target.url.path.clone(),
            body: target.body,
            key,
            authorization: authorization("Bearer", target.bearer.as_ref())?,
        })
    }

    fn post(&mut self, body: Vec<u8>, content: &'static str) -> Result<(), Failure> {
        let mut headers: Headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content))];
        headers.extend(self.authorization.clone().map(|value| (AUTHORIZATION, value)));
        if let Some(key) = &self.key {
            let digits: String =
                hmac::sign(key, &body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            let value = HeaderValue::try_from(format!("sha256={digits}")).map_err(Failure::later)?;
            headers.push((SIGNATURE, value));
        }
        let answer = self.client.send(Method::POST, &self.path, headers, body)?;
        answer.failure().map_or(Ok(()), Err)
    }
}

impl Sink for Webhook {
    fn deliver(&mut self, alerts: &[Stored]) -> Result<Vec<Fate>, Failure> {
        if self.body == Body::Lines {
            self.post(encode::lines(alerts), "application/x-ndjson")?;
            return Ok(vec![Fate::Delivered; alerts.len()]);
        }
        let mut fates = Vec::with_capacity(alerts.len());
        for alert in alerts {
            match self.post(alert.json.clone(), "application/json") {
                Ok(()) => fates.push(Fate::Delivered),
                Err(Failure::Refused(reason)) => fates.push(Fate::Refused(reason)),
                Err(failure) if fates.is_empty() => return Err(failure),
                Err(failure) => {
                    fates.resize(alerts.len(), Fate::Again(failure.to_string()));
                    break;
                }
            }
        }
        Ok(fates)
    }

    fn check(&mut self) -> Result<(), Failure> {
        self.client.check()
    }
}

/// A header that no debug form shows.
pub(super) fn authorization(scheme: &str, key: Option<&Secret>) -> anyhow::Result<Option<HeaderValue>> {
    let Some(key) = key else { return Ok(None) };
    let value = format!("{scheme} {}", key.read()?.expose_secret());
    let value = HeaderValue::try_from(value).ok();
    let mut value = value.context("a key with characters that no header can have; look at its file")?;
    value.set_sensitive(true);
    Ok(Some(value))
}
