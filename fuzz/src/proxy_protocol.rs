//! Invariants of the PROXY protocol codec that hold for any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use towpath_proto::proxy_protocol::{
    Addresses, Checksum, Header, Peer, Progress, ProxyError, TYPE_CRC32C, Tlv, Transport, Version, decode,
    encode_v1, encode_v2,
};

/// Decodes `input` at once and byte by byte, compares with a decoder too simple to be wrong, and sends what was
/// understood through the encoders; then takes the bytes as the description of a header to encode.
pub fn check(input: &[u8]) {
    let whole = decode(input);
    let prefixes = (0..=input.len()).map(|length| decode(&input[..length]));
    let first = prefixes.into_iter().find(|prefix| *prefix != Ok(Progress::NeedMore));
    assert_eq!(first.unwrap_or(Ok(Progress::NeedMore)), whole, "byte by byte it is something else");
    assert_eq!(simple(input), summary(&whole), "{}", input.escape_ascii());
    if let Ok(Progress::Done { consumed, header }) = whole {
        assert!(consumed <= input.len());
        // Accessors of what was accepted have to agree with what was accepted.
        assert!(header.tlvs.unique_id().is_none_or(|id| id.len() <= 128));
        if let Some(ssl) = header.tlvs.ssl() {
            ssl.fields.iter().for_each(drop);
        }
        check_round_trip(&header);
    }
    check_described(input);
}

/// What is encoded is decoded to the same.
fn check_round_trip(header: &Header<'_>) {
    let tlvs: Vec<Tlv<'_>> = header.tlvs.iter().filter(|tlv| tlv.kind != TYPE_CRC32C).collect();
    for checksum in [Checksum::Omit, Checksum::Write] {
        let mut out = Vec::new();
        match encode_v2(&header.peer, &tlvs, checksum, &mut out) {
            Ok(()) => {}
            // A mixed pair is longer than what it was read from, and so is a header with a checksum.
            Err(ProxyError::TooLarge) => {
                assert!(out.is_empty());
                continue;
            }
            Err(error) => panic!("{error:?}"),
        }
        let Ok(Progress::Done { consumed, header: again }) = decode(&out) else {
            panic!("{:?} for {}", decode(&out), out.escape_ascii());
        };
        let tlvs_again: Vec<Tlv<'_>> = again.tlvs.iter().filter(|tlv| tlv.kind != TYPE_CRC32C).collect();
        assert_eq!((consumed, again.peer), (out.len(), header.peer));
        // A LOCAL header has no attributes.
        if header.peer != Peer::Local {
            assert_eq!(tlvs_again, tlvs);
            assert_eq!(again.tlvs.value(TYPE_CRC32C).is_some(), checksum == Checksum::Write);
        }
    }
    let mut line = Vec::new();
    encode_v1(&header.peer, &mut line);
    let expected = match header.peer {
        Peer::Ip(Transport::Stream, _) => header.peer,
        _ => Peer::Unknown,
    };
    match decode(&line) {
        Ok(Progress::Done { consumed, header: again }) => {
            assert_eq!((consumed, again.peer, again.version), (line.len(), expected, Version::V1));
        }
        other => panic!("{other:?} for {}", line.escape_ascii()),
    }
}

/// A header made of the first 37 bytes, with the others as an attribute.
fn check_described(input: &[u8]) {
    let Some((&[choice], rest)) = input.split_first_chunk() else { return };
    let Some((source, rest)) = rest.split_first_chunk::<16>() else { return };
    let Some((destination, rest)) = rest.split_first_chunk::<16>() else { return };
    let Some((&[port_high, port_low, kind], value)) = rest.split_first_chunk() else { return };
    let address = |is_ipv4: bool, bytes: &[u8; 16]| match is_ipv4 {
        true => IpAddr::V4(Ipv4Addr::from([bytes[0], bytes[1], bytes[2], bytes[3]])),
        false => IpAddr::V6(Ipv6Addr::from(*bytes)),
    };
    let port = u16::from_be_bytes([port_high, port_low]);
    let addresses = Addresses::new(
        SocketAddr::new(address(choice & 1 != 0, source), port),
        SocketAddr::new(address(choice & 2 != 0, destination), !port),
    );
    let transport = if choice & 4 != 0 { Transport::Stream } else { Transport::Datagram };
    let peer = match choice >> 4 {
        0 => Peer::Local,
        1 => Peer::Unknown,
        2 => Peer::Unix(transport),
        _ => Peer::Ip(transport, addresses),
    };
    // Types without a rule for their value, so that every value may be sent.
    let tlvs = [Tlv { kind: kind | 0x80, value }];
    let mut out = Vec::new();
    if encode_v2(&peer, &tlvs, Checksum::Write, &mut out).is_ok() {
        match decode(&out) {
            Ok(Progress::Done { header, .. }) => {
                assert_eq!(header.peer, peer);
                check_round_trip(&header);
            }
            other => panic!("{other:?} for {}", out.escape_ascii()),
        }
    }
}

/// What two decoders can be compared by.
#[derive(Debug, PartialEq, Eq)]
enum Summary {
    More,
    Done(usize, Peer),
    Refused,
}

fn summary(result: &Result<Progress<'_>, ProxyError>) -> Summary {
    match result {
        Ok(Progress::NeedMore) => Summary::More,
        Ok(Progress::Done { consumed, header }) => Summary::Done(*consumed, header.peer),
        Err(_) => Summary::Refused,
    }
}

