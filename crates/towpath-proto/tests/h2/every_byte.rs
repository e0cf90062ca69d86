//! All 256 byte values at every place of a name, a value and each pseudo-header field (T17).

use towpath_proto::field::{is_token_byte, is_value_byte};
use towpath_proto::h2::hpack::Encoder;
use towpath_proto::h2::{Config, Connection, Event, PREFACE, Request, Role, Scheme};

use crate::frames::frame;

const REQUEST: [(&[u8], &[u8]); 4] =
    [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"h.i"), (b":path", b"/xyz")];

/// Whether a server takes a request with these fields.
fn is_request(fields: &[(&[u8], &[u8])]) -> bool {
    let mut connection = Connection::new(Role::Server, Config::default());
    let begin = [&PREFACE[..], &frame(4, 0, 0, &[]), &block(fields)].concat();
    is_head(&mut connection, &begin)
}

/// Whether a client takes a response with these fields.
fn is_response(fields: &[(&[u8], &[u8])]) -> bool {
    let mut connection = Connection::new(Role::Client, Config::default());
    let request = Request {
        method: b"GET",
        scheme: Scheme::Https,
        authority: b"h",
        path: b"/",
        query: None,
        protocol: None,
    };
    connection.encode_request(&request, true, &mut Vec::new(), |_| {}).expect("a first stream");
    is_head(&mut connection, &[frame(4, 0, 0, &[]), block(fields)].concat())
}

fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::default(), Vec::new());
    fields.iter().for_each(|(name, value)| encoder.field(name, value, false, &mut out));
    frame(1, 5, 1, &out)
}

fn is_head(connection: &mut Connection, mut input: &[u8]) -> bool {
    loop {
        let step = connection.handle_input(0, input).expect("the connection goes on");
        input = &input[step.consumed..];
        match step.event {
            Some(Event::Settings) => {}
            Some(Event::Head { .. }) => return true,
            Some(Event::Reset { .. }) => return false,
            other => panic!("{other:?}"),
        }
    }
}

/// Every byte at every place of `text`.
fn changed(text: &[u8]) -> impl Iterator<Item = (usize, u8, Vec<u8>)> {
    (0..text.len()).flat_map(move |at| {
        (0..=255u8).map(move |byte| {
            let mut bytes = text.to_vec();
            bytes[at] = byte;
            (at, byte, bytes)
        })
    })
}

#[test]
fn names_are_tokens_without_capitals_t17() {
    for (at, byte, name) in changed(b"a-name") {
        let is_allowed = is_token_byte(byte) && !byte.is_ascii_uppercase();
        let request: Vec<_> = REQUEST.into_iter().chain([(&name[..], &b"v"[..])]).collect();
        assert_eq!(is_request(&request), is_allowed, "{byte:#04x} at {at}");
        assert_eq!(is_response(&[(b":status", b"200"), (&name, b"v")]), is_allowed, "{byte:#04x} at {at}");
    }
}

#[test]
fn values_hold_no_control_and_no_space_around_t17() {
    for (at, byte, value) in changed(b"value") {
        let is_around = at == 0 || at == 4;
        let is_allowed = is_value_byte(byte) && !(is_around && matches!(byte, b' ' | b'\t'));
        let request: Vec<_> = REQUEST.into_iter().chain([(&b"name"[..], &value[..])]).collect();
        assert_eq!(is_request(&request), is_allowed, "{byte:#04x} at {at}");
        assert_eq!(
            is_response(&[(b":status", b"200"), (b"name", &value)]),
            is_allowed,
            "{byte:#04x} at {at}"
        );
    }
}

#[test]
fn pseudo_headers_hold_only_what_a_request_line_can_t17() {
    for which in 0..REQUEST.len() {
        for (at, byte, value) in changed(REQUEST[which].1) {
            let is_allowed = match which {
                0 => is_token_byte(byte),
                1 => byte == REQUEST[1].1[at],
                2 => is_host(&value),
                _ if at == 0 => byte == b'/',
                // A lone `%` is no path, and `?` begins a query.
                _ => matches!(byte, b'!'..=b'~') && !b"\"#<>\\%".contains(&byte),
            };
            let mut request = REQUEST;
            request[which].1 = &value;
            let name = request[which].0.escape_ascii();
            assert_eq!(is_request(&request), is_allowed, "{byte:#04x} at {at} of {name}");
        }
    }
}

fn is_host(value: &[u8]) -> bool {
    let is_name = value.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    is_name && !value.starts_with(b".") && !value.windows(2).any(|pair| pair == b"..")
}

#[test]
fn a_status_is_three_digits_t17() {
    for (at, byte, value) in changed(b"404") {
        let is_allowed = byte.is_ascii_digit() && !(at == 0 && byte == b'0');
        // An interim response is not the head that is waited for, and 101 is none at all.
        if !value.starts_with(b"1") {
            assert_eq!(is_response(&[(b":status", &value)]), is_allowed, "{byte:#04x} at {at}");
        }
    }
}
