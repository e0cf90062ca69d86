//! Records: what is TLS, what is not, and what may not come between (RFC 8446 §5.1).

use towpath_proto::limits::{CLIENT_HELLO_BYTES_MAX, TLS_RECORD_BYTES_MAX};

use crate::check;
use crate::hello::{extension, handshake, message, record, records, server_name, vec16};

fn small() -> Vec<u8> {
    message(&[server_name(b"a.example.com")])
}

const SMALL_TEXT: &str = "a.example.com [] 0303 []";

/// A message of exactly this many bytes.
fn message_of(total: usize) -> Vec<u8> {
    let padding = total - small().len() - 4;
    let message = message(&[server_name(b"a.example.com"), extension(21, &vec![0; padding])]);
    assert_eq!(message.len(), total);
    message
}

#[test]
fn other_protocols_are_not_tls() {
    for input in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-2.0-x",
        b"PROXY TCP4",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        // The hello of SSL 2: its length with the highest bit set, then its type.
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",
        b"\x16\x02\x00",
        b"\x16GET",
        // An alert, and encrypted data, are no beginning of TLS either.
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x17\x03\x03\x00\x01\x00",
    ] {
        check(input, "not tls");
    }
}

#[test]
fn the_beginning_of_a_hello_asks_for_more() {
    check(b"", "more");
    check(b"\x16", "more");
    check(b"\x16\x03", "more");
    check(&record(&small())[..40], "more");
    check(&records(&small(), 30)[..40], "more");
}

#[test]
fn what_follows_the_hello_does_not_matter() {
    let with = |after: &[u8]| [record(&small()), after.to_vec()].concat();
    check(&with(b"\x17\x03\x03\x40\x00 early data"), SMALL_TEXT);
    check(&with(b"\x15\x03\x03\x00\x02\x02\x28"), SMALL_TEXT);
    check(&with(b"garbage"), SMALL_TEXT);
    check(&record(&[small(), handshake(1, b"")].concat()), SMALL_TEXT);
}

#[test]
fn the_minor_version_of_a_record_is_ignored_rfc8446_5_1() {
    for minor in [0, 1, 3, 4, 255] {
        let mut input = record(&small());
        input[2] = minor;
        check(&input, SMALL_TEXT);
    }
}

#[test]
fn other_records_may_not_come_between_rfc8446_5_1() {
    let (first, second) = (record(&small()[..10]), record(&small()[10..]));
    for kind in [20, 21, 23, 24, 0, b'G'] {
        let between = [vec![kind, 3, 3], vec16(&[1])].concat();
        check(&[first.clone(), between, second.clone()].concat(), "unexpected_tls_record: RecordType");
    }
    check(&[first.clone(), b"\x16\x02\x00\x00\x01".to_vec()].concat(), "bad_tls_record: RecordVersion");
}

#[test]
fn empty_records_are_refused_rfc8446_5_1() {
    let empty = record(b"");
    check(&[empty.clone(), record(&small())].concat(), "bad_tls_record: RecordEmpty");
    let (first, second) = (record(&small()[..10]), record(&small()[10..]));
    check(&[first, empty, second].concat(), "bad_tls_record: RecordEmpty");
}

#[test]
fn a_record_beyond_its_limit_is_refused_rfc8446_5_1() {
    check(b"\x16\x03\x01\x40\x01", "bad_tls_record: RecordTooLarge");
    check(b"\x16\x03\x01\xff\xff", "bad_tls_record: RecordTooLarge");
    check(b"\x16\x03\x01\x40\x00", "more");
    check(&record(&message_of(TLS_RECORD_BYTES_MAX)), SMALL_TEXT);
}

#[test]
fn another_first_message_is_refused_at_its_type() {
    check(&record(&handshake(2, b"hello of a server"))[..6], "not_client_hello: NotClientHello");
    check(&record(&handshake(0, b"")), "not_client_hello: NotClientHello");
}

#[test]
fn a_hello_up_to_the_limit_is_read_t32() {
    // Four full records leave no room for their headers; so the message is that much shorter.
    let largest = message_of(CLIENT_HELLO_BYTES_MAX - 4 * 5);
    let input = records(&largest, TLS_RECORD_BYTES_MAX);
    assert_eq!(input.len(), CLIENT_HELLO_BYTES_MAX);
    check(&input, SMALL_TEXT);
}

#[test]
fn a_hello_beyond_the_limit_is_refused_when_its_end_is_known_t32() {
    let refused = "client_hello_too_large: TooLarge";
    let larger = message_of(CLIENT_HELLO_BYTES_MAX - 4 * 5 + 1);
    check(&records(&larger, TLS_RECORD_BYTES_MAX), refused);
    // By the announced length alone, with the fourth byte of the message.
    check(b"\x16\x03\x01\x00\x04\x01\x00\xff\xfd", refused);
    check(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", refused);
    check(b"\x16\x03\x01\x00\x04\x01\x00\xff\xf7", "more");
    // By a record that leaves no room for the next one; so nobody waits for a byte that must not come.
    let largest = message_of(CLIENT_HELLO_BYTES_MAX - 4 * 5);
    let mut input = records(&largest, TLS_RECORD_BYTES_MAX);
    let last_record = 3 * (5 + TLS_RECORD_BYTES_MAX);
    let shorter = u16::try_from(input.len() - last_record - 5 - 1).unwrap().to_be_bytes();
    input[last_record + 3..last_record + 5].copy_from_slice(&shorter);
    check(&input[..last_record + 5], refused);
}

#[test]
fn tiny_records_count_with_their_headers_t32() {
    let refused = "client_hello_too_large: TooLarge";
    let fitting = CLIENT_HELLO_BYTES_MAX / 6;
    let input = records(&message_of(fitting + 1), 1);
    check(&input, refused);
    let input = records(&message_of(fitting), 1);
    assert!(input.len() <= CLIENT_HELLO_BYTES_MAX);
    check(&input, SMALL_TEXT);
}
