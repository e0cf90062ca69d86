//! Any bytes as header blocks, and any fields as a block.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::hpack::check(input));
