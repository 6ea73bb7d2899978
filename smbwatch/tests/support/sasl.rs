//! A door to a Kafka broker that asks who comes, since the broker of the tests cannot keep users.

use std::io;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::listener::Bytes;

/// Who is let in.
#[derive(Clone, Copy)]
pub struct User {
    pub name: &'static str,
    pub password: &'static str,
}

const HANDSHAKE: u16 = 17;
const API_VERSIONS: u16 = 18;
const AUTHENTICATE: u16 = 36;
const DENIED: &str = "Authentication failed during authentication due to invalid credentials";

/// Serves one connection.
pub async fn ask(mut client: Box<dyn Bytes>, mut broker: TcpStream, user: User) -> io::Result<()> {
    let (mut mechanism, mut scram) = (String::new(), None);
    loop {
        let request = read(&mut client).await?;
        let number = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
        let body = &request[10 + usize::from(number(8))..];
        let mut answer = request[4..8].to_vec();
        match number(0) {
            API_VERSIONS => {
                write(&mut broker, &request).await?;
                answer = read(&mut broker).await?;
            }
            HANDSHAKE => {
                mechanism = String::from_utf8_lossy(&body[2..]).into_owned();
                // No error, and one mechanism: the same.
                answer.extend([0, 0, 0, 0, 0, 1]);
                answer.extend(body);
            }
            AUTHENTICATE => {
                let said = String::from_utf8_lossy(&body[4..]).into_owned();
                let next = match (mechanism.as_str(), scram.take()) {
                    ("PLAIN", _) => {
                        Step::end(said == format!("\0{}\0{}", user.name, user.password), String::new())
                    }
                    (_, None) => first(&said, user),
                    (_, Some(state)) => last(&said, state, &mechanism, user),
                };
                if matches!(next, Step::No) {
                    // SASL_AUTHENTICATION_FAILED.
                    answer.extend([0, 58]);
                    answer.extend(u16::try_from(DENIED.len()).expect("a short text").to_be_bytes());
                    answer.extend(DENIED.as_bytes());
                } else {
                    // No error, no message.
                    answer.extend([0, 0, 0xFF, 0xFF]);
                }
                let token = match &next {
                    Step::More(token, _) | Step::Yes(token) => token.as_bytes(),
                    Step::No => &[],
                };
                answer.extend(u32::try_from(token.len()).expect("a short token").to_be_bytes());
                answer.extend(token);
                if number(2) > 0 {
                    // The session does not end.
                    answer.extend([0; 8]);
                }
                write(&mut client, &answer).await?;
                match next {
                    Step::More(_, state) => scram = Some(state),
                    Step::Yes(_) => return copy_bidirectional(&mut client, &mut broker).await.map(drop),
                    Step::No => return Ok(()),
                }
                continue;
            }
            // Of one who is not known.
            _ => return Ok(()),
        }
        write(&mut client, &answer).await?;
    }
}

/// What a message leads to, and what is answered.
enum Step {
    /// The client has to prove itself; with the messages so far.
    More(String, String),
    Yes(String),
    No,
}

impl Step {
    fn end(right: bool, token: String) -> Self {
        if right { Self::Yes(token) } else { Self::No }
    }
}

const SALT: &[u8] = b"the salt of tests";
const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).expect("not 0");

/// The first message of SCRAM, RFC 5802, section 5.
fn first(said: &str, user: User) -> Step {
    let bare = said.strip_prefix("n,,").expect("no channel binding");
    let (name, nonce) = bare.split_once(",r=").expect("a nonce");
    if name != format!("n={}", user.name) {
        return Step::No;
    }
    let answer = format!("r={nonce}server,s={},i={ROUNDS}", BASE64_STANDARD.encode(SALT));
    Step::More(answer.clone(), format!("{bare},{answer}"))
}

/// The last message, section 3.
fn last(said: &str, state: String, mechanism: &str, user: User) -> Step {
    let (key, prf) = match mechanism {
        "SCRAM-SHA-256" => (hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
        "SCRAM-SHA-512" => (hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
        _ => return Step::No,
    };
    let sign = |secret: &[u8], text: &str| hmac::sign(&hmac::Key::new(key, secret), text.as_bytes());
    let (rest, proof) = said.split_once(",p=").expect("a proof");
    let messages = format!("{state},{rest}");
    let mut salted = vec![0; key.digest_algorithm().output_len()];
    pbkdf2::derive(prf, ROUNDS, SALT, user.password.as_bytes(), &mut salted);
    let client_key = sign(&salted, "Client Key");
    let stored = digest::digest(key.digest_algorithm(), client_key.as_ref());
    let signature = sign(stored.as_ref(), &messages);
    let expected: Vec<u8> =
        client_key.as_ref().iter().zip(signature.as_ref()).map(|(left, right)| left ^ right).collect();
    let server = sign(sign(&salted, "Server Key").as_ref(), &messages);
    Step::end(
        BASE64_STANDARD.decode(proof).expect("base64") == expected,
        format!("v={}", BASE64_STANDARD.encode(server)),
    )
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    stream.write_u32(u32::try_from(frame.len()).expect("a short frame")).await?;
    stream.write_all(frame).await?;
    stream.flush().await
}
