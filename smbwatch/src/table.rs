//! Text in columns.

use std::fmt::Write as _;

/// A line for the header and each row. No column is wider than its longest word.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let lines: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let length = |line: &[String; N], column: usize| line.get(column).map_or(0, |word| word.chars().count());
    let widths: [usize; N] =
        std::array::from_fn(|column| lines.iter().map(|line| length(line, column)).max().unwrap_or(0));
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (word, width) in line.iter().zip(widths) {
            let _ = write!(row, "{word:<width$}  ");
        }
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}
