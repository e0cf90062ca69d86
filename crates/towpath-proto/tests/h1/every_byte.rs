//! All 256 byte values at every position of a name and of a value, in requests and responses (T08).

use towpath_proto::field::{is_token_byte, is_value_byte};
use towpath_proto::message::Method;

use crate::transcript::{requests, response};

/// Long enough that the parser's wide steps and its remainder loop both see every byte value.
const NAME: &[u8] = b"X-Field-Name-That-Is-Longer-Than-One-Step";
const VALUE: &[u8] = b"a value that is longer than one step of the scanner";

#[test]
fn a_name_with_any_byte_that_is_no_token_is_refused_t08() {
    for at in 0..NAME.len() {
        for byte in 0..=255u8 {
            // A colon only moves the end of the name.
            let is_allowed = is_token_byte(byte) || (byte == b':' && at > 0);
            let mut name = NAME.to_vec();
            name[at] = byte;
            check(&name, VALUE, is_allowed, format_args!("{byte:#04x} at {at} of the name"));
        }
    }
}

#[test]
fn a_value_with_any_control_is_refused_t08() {
    for at in 0..VALUE.len() {
        for byte in 0..=255u8 {
            let mut value = VALUE.to_vec();
            value[at] = byte;
            check(NAME, &value, is_value_byte(byte), format_args!("{byte:#04x} at {at} of the value"));
        }
    }
}

#[test]
fn an_accepted_value_is_reported_as_it_was_sent_t08() {
    for byte in (0..=255u8).filter(|&byte| is_value_byte(byte)) {
        let value = [b'a', byte, b'b'];
        let transcript = requests(&message(b"GET / HTTP/1.1\r\nHost: h\r\n", NAME, &value));
        assert!(transcript.contains(&format!(": {}\n", value.escape_ascii())), "{byte:#04x}: {transcript}");
    }
}

#[track_caller]
fn check(name: &[u8], value: &[u8], is_allowed: bool, what: std::fmt::Arguments<'_>) {
    let transcript = requests(&message(b"GET / HTTP/1.1\r\nHost: h\r\n", name, value));
    assert_eq!(transcript.starts_with("Head"), is_allowed, "request with {what}: {transcript}");
    let transcript =
        response(Method::Get, &message(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", name, value));
    assert_eq!(transcript.starts_with("Head"), is_allowed, "response with {what}: {transcript}");
}

fn message(start: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    [start, name, b": ", value, b"\r\n\r\n"].concat()
}
