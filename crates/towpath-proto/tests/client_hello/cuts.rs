//! However a hello is cut, it says the same (T32).

use towpath_proto::client_hello::{HelloReader, Sniff};

use crate::hello::{
    alpn, extension, message, post_quantum_key_share, record, records, server_name, supported_versions,
};
use crate::{check, sniffed};

const TEXT: &str = "pq.example.com [h2] 0303 [0304]";

fn post_quantum() -> Vec<u8> {
    message(&[
        supported_versions(&[0x0304]),
        post_quantum_key_share(),
        // As large as what browsers send to hide another name.
        extension(0xFE0D, &[0xEC; 250]),
        alpn(&["h2"]),
        server_name(b"pq.example.com"),
    ])
}

#[test]
fn a_post_quantum_hello_is_larger_than_a_segment_and_read_t32() {
    let input = record(&post_quantum());
    assert!(input.len() > 1_460, "{}", input.len());
    check(&input, TEXT);
}

#[test]
fn every_cut_into_two_records_says_the_same_t32() {
    let message = post_quantum();
    for cut in 1..message.len() {
        let input = [record(&message[..cut]), record(&message[cut..])].concat();
        assert_eq!(sniffed(&mut HelloReader::new(), &input), TEXT, "cut at {cut}");
    }
}

#[test]
fn every_cut_into_two_segments_says_the_same_t32() {
    let input = records(&post_quantum(), 500);
    for cut in 0..input.len() {
        let mut reader = HelloReader::new();
        assert_eq!(sniffed(&mut reader, &input[..cut]), "more", "cut at {cut}");
        assert_eq!(sniffed(&mut reader, &input), TEXT, "cut at {cut}");
    }
}

#[test]
fn records_of_any_size_say_the_same_byte_by_byte_t32() {
    for record_bytes in [1, 2, 3, 4, 5, 7, 100, 1_000] {
        check(&records(&post_quantum(), record_bytes), TEXT);
    }
}

#[test]
fn the_message_is_the_same_in_one_record_and_in_many() {
    let message = post_quantum();
    for input in [record(&message), records(&message, 1), records(&message, 700)] {
        match HelloReader::new().handle_input(&input) {
            Ok(Sniff::Hello(hello)) => {
                assert_eq!(hello.message(), message);
                assert_eq!(hello.wire_bytes(), input.len());
            }
            other => panic!("{other:?}"),
        }
    }
}
