//! Version 2 (§2.2).

use towpath_proto::limits::PROXY_V2_BYTES_MAX;
use towpath_proto::proxy_protocol::{
    CLIENT_TLS, Header, Progress, TYPE_SSL_CIPHER, TYPE_SSL_COMMON_NAME, TYPE_SSL_VERSION, decode,
};

use crate::{bytes, check};

const SIGNATURE: &str = "0d0a0d0a 000d0a51 5549540a";
const IPV4: &str = "01020304 05060708 0050 01bb";
const IPV4_TEXT: &str = "1.2.3.4:80 -> 5.6.7.8:443";

/// Sent by a running HAProxy 2.6 with `send-proxy-v2 proxy-v2-options crc32c`.
const HAPROXY_CRC: &str = "0d0a0d0a000d0a515549540a21110013 7f000001 7f000001 ed5e b1f7 030004 24939c2b";

/// The same with `ssl,cert-key,cert-sig,ssl-cipher,authority,unique-id,crc32c`, for a client of TLS 1.3.
const HAPROXY_SSL: &str = "0d0a0d0a000d0a515549540a2111007a7f0000017f000001acfad685
    0300041e8a2c29 010002 6832 02000d 612e6578616d706c652e636f6d 05000d 37463030303030315f41434641
    20003f 01 00000000 210007 544c5376312e33 250007 52534132303438 24000a 5253412d534841323536
    230016 544c535f4145535f3235365f47434d5f534841333834";

/// A header with this version and command, this family and transport, and this block.
fn header(version_command: u8, family_transport: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("a test's length fits").to_be_bytes();
    [&bytes(SIGNATURE), &[version_command, family_transport, length[0], length[1]][..], block].concat()
}

/// A TCP over IPv4 header with these attributes.
fn with_tlvs(tlvs: &str) -> Vec<u8> {
    header(0x21, 0x11, &[bytes(IPV4), bytes(tlvs)].concat())
}

#[test]
fn every_family_and_transport_is_read_2_2() {
    check(&header(0x21, 0x11, &bytes(IPV4)), &format!("28: V2 Stream {IPV4_TEXT}"));
    check(&header(0x21, 0x12, &bytes(IPV4)), &format!("28: V2 Datagram {IPV4_TEXT}"));
    let ipv6 = [[0x20; 16], [0x30; 16]].concat();
    let ipv6 = [ipv6, bytes("0001 0002")].concat();
    let text = "[2020:2020:2020:2020:2020:2020:2020:2020]:1 -> [3030:3030:3030:3030:3030:3030:3030:3030]:2";
    check(&header(0x21, 0x21, &ipv6), &format!("52: V2 Stream {text}"));
    check(&header(0x21, 0x22, &ipv6), &format!("52: V2 Datagram {text}"));
    check(&header(0x21, 0x31, &[b'/'; 216]), "232: V2 Unix(Stream)");
    check(&header(0x21, 0x32, &[0; 216]), "232: V2 Unix(Datagram)");
}

#[test]
fn the_clients_bytes_are_not_touched() {
    let input = [header(0x21, 0x11, &bytes(IPV4)), b"\x16\x03\x01".to_vec()].concat();
    check(&input, &format!("28: V2 Stream {IPV4_TEXT}"));
}

#[test]
fn mapped_addresses_are_the_addresses_they_map() {
    let block = bytes("00000000000000000000ffff0a000001 00000000000000000000000000000001 0001 0002");
    check(&header(0x21, 0x21, &block), "52: V2 Stream 10.0.0.1:1 -> [::1]:2");
}

#[test]
fn local_ignores_family_and_block_2_2() {
    check(&header(0x20, 0x00, b""), "16: V2 Local");
    check(&header(0x20, 0xFF, b""), "16: V2 Local");
    check(&header(0x20, 0x11, &bytes(IPV4)), "28: V2 Local");
    check(&header(0x20, 0x21, b"not attributes"), "30: V2 Local");
}

#[test]
fn an_unspecified_family_or_transport_has_no_address_2_2() {
    check(&header(0x21, 0x00, b""), "16: V2 Unknown");
    check(&header(0x21, 0x01, &bytes("040001 00")), "20: V2 Unknown, 0x04=\\x00");
    check(&header(0x21, 0x10, &[bytes(IPV4), bytes("300001 61")].concat()), "32: V2 Unknown, 0x30=a");
    check(&header(0x21, 0x30, &[0; 216]), "232: V2 Unknown");
}

#[test]
fn headers_of_haproxy_are_read_and_their_checksums_hold_2_2_3() {
    check(&bytes(HAPROXY_CRC), "35: V2 Stream 127.0.0.1:60766 -> 127.0.0.1:45559, 0x03=$\\x93\\x9c+");
    let input = bytes(HAPROXY_SSL);
    let Ok(Progress::Done { consumed, header: Header { tlvs, .. } }) = decode(&input) else {
        panic!("{:?}", decode(&input));
    };
    assert_eq!(consumed, input.len());
    assert_eq!(tlvs.alpn(), Some(&b"h2"[..]));
    assert_eq!(tlvs.authority(), Some("a.example.com"));
    assert_eq!(tlvs.unique_id(), Some(&b"7F000001_ACFA"[..]));
    let ssl = tlvs.ssl().unwrap();
    assert_eq!((ssl.client, ssl.verify), (CLIENT_TLS, 0));
    assert!(!ssl.is_client_verified(), "no certificate was shown, although nothing failed (2.2.6)");
    assert_eq!(ssl.fields.value(TYPE_SSL_VERSION), Some(&b"TLSv1.3"[..]));
    assert_eq!(ssl.fields.value(TYPE_SSL_CIPHER), Some(&b"TLS_AES_256_GCM_SHA384"[..]));
    assert_eq!(ssl.fields.value(TYPE_SSL_COMMON_NAME), None);
}

