//! Any bytes as a PROXY header, and any header as bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::proxy_protocol::check(input));
