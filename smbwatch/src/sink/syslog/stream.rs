//! Syslog over TCP (RFC 6587, octet counting) and TLS (RFC 5425).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use super::PATIENCE;
use crate::config::sinks::{End, Tls};
use crate::sink::addresses::shares;
use crate::sink::tls;

/// The least time that a receiver has to say what it thinks of a handshake.
const FIRST_WORD: Duration = Duration::from_millis(200);

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn plain(end: &End) -> anyhow::Result<Self> {
        Ok(Self::Plain(connect(end.addresses()?, PATIENCE)?))
    }

    pub(super) fn tls(end: &End, tls: &Tls) -> anyhow::Result<Self> {
        let config = Arc::new(tls::client(tls)?);
        let connection = ClientConnection::new(config, tls::server_name(&end.host)?)?;
        let began = Instant::now();
        let mut stream = StreamOwned::new(connection, connect(end.addresses()?, PATIENCE)?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(tls::failure)?;
        }
        first_word(&mut stream, FIRST_WORD + 2 * began.elapsed()).map_err(tls::failure)?;
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
            Ok(0) => Err(closed()),
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

impl Drop for Stream {
    /// RFC 5425, section 4.4: the sender says that it closes. A receiver that takes nothing is not waited for.
    fn drop(&mut self) {
        if let Self::Tls(stream) = self {
            let StreamOwned { conn, sock } = &mut **stream;
            conn.send_close_notify();
            let _ = sock.set_nonblocking(true);
            // What is unread would have the kernel reset the connection, and drop what is on its way.
            let _ = conn.read_tls(sock);
            while conn.wants_write() && conn.write_tls(sock).is_ok_and(|sent| sent > 0) {}
        }
    }
}

/// A receiver judges the certificate of a client, or that there is none, after the client's part of the handshake is
/// over (RFC 8446, section 2). What is sent before it has would be lost and count as delivered. Most say something,
/// a session ticket at the least; those who do not are taken at their silence.
fn first_word(stream: &mut StreamOwned<ClientConnection, TcpStream>, patience: Duration) -> io::Result<()> {
    stream.sock.set_read_timeout(Some(patience.min(PATIENCE)))?;
    match stream.conn.read_tls(&mut stream.sock) {
        Ok(0) => return Err(closed()),
        Ok(_) => {
            stream.conn.process_new_packets().map_err(io::Error::other)?;
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
        Err(error) => return Err(error),
    }
    stream.sock.set_read_timeout(Some(PATIENCE))
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the receiver has closed it")
}

/// To the first address that answers; the error is that of the last.
fn connect(addresses: Vec<SocketAddr>, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other("its name has no address");
    for (address, share) in shares(addresses, patience) {
        match TcpStream::connect_timeout(&address, share) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::sink::addresses::black_hole;

    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let (silent, _kept) = black_hole();
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let open = listener.local_addr().expect("an address");
        let patience = Duration::from_millis(600);
        let stream = connect(vec![silent, open], patience).expect("a connection");
        assert_eq!(stream.peer_addr().expect("an address"), open);
        drop(listener);
        let kind = |addresses| connect(addresses, patience).expect_err("no connection").kind();
        assert_eq!(kind(vec![silent, open]), io::ErrorKind::ConnectionRefused);
        assert_eq!(kind(vec![open, silent]), io::ErrorKind::TimedOut);
    }
}
