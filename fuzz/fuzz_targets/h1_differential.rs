//! Where a request ends: our verdict against hyper's.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::differential::check(input));
