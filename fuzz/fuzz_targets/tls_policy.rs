//! Any text as a cipher string.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::tls_policy::check(input));
