//! Questions to the running agent, over its Unix socket.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::config::metrics::SOCKET;

/// How long an agent may take that is busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where an agent with this folder for files of a run answers.
pub fn socket(run_dir: &Path) -> PathBuf {
    run_dir.join(SOCKET)
}

/// Asks the agent at `socket`; none where no agent runs.
pub fn ask<T: DeserializeOwned>(socket: &Path, target: &str) -> anyhow::Result<Option<T>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = async { tokio::time::timeout(PATIENCE, get(socket, target)).await };
    let answer = runtime.context("start the runtime")?.block_on(answer);
    let answer = answer.with_context(|| format!("{}: no answer within {PATIENCE:?}", socket.display()))?;
    match answer.with_context(|| format!("ask the agent at {}", socket.display()))? {
        Some(body) => Ok(Some(serde_json::from_slice(&body).context("read the agent's answer")?)),
        None => Ok(None),
    }
}

async fn get(socket: &Path, target: &str) -> anyhow::Result<Option<Bytes>> {
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("{error}; ask as its owner or group, or name a file by --config");
        }
        Err(error) => return Err(error.into()),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Whoever waits for the answer is told as well.
    let driver = tokio::spawn(connection);
    let request = Request::get(target).header(HOST, "agent").body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    driver.abort();
    if status != StatusCode::OK {
        bail!("{status}: {}", String::from_utf8_lossy(&body).trim());
    }
    Ok(Some(body))
}
