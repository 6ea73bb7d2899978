//! What the agent's own commands ask: it names hosts and owners, so that only the Unix socket tells it.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::answer::{health, plain, response};
use super::scrapes::{Asked, Scrapes};
use crate::explain::Packet;

/// `/exceptions`, or `/explain/SOURCE/DESTINATION/PORT`, as JSON.
pub(super) async fn answer(path: &str, scrapes: &Scrapes) -> Response<Full<Bytes>> {
    let words: Vec<&str> = path.split('/').skip(1).collect();
    match words[..] {
        ["exceptions"] => json(scrapes.ask(Asked::Exceptions).await),
        ["explain", source, destination, port] => match Packet::parse(source, destination, port) {
            Ok(packet) => json(scrapes.ask(|reply| Asked::Explanation(packet, reply)).await),
            Err(error) => plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
        },
        _ => {
            let there_are =
                "there are /metrics, /healthz, /exceptions and /explain/SOURCE/DESTINATION/PORT\n";
            plain(StatusCode::NOT_FOUND, there_are.to_owned())
        }
    }
}

fn json(answer: Option<impl Serialize>) -> Response<Full<Bytes>> {
    let Some(answer) = answer else { return health(None) };
    match serde_json::to_vec(&answer) {
        Ok(text) => response(StatusCode::OK, "application/json", text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}
