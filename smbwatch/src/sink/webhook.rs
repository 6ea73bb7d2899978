//! A web service that alerts are posted to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use ring::hmac;
use secrecy::ExposeSecret as _;

use super::http::{Client, Headers};
use super::stored::Stored;
use super::{Failure, Fate, Secret, Sink, encode};
use crate::config::sinks::{Template, WebhookTarget};

/// `sha256=` and the HMAC of the body in hexadecimal digits, as GitHub's webhooks have it.
const SIGNATURE: HeaderName = HeaderName::from_static("x-smbwatch-signature");

/// How long alerts are posted one by one before what became of them is noted.
const WHILE: Duration = Duration::from_secs(2);

pub(super) struct Webhook {
    client: Client,
    path: String,
    one_by_one: bool,
    template: Option<Template>,
    key: Option<hmac::Key>,
    headers: Headers,
}

impl Webhook {
    pub(super) fn new(target: &WebhookTarget) -> anyhow::Result<Self> {
        let key = target.hmac.as_ref().map(Secret::read).transpose()?;
        let key = key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes()));
        Ok(Self {
            client: Client::new(&target.url, target.tls())?,
            path: target.url.path.clone(),
            one_by_one: target.is_one_by_one(),
            template: target.template.clone(),
            key,
            headers: headers(target.bearer.as_ref(), &target.headers)?,
        })
    }

    fn post_one(&mut self, alert: &Stored) -> Result<(), Failure> {
        let body = match &self.template {
            Some(template) => template.render(&alert.open().fields).map_err(Failure::Refused)?.into_bytes(),
            None => alert.json.clone(),
        };
        self.post(body, "application/json")
    }

    fn post(&mut self, body: Vec<u8>, content: &'static str) -> Result<(), Failure> {
        let mut headers: Headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content))];
        headers.extend(self.headers.iter().cloned());
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
        if !self.one_by_one {
            self.post(encode::lines(alerts), "application/x-ndjson")?;
            return Ok(vec![Fate::Delivered; alerts.len()]);
        }
        let (mut fates, until) = (Vec::new(), Instant::now() + WHILE);
        for alert in alerts {
            match self.post_one(alert) {
                Ok(()) => fates.push(Fate::Delivered),
                Err(Failure::Refused(reason)) => fates.push(Fate::Refused(reason)),
                Err(failure) if fates.is_empty() => return Err(failure),
                // It is the first of the next attempt, which tells why.
                Err(_) => break,
            }
            if Instant::now() > until {
                break;
            }
        }
        Ok(fates)
    }

    fn check(&mut self) -> Result<(), Failure> {
        self.client.check()
    }
}

/// The headers that hold keys.
pub(super) fn headers(
    bearer: Option<&Secret>,
    further: &BTreeMap<String, Secret>,
) -> anyhow::Result<Headers> {
    let mut headers = Headers::new();
    headers.extend(authorization("Bearer", bearer)?.map(|value| (AUTHORIZATION, value)));
    for (name, secret) in further {
        headers.push((HeaderName::from_bytes(name.as_bytes())?, hidden(secret.read()?.expose_secret())?));
    }
    Ok(headers)
}

/// A header that no debug form shows.
pub(super) fn authorization(scheme: &str, key: Option<&Secret>) -> anyhow::Result<Option<HeaderValue>> {
    let Some(key) = key else { return Ok(None) };
    hidden(&format!("{scheme} {}", key.read()?.expose_secret())).map(Some)
}

/// The same of any text.
pub(super) fn hidden(value: &str) -> anyhow::Result<HeaderValue> {
    let value = HeaderValue::try_from(value).ok();
    let mut value = value.context("a key with characters that no header can have; look at its file")?;
    value.set_sensitive(true);
    Ok(value)
}
