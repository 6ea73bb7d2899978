//! A pcap or pcapng stream: packets lie inside it, and their numbers rise.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smbwatch::source::capture::Capture;

fuzz_target!(|input: &[u8]| {
    let Ok(mut capture) = Capture::open(input) else { return };
    let mut last = 0;
    // An unknown link type is told for each of its packets.
    for _ in 0..input.len() {
        match capture.next_packet() {
            Ok(Some(packet)) => {
                assert!(packet.number > last && packet.bytes.len() <= input.len());
                last = packet.number;
                let _ = packet.frame();
            }
            Ok(None) => break,
            Err(_) => {}
        }
    }
});
