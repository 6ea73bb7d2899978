//! A data stream of Elasticsearch or OpenSearch, written by `_bulk`, whose items are answered one by one.

mod answer;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret as _;

use super::http::{Client, Headers};
use super::stored::Stored;
use super::webhook;
use super::{Failure, Fate, Sink, encode};
use crate::config::sinks::ElasticsearchTarget;

/// Only what is read of the answer; and how long the cluster waits for a shard, by default longer than is waited for it.
const QUERY: &str = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason&timeout=10s";

pub(super) struct Elasticsearch {
    client: Client,
    folder: String,
    data_stream: String,
    authorization: Option<HeaderValue>,
}

impl Elasticsearch {
    pub(super) fn new(target: &ElasticsearchTarget) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(&target.url, target.tls())?,
            folder: target.url.path.trim_end_matches('/').to_owned(),
            data_stream: target.data_stream.clone(),
            authorization: authorization(target)?,
        })
    }

    fn headers(&self) -> Headers {
        let content = (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let key = self.authorization.clone().map(|value| (AUTHORIZATION, value));
        std::iter::once(content).chain(key).collect()
    }
}

impl Sink for Elasticsearch {
    fn deliver(&mut self, alerts: &[Stored]) -> Result<Vec<Fate>, Failure> {
        let path = format!("{}/{}/_bulk?{QUERY}", self.folder, self.data_stream);
        let answer = self.client.send(Method::POST, &path, self.headers(), encode::bulk(alerts))?;
        if let Some(failure) = answer.failure() {
            return Err(failure);
        }
        let fates = answer::fates(&answer.body).context("an answer that _bulk does not give");
        let fates = fates.map_err(Failure::later)?;
        if fates.len() != alerts.len() {
            let (told, sent) = (fates.len(), alerts.len());
            return Err(Failure::later(anyhow!("answered for {told} of {sent} documents")));
        }
        Ok(fates)
    }

    /// Asks who it is, which needs the key.
    fn check(&mut self) -> Result<(), Failure> {
        self.client.check()?;
        let path = format!("{}/", self.folder);
        let answer = self.client.send(Method::GET, &path, self.headers(), Vec::new())?;
        answer.failure().map_or(Ok(()), Err)
    }
}

fn authorization(target: &ElasticsearchTarget) -> anyhow::Result<Option<HeaderValue>> {
    let (Some(user), Some(password)) = (&target.user, &target.password) else {
        return webhook::authorization("ApiKey", target.api_key.as_ref());
    };
    let pair = format!("{user}:{}", password.read()?.expose_secret());
    webhook::hidden(&format!("Basic {}", STANDARD.encode(pair))).map(Some)
}
