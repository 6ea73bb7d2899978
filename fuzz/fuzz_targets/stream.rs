//! Segments in any order: what is contiguous only grows, and never changes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smbwatch::reassemble::Stream;

const LIMIT: usize = 512;

fuzz_target!(|input: (u32, Vec<(i16, &[u8])>)| {
    let (first, segments) = input;
    let mut stream = Stream::new(first, LIMIT);
    let mut before = Vec::new();
    for (ahead, payload) in segments {
        stream.add(first.wrapping_add_signed(ahead.into()), payload);
        assert!(stream.contiguous().starts_with(&before));
        assert!(stream.contiguous().len() <= LIMIT);
        before = stream.contiguous().to_vec();
    }
});
