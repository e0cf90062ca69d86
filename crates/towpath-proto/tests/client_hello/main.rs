//! The ClientHello reader from outside: the bytes of a connection in, text out.

use std::fmt::Write;

use towpath_proto::client_hello::{ClientHello, HelloReader, Sniff};

mod cuts;
mod hello;
mod names;
mod real;
mod records;

/// Reads `input` and compares what comes out, in words: at once, and byte by byte by one reader. The verdict
/// has to come with the last byte it needs and not a byte later, and to stay.
#[track_caller]
pub(crate) fn check(input: &[u8], expected: &str) {
    let whole = sniffed(&mut HelloReader::new(), input);
    assert_eq!(whole, expected, "for {}", input.escape_ascii());
    let mut reader = HelloReader::new();
    let answers: Vec<String> =
        (0..=input.len()).map(|length| sniffed(&mut reader, &input[..length])).collect();
    let verdict_at = answers.iter().position(|answer| answer != "more").unwrap_or(input.len());
    for (length, answer) in answers.iter().enumerate() {
        let right = if length < verdict_at { "more" } else { expected };
        assert_eq!(answer, right, "after {length} bytes of {}", input.escape_ascii());
    }
    if let Ok(Sniff::Hello(hello)) = HelloReader::new().handle_input(input) {
        assert_eq!(verdict_at, hello.wire_bytes(), "the hello is known with its last byte");
    }
}

pub(crate) fn sniffed(reader: &mut HelloReader, input: &[u8]) -> String {
    match reader.handle_input(input) {
        Ok(Sniff::NeedMore) => "more".to_owned(),
        Ok(Sniff::NotTls) => "not tls".to_owned(),
        Ok(Sniff::Hello(hello)) => text_of(&hello),
        Err(error) => format!("{}: {error:?}", error.reason()),
    }
}

/// `name alpn,alpn 0x0303 [versions]`.
pub(crate) fn text_of(hello: &ClientHello<'_>) -> String {
    let mut text = hello.server_name().map_or("-".to_owned(), |name| name.to_string());
    let alpn: Vec<String> = hello.alpn().map(|name| name.escape_ascii().to_string()).collect();
    let versions: Vec<String> = hello.supported_versions().map(|version| format!("{version:04x}")).collect();
    let _ = write!(text, " [{}] {:04x} [{}]", alpn.join(","), hello.legacy_version(), versions.join(","));
    text
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
