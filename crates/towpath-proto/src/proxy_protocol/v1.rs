//! Version 1: one line of text (§2.1).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io::Write;

use super::{Addresses, Header, Peer, ProxyError, Tlvs, Transport, Version, WireAddresses};
use crate::limits::PROXY_V1_BYTES_MAX;

/// What every line begins with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

const LINE_END: &[u8] = b"\r\n";

pub(super) fn decode(input: &[u8]) -> Result<Option<(usize, Header<'_>)>, ProxyError> {
    // §2.1: addresses are decoded once the whole line is there.
    let Some(line) = whole_line(input)? else { return Ok(None) };
    let peer = parse_line(line.strip_prefix(SIGNATURE).unwrap_or_default())?;
    let header = Header { version: Version::V1, peer, tlvs: Tlvs::EMPTY };
    Ok(Some((line.len() + LINE_END.len(), header)))
}

/// The line without its end, once that is there.
fn whole_line(input: &[u8]) -> Result<Option<&[u8]>, ProxyError> {
    let window = &input[..input.len().min(PROXY_V1_BYTES_MAX)];
    let end = window.iter().position(|byte| LINE_END.contains(byte));
    // §2.1: neither CR nor LF alone ends the line.
    match end.map(|end| window.split_at(end)) {
        Some((line, [b'\r', b'\n', ..])) => Ok(Some(line)),
        Some((_, [b'\r'])) | None if window.len() == PROXY_V1_BYTES_MAX => Err(ProxyError::LineTooLong),
        Some((_, [b'\r'])) | None => Ok(None),
        Some(_) => Err(ProxyError::LineEnd),
    }
}

fn parse_line(rest: &[u8]) -> Result<Peer, ProxyError> {
    let mut words = rest.split(|&byte| byte == b' ');
    let family = words.next().unwrap_or_default();
    // §2.1: what follows UNKNOWN is ignored.
    if family == b"UNKNOWN" {
        return Ok(Peer::Unknown);
    }
    let parse_address: fn(&[u8]) -> Option<IpAddr> = match family {
        b"TCP4" => |word| Some(parse_text::<Ipv4Addr>(word)?.into()),
        b"TCP6" => |word| Some(parse_text::<Ipv6Addr>(word)?.into()),
        _ => return Err(ProxyError::Family),
    };
    let mut four = [&rest[..0]; 4];
    for slot in &mut four {
        *slot = words.next().ok_or(ProxyError::Line)?;
    }
    if words.next().is_some() {
        return Err(ProxyError::Line);
    }
    let [source, destination, source_port, destination_port] = four;
    let end = |address, port| -> Result<SocketAddr, ProxyError> {
        let address = parse_address(address).ok_or(ProxyError::Address)?;
        Ok(SocketAddr::new(address, parse_port(port).ok_or(ProxyError::Port)?))
    };
    let addresses = Addresses::new(end(source, source_port)?, end(destination, destination_port)?);
    Ok(Peer::Ip(Transport::Stream, addresses))
}

/// The standard library refuses what §2.1 refuses: leading zeros in IPv4, missing groups, zones. It also
/// takes the dotted end of a mapped IPv6 address, which is how common senders print those.
fn parse_text<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// §2.1: decimal, no leading zeros. Port 0 is allowed.
fn parse_port(word: &[u8]) -> Option<u16> {
    match word {
        b"0" => Some(0),
        [b'1'..=b'9', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => parse_text(word),
        _ => None,
    }
}

/// Appends the line for `peer`.
///
/// Version 1 knows TCP over IP only, so anything else becomes `UNKNOWN`, health checks included: there is no
/// LOCAL (§2.1). Some receivers refuse `UNKNOWN`; version 2 does not have this gap.
pub fn encode(peer: &Peer, out: &mut Vec<u8>) {
    const PROOF: &str = "writing to a vector cannot fail";
    let Peer::Ip(Transport::Stream, addresses) = peer else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let (source_port, destination_port) = (addresses.source.port(), addresses.destination.port());
    match addresses.on_the_wire() {
        WireAddresses::V4(source, destination) => {
            write!(out, "PROXY TCP4 {source} {destination}").expect(PROOF)
        }
        WireAddresses::V6(source, destination) => {
            out.extend_from_slice(b"PROXY TCP6 ");
            write_ipv6(source, out);
            out.push(b' ');
            write_ipv6(destination, out);
        }
    }
    write!(out, " {source_port} {destination_port}\r\n").expect(PROOF);
}

/// §2.1 has hexadecimal groups only, and the standard library would print a mapped address with dots.
fn write_ipv6(address: Ipv6Addr, out: &mut Vec<u8>) {
    const PROOF: &str = "writing to a vector cannot fail";
    match address.segments() {
        [0, 0, 0, 0, 0, 0xFFFF, high, low] => write!(out, "::ffff:{high:x}:{low:x}").expect(PROOF),
        _ => write!(out, "{address}").expect(PROOF),
    }
}
