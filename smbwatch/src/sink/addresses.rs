//! The addresses of a name: one that does not answer leaves the others their share of the time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The least that is waited for one.
const LEAST: Duration = Duration::from_millis(100);

/// Each address in turn, and how long it may take: an equal share of what those before it have left.
pub(super) fn shares(
    addresses: Vec<SocketAddr>,
    patience: Duration,
) -> impl Iterator<Item = (SocketAddr, Duration)> {
    let until = Instant::now() + patience;
    let count = addresses.len();
    addresses.into_iter().enumerate().map(move |(index, address)| {
        let waiting = u32::try_from(count - index).unwrap_or(u32::MAX);
        let left = until.saturating_duration_since(Instant::now());
        (address, (left / waiting).max(LEAST))
    })
}

/// An address that does not answer, while what is given with it lives.
#[cfg(test)]
pub(super) fn black_hole() -> (SocketAddr, [socket2::Socket; 2]) {
    let socket =
        || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let (listener, first) = (socket(), socket());
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bind");
    // There is room for one, whom nobody accepts.
    listener.listen(0).expect("listen");
    let address = listener.local_addr().expect("an address");
    first.connect(&address).expect("connect");
    (address.as_socket().expect("an address"), [listener, first])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_share_of_what_is_left() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let patience = Duration::from_secs(60);
        let shares: Vec<_> = shares(vec![address(1), address(2), address(3)], patience).collect();
        // None of them took any time here.
        for ((told, share), (port, expected)) in shares.into_iter().zip([(1, 20), (2, 30), (3, 60)]) {
            assert_eq!(told, address(port));
            let expected = Duration::from_secs(expected);
            assert!(share <= expected && share > expected * 9 / 10, "{share:?}");
        }
    }

    #[test]
    fn the_time_is_over_for_none() {
        let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 1)); 2];
        assert!(shares(addresses, Duration::ZERO).all(|(_, share)| share == LEAST));
    }
}
