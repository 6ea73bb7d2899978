//! What is spoken, by the first bytes: port 445 does not make it SMB.

use super::transport;

/// What the first bytes of a connection look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// SMB, or the NetBIOS session that carries it.
    Smb,
    /// TLS, from its handshake or an alert (RFC 8446 section 5.1).
    Tls,
    /// HTTP (RFC 9112).
    Http,
    /// SSH (RFC 4253 section 4.2).
    Ssh,
    /// None of these.
    Other,
}

/// How a request begins; the last is the preface of HTTP/2 (RFC 9113 section 3.4).
const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"PUT ",
    b"HEAD ",
    b"POST ",
    b"PATCH ",
    b"TRACE ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"PRI * ",
];

/// Goes by the client's bytes, or by the server's while the client is silent.
pub(super) fn guess(client: &[u8], server: &[u8]) -> Option<Protocol> {
    let bytes = if client.is_empty() { server } else { client };
    match bytes {
        _ if transport::begins(bytes) => Some(Protocol::Smb),
        [0x15 | 0x16, 3, 0..=4, ..] => Some(Protocol::Tls),
        _ if METHODS.iter().any(|method| bytes.starts_with(method)) => Some(Protocol::Http),
        _ if bytes.starts_with(b"HTTP/") => Some(Protocol::Http),
        _ if bytes.starts_with(b"SSH-") => Some(Protocol::Ssh),
        // The longest of what is compared above.
        _ if bytes.len() >= 8 => Some(Protocol::Other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        for (client, server, expected) in [
            (&b""[..], &b""[..], None),
            (b"GET", b"", None),
            (b"GET / HTTP/1.1\r\n", b"", Some(Protocol::Http)),
            (b"CONNECT ", b"", Some(Protocol::Http)),
            (b"PRI * HTTP/2.0\r\n", b"", Some(Protocol::Http)),
            (b"", b"SSH-2.0-OpenSSH_9.9\r\n", Some(Protocol::Ssh)),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"SSH-", Some(Protocol::Tls)),
            (b"\0\0\0\x54\xfeSMB", b"", Some(Protocol::Smb)),
            (b"\0\0\0\x54\xfdSMB", b"", Some(Protocol::Smb)),
            (b"\0\0\0\x54\xfeSM", b"", None),
            (b"\0\0\0\x54\xfeSMA", b"", Some(Protocol::Other)),
            (b"\x81\0\0\x44 CK", b"", Some(Protocol::Smb)),
            (b"\x85\0\0\0", b"", Some(Protocol::Smb)),
            (b"\0\0\0\0\0\0\0\0", b"", Some(Protocol::Other)),
        ] {
            assert_eq!(guess(client, server), expected, "{client:02x?} {server:02x?}");
        }
    }
}
