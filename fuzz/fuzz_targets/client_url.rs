//! Any text as a URL, as where a redirect leads, and as proxies of the environment.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::client::check(input));
