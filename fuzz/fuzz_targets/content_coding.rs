//! Any bytes as a coded body, and any body coded and read back, in every content coding.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::coding::check(input));
