//! Any frames, and any use of the codec between them, in both roles.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::h2_frames::check(input));