/// The specification read aloud: no early exit, text where text will do.
fn simple(input: &[u8]) -> Summary {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    if input.starts_with(signature) {
        simple_v2(input)
    } else if input.starts_with(b"PROXY ") {
        simple_v1(input)
    } else if signature.starts_with(input) || b"PROXY ".starts_with(input) {
        Summary::More
    } else {
        Summary::Refused
    }
}

fn simple_v1(input: &[u8]) -> Summary {
    let text = String::from_utf8_lossy(&input[..input.len().min(107)]).into_owned();
    let is_cut = input.len() < 107;
    let Some((line, _)) = text.split_once("\r\n") else {
        let is_pending =
            is_cut && !text.trim_end_matches('\r').contains(['\r', '\n']) && !text.ends_with("\r\r");
        return if is_pending { Summary::More } else { Summary::Refused };
    };
    if line.contains(['\r', '\n']) {
        return Summary::Refused;
    }
    let consumed = input.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
    let words: Vec<&str> = line.split(' ').collect();
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| port.to_string() == text);
    let peer = match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some(Peer::Unknown),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, source_port, destination_port] => {
            let parse = |text: &str, port_text| {
                let address = text.parse::<IpAddr>().ok()?;
                (address.is_ipv4() == (family == "TCP4")).then_some(())?;
                Some(SocketAddr::new(address, port(port_text)?))
            };
            let ends = parse(source, source_port).zip(parse(destination, destination_port));
            ends.map(|(source, destination)| Peer::Ip(Transport::Stream, Addresses::new(source, destination)))
        }
        _ => None,
    };
    peer.map_or(Summary::Refused, |peer| Summary::Done(consumed, peer))
}

fn simple_v2(input: &[u8]) -> Summary {
    let at = |index: usize| input.get(index).copied().map(usize::from);
    let is_local = at(12) == Some(0x20);
    if at(12).is_some_and(|byte| byte != 0x20 && byte != 0x21) {
        return Summary::Refused;
    }
    if !is_local && at(13).is_some_and(|byte| byte >> 4 > 3 || byte & 15 > 2) {
        return Summary::Refused;
    }
    let (Some(kind), Some(high), Some(low)) = (at(13), at(14), at(15)) else { return Summary::More };
    let total = 16 + high * 256 + low;
    let address_bytes = if is_local { 0 } else { [0, 12, 36, 216][kind >> 4] };
    if total > 4096 || total < 16 + address_bytes {
        return Summary::Refused;
    }
    if input.len() < total {
        return Summary::More;
    }
    if is_local {
        return Summary::Done(total, Peer::Local);
    }
    if !simple_tlvs_hold(&input[..total], 16 + address_bytes) {
        return Summary::Refused;
    }
    let transport = [None, Some(Transport::Stream), Some(Transport::Datagram)][kind & 15];
    let port = |index: usize| u16::from_be_bytes([input[index], input[index + 1]]);
    let peer = match (kind >> 4, transport) {
        (1, Some(transport)) => {
            let ip = |index: usize| IpAddr::from(<[u8; 4]>::try_from(&input[index..index + 4]).unwrap());
            let ends = (SocketAddr::new(ip(16), port(24)), SocketAddr::new(ip(20), port(26)));
            Peer::Ip(transport, Addresses::new(ends.0, ends.1))
        }
        (2, Some(transport)) => {
            let ip = |index: usize| IpAddr::from(<[u8; 16]>::try_from(&input[index..index + 16]).unwrap());
            let ends = (SocketAddr::new(ip(16), port(48)), SocketAddr::new(ip(32), port(50)));
            Peer::Ip(transport, Addresses::new(ends.0, ends.1))
        }
        (3, Some(transport)) => Peer::Unix(transport),
        _ => Peer::Unknown,
    };
    Summary::Done(total, peer)
}

fn simple_tlvs_hold(header: &[u8], start: usize) -> bool {
    let Some(tlvs) = simple_tlvs(header, start) else { return false };
    [0x01, 0x02, 0x03, 0x05, 0x20, 0x30]
        .iter()
        .all(|kind| tlvs.iter().filter(|(found, _)| found == kind).count() <= 1)
        && tlvs.iter().all(|(kind, range)| {
            let value = &header[range.clone()];
            match kind {
                0x02 => std::str::from_utf8(value).is_ok(),
                0x03 => value.len() == 4 && value == bitwise_crc32c(header, range.start).to_be_bytes(),
                0x05 => value.len() <= 128,
                0x20 => value.len() >= 5 && simple_tlvs(value, 5).is_some(),
                _ => true,
            }
        })
}

fn simple_tlvs(bytes: &[u8], mut at: usize) -> Option<Vec<(u8, std::ops::Range<usize>)>> {
    let mut found = Vec::new();
    while at < bytes.len() {
        let length = usize::from(*bytes.get(at + 1)?) * 256 + usize::from(*bytes.get(at + 2)?);
        let range = at + 3..at + 3 + length;
        at = range.end;
        (at <= bytes.len()).then_some(())?;
        found.push((bytes[range.start - 3], range));
    }
    Some(found)
}

fn bitwise_crc32c(header: &[u8], sum_at: usize) -> u32 {
    let mut crc = u32::MAX;
    for (index, byte) in header.iter().enumerate() {
        crc ^= if (sum_at..sum_at + 4).contains(&index) { 0 } else { u32::from(*byte) };
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}
