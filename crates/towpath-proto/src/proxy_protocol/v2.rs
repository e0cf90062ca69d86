//! Version 2: sixteen bytes, the addresses, the attributes (§2.2).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Addresses, Header, Peer, ProxyError, Tlv, Tlvs, Transport, Version, WireAddresses, crc32c, tlv};
use crate::cursor::Cursor;
use crate::limits::PROXY_V2_BYTES_MAX;

/// What every header begins with.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length.
const FIXED_BYTES: usize = 16;

/// Whether [`encode`] adds a CRC32c (§2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The header has none. TCP has its own; this is the default of other proxies.
    Omit,
    /// The header ends with one. Costs 7 bytes.
    Write,
}

/// The families of addresses, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Unspecified,
    Inet,
    Inet6,
    Unix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Local,
    Proxy,
}

/// Answers when the whole header is there; refuses at the first byte that shows it has to be refused.
pub(super) fn decode(input: &[u8]) -> Result<Option<(usize, Header<'_>)>, ProxyError> {
    let Some(&version_command) = input.get(12) else { return Ok(None) };
    let command = parse_command(version_command)?;
    let Some(&family_transport) = input.get(13) else { return Ok(None) };
    let kind = match command {
        // §2.2: the family of a LOCAL header is ignored.
        Command::Local => None,
        Command::Proxy => Some(parse_kind(family_transport)?),
    };
    let Some(&[high, low]) = input.get(14..FIXED_BYTES) else { return Ok(None) };
    let total = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if total > PROXY_V2_BYTES_MAX {
        return Err(ProxyError::TooLarge);
    }
    if kind.is_some_and(|(family, _)| total < FIXED_BYTES + family.address_bytes()) {
        return Err(ProxyError::Length);
    }
    // §2.2: no address is parsed before the whole block is there.
    let Some(whole) = input.get(..total) else { return Ok(None) };
    let (peer, tlvs) = match kind {
        // §2.2: the block of a LOCAL header is discarded. Nothing of it is used, so nothing of it is checked.
        None => (Peer::Local, Tlvs::EMPTY),
        Some((family, transport)) => parse_block(family, transport, whole)?,
    };
    Ok(Some((total, Header { version: Version::V2, peer, tlvs })))
}

/// §2.2, 13th byte.
fn parse_command(byte: u8) -> Result<Command, ProxyError> {
    match (byte >> 4, byte & 0x0F) {
        (2, 0) => Ok(Command::Local),
        (2, 1) => Ok(Command::Proxy),
        (2, _) => Err(ProxyError::Command),
        _ => Err(ProxyError::Version),
    }
}

/// §2.2, 14th byte. `None` is the unspecified transport.
fn parse_kind(byte: u8) -> Result<(Family, Option<Transport>), ProxyError> {
    let family = match byte >> 4 {
        0 => Family::Unspecified,
        1 => Family::Inet,
        2 => Family::Inet6,
        3 => Family::Unix,
        _ => return Err(ProxyError::Family),
    };
    let transport = match byte & 0x0F {
        0 => None,
        1 => Some(Transport::Stream),
        2 => Some(Transport::Datagram),
        _ => return Err(ProxyError::Family),
    };
    Ok((family, transport))
}

/// The addresses and attributes of a whole header.
fn parse_block(
    family: Family,
    transport: Option<Transport>,
    whole: &[u8],
) -> Result<(Peer, Tlvs<'_>), ProxyError> {
    let mut block = Cursor::new(whole.get(FIXED_BYTES..).unwrap_or_default());
    let peer = parse_peer(family, transport, &mut block).ok_or(ProxyError::Length)?;
    let tlvs = Tlvs::parse(block.rest())?;
    tlv::check(tlvs)?;
    check_crc(tlvs, whole)?;
    Ok((peer, tlvs))
}

/// Takes the addresses off the block, even where they are not used, so that the attributes come next.
fn parse_peer(family: Family, transport: Option<Transport>, block: &mut Cursor<'_>) -> Option<Peer> {
    let addresses = match family {
        Family::Inet => {
            let ips = (Ipv4Addr::from(block.array::<4>()?), Ipv4Addr::from(block.array::<4>()?));
            Some(parse_ports((ips.0.into(), ips.1.into()), block)?)
        }
        Family::Inet6 => {
            let ips = (Ipv6Addr::from(block.array::<16>()?), Ipv6Addr::from(block.array::<16>()?));
            Some(parse_ports((ips.0.into(), ips.1.into()), block)?)
        }
        Family::Unix | Family::Unspecified => {
            block.take(family.address_bytes())?;
            None
        }
    };
    Some(match (transport, addresses) {
        (Some(transport), Some(addresses)) => Peer::Ip(transport, addresses),
        (Some(transport), None) if family == Family::Unix => Peer::Unix(transport),
        // §2.2: of an unspecified family or transport, address information is ignored.
        _ => Peer::Unknown,
    })
}

