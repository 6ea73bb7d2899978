//! The Docker Engine API, which Podman serves as well: docs.docker.com/reference/api/engine.
//!
//! Paths carry no version: each engine then takes its own newest, and the few fields read here have always
//! been there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;

use super::container::{self, Container, Pod};
use super::socket::{Driver, Error, MAX_ANSWER, connect};

/// Bytes of one event that are taken.
const MAX_EVENT: usize = 1 << 16;

/// The container of an identifier, running or not, or all that run.
pub(super) async fn list(
    socket: &Path,
    runtime: &'static str,
    id: Option<&str>,
) -> Result<Vec<Container>, Error> {
    let target = match id {
        Some(id) => format!("/containers/json?all=true&filters={}", filters(&[("id", &[id])])),
        None => "/containers/json".to_owned(),
    };
    let (body, _driver) = get(socket, &target).await?;
    let bytes =
        Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| Error::Broken(anyhow!(error)))?;
    let summaries: Vec<Summary> =
        serde_json::from_slice(&bytes.to_bytes()).context("the list of containers").map_err(Error::Broken)?;
    Ok(summaries.into_iter().map(|summary| summary.container(runtime)).collect())
}

/// What `/containers/json` says of a container.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    id: String,
    names: Option<Vec<String>>,
    image: Option<String>,
    #[serde(rename = "ImageID")]
    image_id: Option<String>,
    created: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
}

impl Summary {
    fn container(self, runtime: &'static str) -> Container {
        let labels = self.labels.unwrap_or_default();
        let names = self.names.unwrap_or_default();
        // Links to a container give it further names, `/other/alias`.
        let names = names.iter().filter_map(|name| name.strip_prefix('/'));
        let image = self.image.unwrap_or_default();
        Container {
            id: self.id,
            name: names.into_iter().find(|name| !name.contains('/')).and_then(container::text),
            image_digest: container::digest(self.image_id.as_deref().unwrap_or(&image)),
            image: container::text(&image),
            pod: Pod::of(&labels),
            labels: container::labels(&labels),
            runtime,
            created: self.created.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        }
    }
}

/// The stream of events.
pub(super) struct Events {
    body: Incoming,
    _driver: Driver,
    unread: Vec<u8>,
}

/// What is read of an event.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    actor: Actor,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
}

impl Events {
    /// Subscribes to containers that are made, start or are renamed. One that is asked for when it is made is
    /// known before it runs, however short it lives.
    pub(super) async fn subscribe(socket: &Path) -> Result<Self, Error> {
        let events = ["create", "start", "rename"];
        let filters = filters(&[("type", &["container"]), ("event", &events)]);
        let (body, driver) = get(socket, &format!("/events?filters={filters}")).await?;
        Ok(Self { body, _driver: driver, unread: Vec::new() })
    }

    /// The identifier of the next container; none at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let event: Event =
                    serde_json::from_slice(&line).context("an event").map_err(Error::Broken)?;
                return Ok(Some(event.actor.id));
            }
            if self.unread.len() > MAX_EVENT {
                return Err(Error::Broken(anyhow!("an event of more than {MAX_EVENT} bytes")));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.unread.extend(frame.data_ref().into_iter().flatten()),
                // A runtime that is killed does not take its leave.
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

/// Asks for `target`; the answer's body comes as long as the driver lives.
async fn get(socket: &Path, target: &str) -> Result<(Incoming, Driver), Error> {
    let (mut sender, connection) = http1::handshake(connect(socket).await?).await.map_err(Error::broken)?;
    let driver = Driver::of(connection);
    let request = Request::get(target).header(HOST, "docker").body(Empty::<Bytes>::new());
    let response = sender.send_request(request.map_err(Error::broken)?).await.map_err(Error::broken)?;
    match response.status() {
        StatusCode::OK => Ok((response.into_body(), driver)),
        status => Err(Error::Broken(anyhow!("GET {target}: {status}"))),
    }
}

/// `{"key":["value",…],…}`, encoded for a query. Keys and values are plain words.
fn filters(filters: &[(&str, &[&str])]) -> String {
    let filters: BTreeMap<_, _> = filters.iter().copied().collect();
    let json = serde_json::json!(filters).to_string();
    json.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
