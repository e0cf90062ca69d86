//! Any bytes as one direction of a TLS connection, and as each kind of message.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::tls_messages::check(input));
