//! Messages made by hand: headers and lengths are right, the rest is the test's.

pub(crate) const ANSWER: bool = true;
pub(crate) const REQUEST: bool = false;

/// UTF-16LE.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A message in the framing of direct TCP.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&length.to_be_bytes(), message].concat()
}

fn low16(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("a short message").to_le_bytes()
}

/// A packet of SMB 2.
pub(crate) struct Smb2 {
    pub(crate) command: u8,
    pub(crate) answer: bool,
    pub(crate) status: u32,
    pub(crate) id: u64,
    pub(crate) session: u64,
    pub(crate) next: u32,
    pub(crate) body: Vec<u8>,
}

impl Smb2 {
    pub(crate) fn new(command: u8, answer: bool, id: u64, body: Vec<u8>) -> Self {
        Self { command, answer, status: 0, id, session: 0, next: 0, body }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"\xfeSMB\x40\0\0\0".to_vec();
        bytes.extend(self.status.to_le_bytes());
        bytes.extend([self.command, 0, 0, 0, u8::from(self.answer), 0, 0, 0]);
        bytes.extend(self.next.to_le_bytes());
        bytes.extend(self.id.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(self.session.to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend(&self.body);
        bytes
    }
}

/// A body of `fixed` bytes, with a buffer behind it whose offset and length stand at `at`.
pub(crate) fn smb2_body(fixed: usize, at: usize, buffer: &[u8]) -> Vec<u8> {
    let mut body = vec![0; fixed];
    body[at..at + 2].copy_from_slice(&low16(64 + fixed));
    body[at + 2..at + 4].copy_from_slice(&low16(buffer.len()));
    [&body, buffer].concat()
}

/// A request to connect to a share.
pub(crate) fn tree_connect(id: u64, path: &str) -> Smb2 {
    Smb2::new(3, REQUEST, id, smb2_body(8, 4, &utf16(path)))
}

/// A request to log on with this security buffer.
pub(crate) fn session_setup(id: u64, session: u64, buffer: &[u8]) -> Smb2 {
    Smb2 { session, ..Smb2::new(1, REQUEST, id, smb2_body(24, 12, buffer)) }
}

/// An answer to that.
pub(crate) fn session_answer(id: u64, session: u64, status: u32, buffer: &[u8]) -> Smb2 {
    Smb2 { session, status, ..Smb2::new(1, ANSWER, id, smb2_body(8, 4, buffer)) }
}

/// A message of NTLMSSP in which a user authenticates with a response of NTLMv2.
pub(crate) fn authenticate(user: &str) -> Vec<u8> {
    let (name, response) = (utf16(user), [b'!'; 40]);
    let mut bytes = b"NTLMSSP\0\x03\0\0\0".to_vec();
    bytes.resize(64, 0);
    for (at, length, offset) in [(20, response.len(), 64), (36, name.len(), 64 + response.len())] {
        bytes[at..at + 2].copy_from_slice(&low16(length));
        bytes[at + 4..at + 6].copy_from_slice(&low16(offset));
    }
    bytes[60] = 1;
    [&bytes[..], &response, &name].concat()
}

/// A packet of SMB 1, whose blocks stand one behind the other: command, words, data.
pub(crate) struct Smb1<'a> {
    pub(crate) answer: bool,
    pub(crate) unicode: bool,
    pub(crate) session: u8,
    pub(crate) id: u8,
    pub(crate) blocks: &'a [(u8, Vec<u8>, Vec<u8>)],
}

impl Smb1<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let command = self.blocks.first().map_or(0, |(command, _, _)| *command);
        let mut bytes = vec![0xff, b'S', b'M', b'B', command, 0, 0, 0, 0];
        bytes.extend([u8::from(self.answer) << 7, 0, 0x40 | u8::from(self.unicode) << 7]);
        bytes.resize(28, 0);
        bytes.extend([self.session, 0, self.id, 0]);
        for (_, words, data) in self.blocks {
            bytes.push(u8::try_from(words.len() / 2).expect("few words"));
            bytes.extend(words);
            bytes.extend(low16(data.len()));
            bytes.extend(data);
        }
        bytes
    }
}

/// `length` bytes of words that begin with a pointer to another command.
pub(crate) fn andx(next: u8, offset: u16, length: usize) -> Vec<u8> {
    let [low, high] = offset.to_le_bytes();
    let mut words = vec![next, 0, low, high];
    words.resize(length, 0);
    words
}
