//! What the user reads: labelled lines on stderr, documents on stdout.

use std::io::{IsTerminal, stderr};

const LABEL_WIDTH: usize = 9;

/// Says `text` under a label; further lines are indented below the first.
pub(crate) fn say(label: &str, text: &str) {
    let (bold, plain) = if stderr().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let mut label = format!("{bold}{label:<LABEL_WIDTH$}{plain}");
    for line in text.lines() {
        eprintln!("{label} {line}");
        label = " ".repeat(LABEL_WIDTH);
    }
}

/// Says more about the line before.
pub(crate) fn more(text: &str) {
    say("", text);
}

/// Shows a document on stdout, so that it can be piped on.
#[expect(clippy::print_stdout, reason = "the one result that belongs on stdout")]
pub(crate) fn show(document: &str) {
    println!("{document}");
}
