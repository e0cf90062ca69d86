//! Any bytes as what a peer sends behind a WebSocket handshake, in both roles.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| towpath_fuzz::websocket::check_frames(input));
