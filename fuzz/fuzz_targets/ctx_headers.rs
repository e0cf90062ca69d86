//! Any bytes as the headers that carry a context.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::ctx::check(input));
