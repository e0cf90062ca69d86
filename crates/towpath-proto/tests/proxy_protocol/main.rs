//! The PROXY protocol codec from outside: bytes in, text out. Sections are those of `proxy-protocol.txt`.

use std::fmt::Write;

use towpath_proto::proxy_protocol::{Header, Peer, Progress, Tlvs, decode};

mod encode;
mod v1;
mod v2;

/// Decodes `input` and compares what comes out, in words. Each shorter input is tried, too: one that is a whole
/// header's beginning asks for more, and a refusal, once given, stays the same however many bytes follow.
#[track_caller]
pub(crate) fn check(input: &[u8], expected: &str) {
    let found = decoded(input);
    assert_eq!(found, expected, "for {}", input.escape_ascii());
    let prefixes = (0..input.len()).map(|length| decoded(&input[..length]));
    let verdict = prefixes.into_iter().find(|prefix| prefix != "more").unwrap_or(found);
    assert_eq!(verdict, expected, "byte by byte, for {}", input.escape_ascii());
}

pub(crate) fn decoded(input: &[u8]) -> String {
    match decode(input) {
        Ok(Progress::NeedMore) => "more".to_owned(),
        Ok(Progress::Done { consumed, header }) => format!("{consumed}: {}", text_of(&header)),
        Err(error) => format!("{}: {error:?}", error.reason()),
    }
}

fn text_of(header: &Header<'_>) -> String {
    let mut text = match header.peer {
        Peer::Ip(transport, addresses) => {
            format!(
                "{:?} {transport:?} {} -> {}",
                header.version,
                addresses.source(),
                addresses.destination()
            )
        }
        peer => format!("{:?} {peer:?}", header.version),
    };
    tlvs_text(header.tlvs, &mut text);
    text
}

fn tlvs_text(tlvs: Tlvs<'_>, text: &mut String) {
    for tlv in tlvs {
        let _ = write!(text, ", {:#04x}={}", tlv.kind, tlv.value.escape_ascii());
    }
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
