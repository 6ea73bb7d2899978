//! Clients and servers inside a lab, as sockets of the test itself.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

use super::agent::PATIENCE;
use super::lab::{End, HOST, HOST6, Lab};

/// A listener at the lab's Internet end.
pub fn listen(lab: &Lab, address: &str, port: u16) -> TcpListener {
    let address = to(address, port);
    lab.inside(End::Net, || TcpListener::bind(address)).unwrap_or_else(|error| panic!("{address}: {error}"))
}

/// A connection from the private host.
pub fn connect(lab: &Lab, address: &str, port: u16) -> std::io::Result<TcpStream> {
    let address = to(address, port);
    lab.inside(End::Host, || TcpStream::connect_timeout(&address, PATIENCE))
}

/// A first SYN from the private host, which is sent when this returns. What comes of it is not waited for.
pub fn attempt(lab: &Lab, address: &str, port: u16) -> Socket {
    let address = to(address, port);
    lab.inside(End::Host, || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP));
        let socket = socket.expect("make a socket");
        socket.set_nonblocking(true).expect("make a socket non-blocking");
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => socket,
            result => panic!("{address}: {result:?}"),
        }
    })
}

/// The private host's address of the family of `address`.
pub fn from(address: IpAddr) -> IpAddr {
    let text = if address.is_ipv4() { HOST } else { HOST6 };
    text.parse().expect("an address")
}

/// An address and a port.
pub fn to(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap_or_else(|error| panic!("{address}: {error}")), port)
}
