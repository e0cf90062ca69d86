//! What we send, read back and compared with the bytes the specification gives.

use std::net::SocketAddr;

use towpath_proto::limits::PROXY_V2_BYTES_MAX;
use towpath_proto::proxy_protocol::{
    Addresses, CLIENT_CERT_CONNECTION, CLIENT_TLS, Checksum, Peer, Progress, ProxyError, TYPE_ALPN,
    TYPE_AUTHORITY, TYPE_CRC32C, TYPE_SSL, TYPE_SSL_COMMON_NAME, TYPE_SSL_VERSION, TYPE_UNIQUE_ID, Tlv,
    Transport, decode, encode_v1, encode_v2, write_ssl_value,
};

use crate::{bytes, decoded};

fn ip(transport: Transport, source: &str, destination: &str) -> Peer {
    let parse = |text: &str| text.parse::<SocketAddr>().expect("a test names an address");
    Peer::Ip(transport, Addresses::new(parse(source), parse(destination)))
}

fn tcp(source: &str, destination: &str) -> Peer {
    ip(Transport::Stream, source, destination)
}

fn v2(peer: &Peer, tlvs: &[Tlv<'_>], checksum: Checksum) -> Vec<u8> {
    let mut out = Vec::new();
    encode_v2(peer, tlvs, checksum, &mut out).expect("a header that fits");
    out
}

#[track_caller]
fn check_v1(peer: &Peer, expected: &str) {
    let mut out = b"before".to_vec();
    encode_v1(peer, &mut out);
    assert_eq!(out.escape_ascii().to_string(), format!("before{}\\r\\n", expected));
}

/// `expected` is in hexadecimal, without the signature. What was written is also read back.
#[track_caller]
fn check_v2(peer: &Peer, tlvs: &[Tlv<'_>], expected: &str) {
    let out = v2(peer, tlvs, Checksum::Omit);
    assert_eq!(out[12..].escape_ascii().to_string(), bytes(expected).escape_ascii().to_string());
    match decode(&out) {
        Ok(Progress::Done { consumed, header }) => assert_eq!((consumed, header.peer), (out.len(), *peer)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn version_1_lines_are_those_of_the_specification_2_1() {
    check_v1(&tcp("192.168.0.1:56324", "192.168.0.11:443"), "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443");
    check_v1(&tcp("[2001:db8::1]:1", "[::1]:0"), "PROXY TCP6 2001:db8::1 ::1 1 0");
}

#[test]
fn what_version_1_cannot_say_is_unknown_2_1() {
    let udp = ip(Transport::Datagram, "1.2.3.4:5", "1.2.3.4:6");
    for peer in [Peer::Local, Peer::Unknown, Peer::Unix(Transport::Stream), udp] {
        check_v1(&peer, "PROXY UNKNOWN");
    }
}

#[test]
fn mixed_families_become_ipv6_and_mapped_pairs_ipv4() {
    check_v1(&tcp("10.0.0.1:1", "[::1]:2"), "PROXY TCP6 ::ffff:a00:1 ::1 1 2");
    check_v1(&tcp("[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.2]:2"), "PROXY TCP4 10.0.0.1 10.0.0.2 1 2");
    let mapped = "00000000000000000000ffff 0a000001";
    let loopback = "0000000000000000 0000000000000001";
    let mixed = tcp("10.0.0.1:1", "[::1]:2");
    check_v2(&mixed, &[], &format!("21 21 0024 {mapped} {loopback} 0001 0002"));
    let pair = tcp("[::ffff:10.0.0.1]:1", "10.0.0.2:2");
    check_v2(&pair, &[], "21 11 000c 0a000001 0a000002 0001 0002");
}

#[test]
fn version_2_headers_are_those_of_the_specification_2_2() {
    check_v2(&tcp("1.2.3.4:80", "5.6.7.8:443"), &[], "21 11 000c 01020304 05060708 0050 01bb");
    let udp = ip(Transport::Datagram, "1.2.3.4:80", "5.6.7.8:443");
    check_v2(&udp, &[], "21 12 000c 01020304 05060708 0050 01bb");
    check_v2(&Peer::Unknown, &[], "21 00 0000");
    check_v2(&Peer::Unix(Transport::Datagram), &[], &format!("21 32 00d8 {}", "00".repeat(216)));
    let alpn = Tlv { kind: TYPE_ALPN, value: b"h2" };
    check_v2(&Peer::Unknown, &[alpn], "21 00 0005 01 0002 6832");
    // §2.2: a LOCAL header has no block.
    check_v2(&Peer::Local, &[alpn], "20 00 0000");
}

#[test]
fn attributes_come_back_as_they_were_sent() {
    let mut ssl = Vec::new();
    let fields = [
        Tlv { kind: TYPE_SSL_VERSION, value: b"TLSv1.3" },
        Tlv { kind: TYPE_SSL_COMMON_NAME, value: "J\u{f8}rgen".as_bytes() },
    ];
    write_ssl_value(CLIENT_TLS | CLIENT_CERT_CONNECTION, 0, &fields, &mut ssl).unwrap();
    let tlvs = [
        Tlv { kind: TYPE_AUTHORITY, value: b"a.example.com" },
        Tlv { kind: TYPE_UNIQUE_ID, value: &[0xFF; 128] },
        Tlv { kind: TYPE_SSL, value: &ssl },
        Tlv { kind: 0xE7, value: b"" },
    ];
    let out = v2(&tcp("1.2.3.4:80", "5.6.7.8:443"), &tlvs, Checksum::Omit);
    let Ok(Progress::Done { header, .. }) = decode(&out) else { panic!("{:?}", decode(&out)) };
    assert_eq!(header.tlvs.iter().collect::<Vec<_>>(), tlvs);
    let ssl = header.tlvs.ssl().unwrap();
    assert!(ssl.is_client_verified());
    assert_eq!(ssl.fields.iter().collect::<Vec<_>>(), fields);
}

#[test]
fn the_checksum_we_write_is_the_one_haproxy_writes_2_2_3() {
    let peer = tcp("127.0.0.1:60766", "127.0.0.1:45559");
    // A checksum that belongs to another header is not passed on.
    let stale = Tlv { kind: TYPE_CRC32C, value: &[1, 2, 3, 4] };
    let out = v2(&peer, &[stale], Checksum::Write);
    let expected = bytes("2111 0013 7f000001 7f000001 ed5e b1f7 030004 24939c2b");
    assert_eq!(out[12..], expected);
    // It is a checksum of everything, attributes before it included.
    let out = v2(&peer, &[Tlv { kind: TYPE_ALPN, value: b"h2" }], Checksum::Write);
    assert!(decoded(&out).starts_with("40: V2 Stream 127.0.0.1:60766"), "{}", decoded(&out));
}

#[test]
fn a_header_beyond_the_limit_is_not_written() {
    let peer = tcp("1.2.3.4:80", "5.6.7.8:443");
    let value = vec![0; PROXY_V2_BYTES_MAX - 16 - 12 - 3];
    let largest = Tlv { kind: 0xE0, value: &value };
    assert_eq!(v2(&peer, &[largest], Checksum::Omit).len(), PROXY_V2_BYTES_MAX);
    let mut out = b"before".to_vec();
    let refused = Err(ProxyError::TooLarge);
    assert_eq!(encode_v2(&peer, &[largest], Checksum::Write, &mut out), refused);
    let huge = Tlv { kind: 0xE0, value: &[0; 65_536] };
    assert_eq!(encode_v2(&peer, &[huge], Checksum::Omit, &mut out), refused);
    assert_eq!(out, b"before");
}