fn parse_ports(ips: (IpAddr, IpAddr), block: &mut Cursor<'_>) -> Option<Addresses> {
    let (source_port, destination_port) = (block.u16()?, block.u16()?);
    Some(Addresses::new(SocketAddr::new(ips.0, source_port), SocketAddr::new(ips.1, destination_port)))
}

/// §2.2.3: the sum of the whole header, with zeros where the sum is.
fn check_crc(tlvs: Tlvs<'_>, whole: &[u8]) -> Result<(), ProxyError> {
    let Some((stored, bytes_after)) = tlvs.checksum() else { return Ok(()) };
    let (before, after) = whole.split_at(whole.len() - bytes_after);
    let before = &before[..before.len() - stored.len()];
    match crc32c::of(&[before, &[0; 4], after]) == u32::from_be_bytes(stored) {
        true => Ok(()),
        false => Err(ProxyError::Checksum),
    }
}

/// Appends the header for `peer` with these attributes, in this order.
///
/// A checksum among `tlvs` is left out, since it would be that of another header: ask for one instead. A LOCAL
/// header has no attributes, because its receivers discard them (§2.2). For [`Peer::Unix`] both paths are
/// written as unnamed. Give each type once; [`super::decode`] refuses a repeated one.
///
/// # Errors
/// [`ProxyError::TooLarge`] if the header would exceed [`PROXY_V2_BYTES_MAX`]; `out` is then as it was.
pub fn encode(
    peer: &Peer,
    tlvs: &[Tlv<'_>],
    checksum: Checksum,
    out: &mut Vec<u8>,
) -> Result<(), ProxyError> {
    let start = out.len();
    out.extend_from_slice(&SIGNATURE);
    match peer {
        // §2.2: version 2, the command, UNSPEC, and a length of zero.
        Peer::Local => out.extend_from_slice(&[0x20, 0, 0, 0]),
        _ => {
            encode_proxy(peer, out);
            let written = tlvs.iter().filter(|tlv| tlv.kind != tlv::TYPE_CRC32C);
            if written.map(|tlv| tlv.encode(out)).any(|done| done.is_err()) {
                out.truncate(start);
                return Err(ProxyError::TooLarge);
            }
            if checksum == Checksum::Write {
                out.extend_from_slice(&[tlv::TYPE_CRC32C, 0, 4, 0, 0, 0, 0]);
            }
            finish(start, checksum, out)?;
        }
    }
    Ok(())
}

/// Command, family, transport, room for the length, addresses.
fn encode_proxy(peer: &Peer, out: &mut Vec<u8>) {
    let Peer::Ip(transport, addresses) = peer else {
        let (kind, family) = match peer {
            Peer::Unix(transport) => (kind_of(Family::Unix, *transport), Family::Unix),
            _ => (0, Family::Unspecified),
        };
        out.extend_from_slice(&[0x21, kind, 0, 0]);
        out.resize(out.len() + family.address_bytes(), 0);
        return;
    };
    match addresses.on_the_wire() {
        WireAddresses::V4(source, destination) => {
            out.extend_from_slice(&[0x21, kind_of(Family::Inet, *transport), 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        WireAddresses::V6(source, destination) => {
            out.extend_from_slice(&[0x21, kind_of(Family::Inet6, *transport), 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
    }
    out.extend_from_slice(&addresses.source.port().to_be_bytes());
    out.extend_from_slice(&addresses.destination.port().to_be_bytes());
}

fn kind_of(family: Family, transport: Transport) -> u8 {
    let transport = match transport {
        Transport::Stream => 1,
        Transport::Datagram => 2,
    };
    (family as u8) << 4 | transport
}

/// Fills in what depends on the whole: the length, then the checksum of everything.
fn finish(start: usize, checksum: Checksum, out: &mut Vec<u8>) -> Result<(), ProxyError> {
    let total = out.len() - start;
    if total > PROXY_V2_BYTES_MAX {
        out.truncate(start);
        return Err(ProxyError::TooLarge);
    }
    // The limit is far below 2^16.
    let block_bytes = (total - FIXED_BYTES) as u16;
    out[start + 14..start + FIXED_BYTES].copy_from_slice(&block_bytes.to_be_bytes());
    if checksum == Checksum::Write {
        let sum = crc32c::of(&[&out[start..]]);
        let end = out.len();
        out[end - 4..].copy_from_slice(&sum.to_be_bytes());
    }
    Ok(())
}

impl Family {
    /// Bytes of both addresses and, for IP, both ports (§2.2).
    fn address_bytes(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::Inet => 2 * 4 + 2 * 2,
            Self::Inet6 => 2 * 16 + 2 * 2,
            Self::Unix => 2 * 108,
        }
    }
}
