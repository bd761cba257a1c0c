//! The framing of aws-chunked bodies.
#![no_main]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::chunk_decoder(data));
