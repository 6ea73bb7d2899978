//! Syslog over TCP (RFC 6587, octet counting) and TLS (RFC 5425).

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConnection, StreamOwned};

use super::PATIENCE;
use crate::config::sinks::End;
use crate::sink::tls;

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn plain(end: &End) -> anyhow::Result<Self> {
        Ok(Self::Plain(connect(end)?))
    }

    pub(super) fn tls(end: &End, ca: Option<&Path>) -> anyhow::Result<Self> {
        let connection = ClientConnection::new(Arc::new(tls::client(ca)?), tls::server_name(&end.host)?)?;
        let mut stream = StreamOwned::new(connection, connect(end)?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(tls::failure)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Sends each message behind its length. There is no answer in this protocol: sent is delivered.
    pub(super) fn send(&mut self, messages: &[Vec<u8>]) -> io::Result<()> {
        self.check_open()?;
        let mut bytes = Vec::new();
        for message in messages {
            write!(bytes, "{} ", message.len())?;
            bytes.extend(message);
        }
        match self {
            Self::Plain(stream) => stream.write_all(&bytes),
            Self::Tls(stream) => stream.write_all(&bytes).and_then(|()| stream.flush()),
        }
    }

    /// A receiver that has gone is noticed before more is sent to it, not after.
    fn check_open(&mut self) -> io::Result<()> {
        self.socket().set_nonblocking(true)?;
        let read = match self {
            Self::Plain(stream) => stream.read(&mut [0; 64]),
            Self::Tls(stream) => stream.read(&mut [0; 64]),
        };
        self.socket().set_nonblocking(false)?;
        match read {
            Ok(0) => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the receiver has closed it")),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    const fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

fn connect(end: &End) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&end.address()?, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
