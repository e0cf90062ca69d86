//! Any bytes as the start of a TLS connection, in records of any size.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::client_hello::check(input));
