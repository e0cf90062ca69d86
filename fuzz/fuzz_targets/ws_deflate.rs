//! Any bytes as a compressed message, any message compressed and read back, any value as an offer of compression.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::websocket::check_deflate(input));
