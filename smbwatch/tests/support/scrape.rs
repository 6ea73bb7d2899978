//! What an agent serves, read as any client would.

use std::io::{Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::lab::Lab;

/// The agent's Unix socket.
pub fn socket(lab: &Lab) -> PathBuf {
    lab.folder().join("run/metrics.sock")
}

/// Connects to the agent's Unix socket.
pub fn connect(lab: &Lab) -> UnixStream {
    UnixStream::connect(socket(lab)).expect("connect to the agent")
}

/// Sends a request that accepts a media type.
pub fn ask(stream: &mut UnixStream, target: &str, accept: &str) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: agent\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("send a request");
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Asks over the agent's Unix socket.
    pub fn of(lab: &Lab, target: &str, accept: &str) -> Self {
        let mut stream = connect(lab);
        ask(&mut stream, target, accept);
        Self::read(stream)
    }

    /// A scrape in Prometheus's own format.
    pub fn metrics(lab: &Lab) -> Self {
        let answer = Self::of(lab, "/metrics", "*/*");
        assert_eq!(answer.status, 200, "{}{}", answer.head, answer.body);
        answer
    }

    /// Reads a whole answer, after which the agent closes the connection.
    pub fn read(mut stream: impl Read) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("read an answer");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self { status: status.expect("a status"), head: head.to_owned(), body: body.to_owned() }
    }

    /// The sum of a metric's values that have this label.
    pub fn sum(&self, metric: &str, label: &str) -> u64 {
        let values: Vec<u64> = self
            .samples()
            .filter(|(name, labels, _)| *name == metric && labels.contains(label))
            .map(|(_, _, value)| value.parse().unwrap_or_else(|_| panic!("{metric} is {value}")))
            .collect();
        assert!(!values.is_empty(), "no {metric} with {label} in {}", self.body);
        values.iter().sum()
    }

    /// Name, labels and value of every sample.
    pub fn samples(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.body.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            (name, labels, value)
        })
    }
}