#[test]
fn every_flipped_bit_breaks_the_checksum_or_the_header_2_2_3() {
    let good = bytes(HAPROXY_CRC);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        match decode(&bad) {
            // A command of LOCAL discards the block, an unspecified address too, and a longer header waits; a
            // checksum of another type is none.
            Ok(Progress::NeedMore) => assert!((14..16).contains(&(bit / 8)), "bit {bit}"),
            Ok(Progress::Done { .. }) => {
                assert!(bit / 8 == 12 || bit / 8 == good.len() - 7, "bit {bit}: {:?}", decode(&bad));
            }
            Err(_) => {}
        }
    }
}

#[test]
fn unknown_attributes_padding_and_namespaces_are_handed_on_2_2() {
    check(
        &with_tlvs("040000 040002 0000 300003 6e6574 e00001 78 ff0000 e00000"),
        &format!("52: V2 Stream {IPV4_TEXT}, 0x04=, 0x04=\\x00\\x00, 0x30=net, 0xe0=x, 0xff=, 0xe0="),
    );
}

#[test]
fn attributes_past_the_end_are_refused_2_2() {
    for tlvs in ["04", "0400", "040001", "04ffff", "040002 00", "040000 04", "040001 00 04ff00 00"] {
        check(&with_tlvs(tlvs), "bad_proxy_tlv: TlvOverflow");
    }
    check(&with_tlvs("200008 01 00000000 210001"), "bad_proxy_tlv: TlvOverflow");
    check(&header(0x21, 0x00, b"/"), "bad_proxy_tlv: TlvOverflow");
}

#[test]
fn values_their_type_cannot_have_are_refused_2_2() {
    check(&with_tlvs("020001 ff"), "bad_proxy_tlv: TlvValue");
    check(&with_tlvs("030003 000000"), "bad_proxy_tlv: TlvValue");
    check(&with_tlvs("030000"), "bad_proxy_tlv: TlvValue");
    check(&with_tlvs("200004 00000000"), "bad_proxy_tlv: TlvValue");
    check(&with_tlvs(&format!("050081 {}", "41".repeat(129))), "bad_proxy_tlv: TlvValue");
    let longest = with_tlvs(&format!("050080 {}", "41".repeat(128)));
    check(&longest, &format!("159: V2 Stream {IPV4_TEXT}, 0x05={}", "A".repeat(128)));
}

#[test]
fn an_attribute_with_two_values_is_refused() {
    check(&with_tlvs("020001 61 020001 62"), "bad_proxy_tlv: TlvRepeated");
    check(&with_tlvs("010000 010000"), "bad_proxy_tlv: TlvRepeated");
    check(&with_tlvs("030004 00000000 030004 00000000"), "bad_proxy_tlv: TlvRepeated");
}

#[test]
fn a_wrong_checksum_is_refused_2_2_3() {
    check(&with_tlvs("030004 00000000"), "bad_proxy_checksum: Checksum");
}

#[test]
fn other_versions_commands_and_families_are_refused_2_2() {
    for version_command in [0x00, 0x01, 0x10, 0x11, 0x31, 0xF1] {
        check(&header(version_command, 0x11, &bytes(IPV4)), "bad_proxy_version: Version");
    }
    for version_command in [0x22, 0x2F] {
        check(&header(version_command, 0x11, &bytes(IPV4)), "bad_proxy_version: Command");
    }
    for family_transport in [0x41, 0xF1, 0x13, 0x1F, 0x03, 0x40] {
        check(&header(0x21, family_transport, &bytes(IPV4)), "bad_proxy_family: Family");
    }
}

#[test]
fn a_block_too_short_for_its_family_is_refused_before_it_comes_2_2() {
    for (family_transport, length) in [(0x11, 11), (0x12, 0), (0x21, 35), (0x22, 12), (0x31, 215), (0x10, 11)]
    {
        let header = header(0x21, family_transport, &vec![0; length]);
        check(&header[..16], "bad_proxy_length: Length");
        check(&header, "bad_proxy_length: Length");
    }
}

#[test]
fn a_header_beyond_the_limit_is_refused_before_it_comes() {
    let padding = |total: usize| {
        let value = vec![0; total - 16 - 12 - 3];
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        header(0x21, 0x11, &[bytes(IPV4), vec![0x04, length[0], length[1]], value].concat())
    };
    check(&padding(PROXY_V2_BYTES_MAX + 1)[..16], "proxy_header_too_large: TooLarge");
    check(&header(0x20, 0, &[0; 65_535])[..16], "proxy_header_too_large: TooLarge");
    let largest = padding(PROXY_V2_BYTES_MAX);
    assert!(crate::decoded(&largest).starts_with("4096: V2 Stream"));
    assert_eq!(crate::decoded(&largest[..PROXY_V2_BYTES_MAX - 1]), "more");
}
