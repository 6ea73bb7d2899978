//! Threat lists: the first byte chooses the format.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use smbwatch::config::enrichment::Format;
use smbwatch::enrich::threats::List;

fuzz_target!(|input: &[u8]| {
    let Some((format, text)) = input.split_first() else { return };
    let format = match format % 3 {
        0 => Format::Plain,
        1 => Format::Misp,
        _ => Format::Stix,
    };
    let _ = List::parse(text, Path::new("list"), format);
});
