//! Any bytes, cut in any way, through both HTTP/1 decoders.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::codec::check(input));
