//! Where syslog goes: `unix:///PATH`, `udp://HOST:PORT`, `tcp://HOST:PORT` or `tls://HOST:PORT`.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use serde::Deserialize;

/// A syslog receiver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Receiver {
    /// A Unix datagram socket.
    Unix(PathBuf),
    /// RFC 5426.
    Udp(End),
    /// RFC 6587 with octet counting.
    Tcp(End),
    /// RFC 5425.
    Tls(End),
}

/// A host by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct End {
    /// The host; an IPv6 address is in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl End {
    /// Looks it up.
    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_string().to_socket_addrs()?.collect())
    }
}

impl End {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty() && !host.contains(['/', ','])).then(|| Self { host: host.to_owned(), port })
    }
}

impl TryFrom<String> for End {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no address; write `HOST:PORT`"))
    }
}

impl TryFrom<String> for Receiver {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let end = End::parse;
        let parsed = text.split_once("://").and_then(|(scheme, rest)| match scheme {
            "unix" if rest.starts_with('/') => Some(Self::Unix(rest.into())),
            "udp" => end(rest).map(Self::Udp),
            "tcp" => end(rest).map(Self::Tcp),
            "tls" => end(rest).map(Self::Tls),
            _ => None,
        });
        parsed.ok_or_else(|| {
            format!(
                "`{text}` is no syslog address; write `tls://HOST:6514` (or tcp, udp), or `unix:///run/syslog.sock`"
            )
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Udp(end) => write!(formatter, "udp://{end}"),
            Self::Tcp(end) => write!(formatter, "tcp://{end}"),
            Self::Tls(end) => write!(formatter, "tls://{end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in [
            "unix:///run/syslog.sock",
            "udp://siem:514",
            "tcp://[2001:db8::1]:601",
            "tls://siem.example.org:6514",
        ] {
            assert_eq!(Receiver::try_from(text.to_owned()).map(|read| read.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "/dev/log",
            "unix://run/syslog.sock",
            "tcp://siem",
            "tcp://siem:0",
            "tcp://:1",
            "http://siem:80",
            "udp://a/b:1",
        ] {
            assert!(Receiver::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
