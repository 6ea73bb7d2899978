//! Plain lists: an address or a prefix a line, with comments behind `#` or `;`.

use std::io::{BufRead, Read as _};
use std::path::Path;

use super::{Error, List, MAX_PREFIXES, parse_prefix};

/// Longest line that is read.
const MAX_LINE: u64 = 1 << 12;
/// What some editors put at the beginning of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

pub(super) fn read(mut text: impl BufRead, path: &Path) -> Result<List, Error> {
    let mut list = List::default();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = text.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes);
        if read.map_err(|error| Error::Read { path: path.to_owned(), error })? == 0 {
            break;
        }
        let wrong = |column, message| Error::Wrong { path: path.to_owned(), line, column, message };
        let shown = String::from_utf8_lossy(&bytes);
        let content = shown.split(['#', ';']).next().unwrap_or_default();
        let word = content.trim_matches(|letter: char| letter.is_whitespace() || letter == BYTE_ORDER_MARK);
        if word.is_empty() {
            continue;
        }
        let column = content.find(word).unwrap_or(0) + 1;
        list.push(parse_prefix(word).map_err(|message| wrong(column, message))?, 0);
        if list.len() > MAX_PREFIXES {
            return Err(wrong(1, format!("more than {MAX_PREFIXES} prefixes")));
        }
    }
    Ok(list.settle())
}
