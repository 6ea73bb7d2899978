//! Names as messages carry them: UTF-16LE, or bytes of a code page that nobody names.

use super::bytes::Read as _;
use crate::decode::{CUT, printable};

/// Characters of a name that are kept.
const LIMIT: usize = 512;

/// How a message writes its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// UTF-16LE.
    Unicode,
    /// The client's code page; read as UTF-8, which is right for ASCII at least.
    Oem,
}

impl Charset {
    /// Unicode if `is`.
    pub(super) const fn unicode_if(is: bool) -> Self {
        if is { Self::Unicode } else { Self::Oem }
    }
}

/// A name that fills `bytes`, less any NULs at its end.
pub(super) fn whole(bytes: &[u8], charset: Charset) -> String {
    let text = match charset {
        Charset::Unicode => {
            let units = bytes.chunks_exact(2).take(LIMIT + 1).filter_map(|unit| unit.le16(0));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        Charset::Oem => {
            // No character has more than four bytes.
            let bytes = bytes.get(..4 * LIMIT).unwrap_or(bytes);
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    let text = text.trim_end_matches('\0');
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => printable(text.get(..end).unwrap_or_default().as_bytes()) + CUT,
        None => printable(text.as_bytes()),
    }
}

/// A name that ends with a NUL, and what follows it; none where the NUL is missing.
pub(super) fn terminated(bytes: &[u8], charset: Charset) -> Option<(String, &[u8])> {
    let width = match charset {
        Charset::Unicode => 2,
        Charset::Oem => 1,
    };
    let end = width * bytes.chunks_exact(width).position(|unit| unit.iter().all(|byte| *byte == 0))?;
    Some((whole(bytes.get(..end)?, charset), bytes.after(end + width)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn names_are_printable_and_bounded() {
        let long = "ä".repeat(LIMIT);
        let longer = "ä".repeat(LIMIT + 1);
        for (text, expected) in [
            ("", ""),
            ("alice", "alice"),
            ("Zoë 東京 😀", "Zoë 東京 😀"),
            ("a\u{1b}[31mb\n", "a\u{fffd}[31mb\u{fffd}"),
            ("padded\0\0", "padded"),
            (&long, &long),
            (&longer, &format!("{long}{CUT}")),
        ] {
            assert_eq!(whole(&utf16(text), Charset::Unicode), expected);
            assert_eq!(whole(text.as_bytes(), Charset::Oem), expected);
        }
        assert_eq!(whole(&[0x00, 0xd8, b'a', 0], Charset::Unicode), "\u{fffd}a");
        assert_eq!(whole(b"Z\x89 ", Charset::Oem), "Z\u{fffd} ");
    }

    #[test]
    fn names_end_at_their_nul() {
        let two = utf16("a\0b\0c");
        let (first, rest) = terminated(&two, Charset::Unicode).expect("a NUL");
        let (second, rest) = terminated(rest, Charset::Unicode).expect("a NUL");
        assert_eq!((first.as_str(), second.as_str(), rest), ("a", "b", &b"c\0"[..]));
        assert_eq!(terminated(rest, Charset::Unicode), None);
        assert_eq!(terminated(b"share", Charset::Oem), None);
    }
}
