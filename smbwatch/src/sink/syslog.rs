//! Syslog by RFC 5424, over a Unix socket, UDP, TCP with octet counting or TLS.

mod stream;

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use nix::errno::Errno;

use super::stored::Stored;
use super::{Failure, Fate, Sink, encode};
use crate::config::sinks::{Receiver, SyslogTarget};
use stream::Stream;

/// How long connecting, and a receiver that takes nothing, may last.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a name that nobody answers for is believed to be where it was.
const BELIEF: Duration = Duration::from_secs(300);

/// A syslog receiver, connected to when there is something to say.
pub(super) struct Syslog {
    target: SyslogTarget,
    line: Option<Line>,
    /// When it was connected last, or tried to be.
    looked_up: Instant,
}

enum Line {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Stream(Box<Stream>),
}

impl Syslog {
    pub(super) fn new(target: SyslogTarget) -> Self {
        Self { target, line: None, looked_up: Instant::now() }
    }

    /// The line that there is, or another.
    fn line(&mut self) -> anyhow::Result<Line> {
        let is_old = matches!(self.line, Some(Line::Udp(_))) && self.looked_up.elapsed() > BELIEF;
        let kept = match self.line.take() {
            Some(line) if !is_old => return Ok(line),
            kept => kept,
        };
        self.looked_up = Instant::now();
        match (self.connect(), kept) {
            // Who cannot be looked up is where it was.
            (Err(_), Some(kept)) => Ok(kept),
            (connected, _) => connected,
        }
    }

    fn connect(&self) -> anyhow::Result<Line> {
        let address = &self.target.address;
        let connect = || -> anyhow::Result<Line> {
            Ok(match address {
                Receiver::Unix(path) => {
                    let socket = UnixDatagram::unbound()?;
                    socket.set_write_timeout(Some(PATIENCE))?;
                    socket.connect(path)?;
                    Line::Unix(socket)
                }
                Receiver::Udp(end) => Line::Udp(udp(end.addresses()?)?),
                Receiver::Tcp(end) => Line::Stream(Box::new(Stream::plain(end)?)),
                Receiver::Tls(end) => Line::Stream(Box::new(Stream::tls(end, &self.target.tls())?)),
            })
        };
        let advice =
            if matches!(address, Receiver::Unix(_)) { "; does a receiver listen there?" } else { "" };
        connect().with_context(|| format!("connect to {address}{advice}"))
    }

    fn send(&mut self, line: &mut Line, messages: &[Vec<u8>]) -> anyhow::Result<Vec<Fate>> {
        match line {
            Line::Unix(socket) => datagrams(messages, |message| socket.send(message)),
            Line::Udp(socket) => datagrams(messages, |message| socket.send(message)),
            Line::Stream(stream) => {
                stream.send(messages)?;
                Ok(vec![Fate::Delivered; messages.len()])
            }
        }
        .with_context(|| format!("send to {}", self.target.address))
    }
}

impl Sink for Syslog {
    fn deliver(&mut self, alerts: &[Stored]) -> Result<Vec<Fate>, Failure> {
        let SyslogTarget { facility, format, .. } = self.target;
        let messages: Vec<_> =
            alerts.iter().map(|alert| encode::syslog(&alert.open(), facility, format)).collect();
        let mut line = self.line().map_err(Failure::later)?;
        let fates = self.send(&mut line, &messages).map_err(Failure::later)?;
        // After a failure the next attempt connects anew.
        self.line = Some(line);
        Ok(fates)
    }

    fn check(&mut self) -> Result<(), Failure> {
        self.connect().map(drop).map_err(Failure::later)
    }
}

/// To the first address that there is a way to; the error is that of the last.
fn udp(addresses: Vec<SocketAddr>) -> anyhow::Result<UdpSocket> {
    let mut last = anyhow!("its name has no address");
    for address in addresses {
        let any = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any).and_then(|socket| socket.connect(address).map(|()| socket));
        match socket {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Sends each message as a datagram, up to the first that fails.
fn datagrams(
    messages: &[Vec<u8>],
    send: impl Fn(&[u8]) -> std::io::Result<usize>,
) -> anyhow::Result<Vec<Fate>> {
    let mut fates = Vec::with_capacity(messages.len());
    for message in messages {
        match send(message) {
            Ok(_) => fates.push(Fate::Delivered),
            Err(error) if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => {
                fates.push(Fate::Refused(format!(
                    "{} bytes are too long for a datagram; use tcp",
                    message.len()
                )));
            }
            Err(error) if fates.is_empty() => return Err(error.into()),
            Err(error) => {
                fates.resize(messages.len(), Fate::Again(error.to_string()));
                break;
            }
        }
    }
    Ok(fates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sinks::{End, Facility, Payload};

    fn target(host: &str, port: u16) -> SyslogTarget {
        SyslogTarget {
            address: Receiver::Udp(End { host: host.to_owned(), port }),
            format: Payload::Json,
            facility: Facility::Daemon,
            ca: None,
            certificate: None,
            key: None,
        }
    }

    #[test]
    fn a_name_is_looked_up_again_when_it_was_long_ago() {
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a receiver");
        receiver.set_read_timeout(Some(PATIENCE)).expect("set the patience");
        let port = receiver.local_addr().expect("an address").port();
        let mut sink = Syslog::new(target("127.0.0.1", port));
        let sender = |sink: &mut Syslog| {
            let alert = Stored::check(b"{}".to_vec()).expect("an alert");
            assert_eq!(sink.deliver(&[alert]).expect("sent"), [Fate::Delivered]);
            receiver.recv_from(&mut [0; 512]).expect("a message").1
        };
        let first = sender(&mut sink);
        assert_eq!(sender(&mut sink), first);
        let long_ago = Instant::now().checked_sub(BELIEF + Duration::from_secs(1));
        sink.looked_up = long_ago.expect("a time");
        let second = sender(&mut sink);
        assert_ne!(second, first);
        assert_eq!(sender(&mut sink), second);
    }

    #[test]
    fn who_cannot_be_looked_up_is_where_it_was() {
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a receiver");
        let port = receiver.local_addr().expect("an address").port();
        let mut sink = Syslog::new(target("127.0.0.1", port));
        sink.line = Some(sink.line().expect("a line"));
        // A name with a space has no address, and is asked of nobody.
        sink.target = target("no name", port);
        sink.looked_up = Instant::now().checked_sub(2 * BELIEF).expect("a time");
        assert!(sink.line().is_ok() && sink.line().is_err());
    }
}
