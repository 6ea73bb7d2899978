//! Lines of ECS documents, and whether they match.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smbwatch::config::Config;
use smbwatch::source::ecs::Documents;
use smbwatch::source::ecs::rule::matches;

fuzz_target!(|input: &[u8]| {
    let Ok(mut documents) = Documents::open(input) else { return };
    let config = Config::default();
    for _ in 0..=input.len() {
        match documents.next_document() {
            Ok(Some(document)) => {
                let _ = document.event.map(|event| matches(&config, &event));
            }
            Ok(None) => break,
            Err(_) => {}
        }
    }
});
