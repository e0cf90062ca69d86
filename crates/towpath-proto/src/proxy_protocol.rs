//! The PROXY protocol, versions 1 and 2: who really connected, told by the proxy before us or to the one
//! behind us.
//!
//! Sections (`§2.1`) are those of HAProxy's `proxy-protocol.txt`. The header comes before anything else on a
//! connection, TLS included, and only from a peer the configuration lists: who may send it can choose any
//! address it likes (§5). That decision is the caller's; a codec knows no peers.
//!
//! ```text
//!   bytes so far --> decode --> NeedMore            read on, call again with all bytes
//!                           --> Done { consumed, header }   the first byte of the client is at `consumed`
//!                           --> ProxyError          close; nothing may be answered (§2.1)
//!   Peer, Tlv... --> encode_v1, encode_v2 --> bytes for the other side
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fmt;

pub use tlv::{
    CLIENT_CERT_CONNECTION, CLIENT_CERT_SESSION, CLIENT_TLS, Ssl, TYPE_ALPN, TYPE_AUTHORITY, TYPE_CRC32C,
    TYPE_NETNS, TYPE_NOOP, TYPE_SSL, TYPE_SSL_CIPHER, TYPE_SSL_COMMON_NAME, TYPE_SSL_KEY_ALGORITHM,
    TYPE_SSL_SIGNATURE_ALGORITHM, TYPE_SSL_VERSION, TYPE_UNIQUE_ID, Tlv, TlvIter, Tlvs, write_ssl_value,
};
pub use v1::encode as encode_v1;
pub use v2::{Checksum, encode as encode_v2};

mod crc32c;
mod tlv;
mod v1;
mod v2;

/// How far [`decode`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress<'a> {
    /// So far the bytes are a header, and it is not whole. An end of the connection here means a cut header.
    NeedMore,
    /// The header is whole.
    Done {
        /// Bytes of the header; the client's own bytes follow.
        consumed: usize,
        /// What it says.
        header: Header<'a>,
    },
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The version it was written in.
    pub version: Version,
    /// Whose connection it is.
    pub peer: Peer,
    /// The attributes of a version 2 header; always empty for version 1.
    pub tlvs: Tlvs<'a>,
}

/// The version of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One line of text (§2.1).
    V1,
    /// Binary, with attributes (§2.2).
    V2,
}

/// Whose connection a header speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The proxy's own, such as a health check: the addresses of the socket count (§2.2, LOCAL).
    Local,
    /// Somebody's whose address the proxy could not tell: the addresses of the socket count (§2.1 UNKNOWN,
    /// §2.2 UNSPEC).
    Unknown,
    /// A client on a Unix socket. It has no IP address; its path is not kept.
    Unix(Transport),
    /// A client with an IP address.
    Ip(Transport, Addresses),
}

/// What carried the client's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP or a Unix stream.
    Stream,
    /// UDP or a Unix datagram.
    Datagram,
}

/// Both ends of the client's connection.
///
/// An IPv4 address is always an IPv4 address here: `::ffff:a.b.c.d` is turned into `a.b.c.d` on the way in and
/// out, so that no list of networks can be passed by writing the same address differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    source: SocketAddr,
    destination: SocketAddr,
}

/// Why bytes are not a PROXY header, or one we will not believe. The connection has to be closed (§2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// The bytes begin neither version; often a client that was let in without a proxy before it (§2.2).
    Signature,
    /// No CR LF within [`crate::limits::PROXY_V1_BYTES_MAX`] (§2.1).
    LineTooLong,
    /// A CR or an LF without the other (§2.1).
    LineEnd,
    /// Not `PROXY`, family, two addresses and two ports, with one space between each (§2.1).
    Line,
    /// A protocol besides TCP4, TCP6 and UNKNOWN in version 1; a family or transport without a meaning in
    /// version 2 (§2.1, §2.2).
    Family,
    /// An address that is not one of its family in canonical form (§2.1).
    Address,
    /// A port that is not a decimal number below 2^16 without leading zeros (§2.1).
    Port,
    /// The binary signature, followed by a version besides 2 (§2.2).
    Version,
    /// A command besides LOCAL and PROXY (§2.2).
    Command,
    /// The announced length cannot hold the addresses of the announced family (§2.2).
    Length,
    /// The header exceeds [`crate::limits::PROXY_V2_BYTES_MAX`].
    TooLarge,
    /// An attribute reaches past the end of what holds it (§2.2).
    TlvOverflow,
    /// An attribute whose value cannot be one of its type (§2.2.1 to §2.2.6).
    TlvValue,
    /// An attribute that may come once came twice, so that two readers might see two values.
    TlvRepeated,
    /// The checksum is not that of the header (§2.2.3).
    Checksum,
}

/// Decodes the header at the start of `input`, which holds every byte of the connection so far.
///
/// Keeps nothing between calls. A call costs a look at no more than 107 bytes until the header is whole, so
/// one call for each byte that arrives is affordable. No more bytes than the header's own are asked for.
///
/// # Errors
/// As soon as the bytes cannot become a header any more.
pub fn decode(input: &[u8]) -> Result<Progress<'_>, ProxyError> {
    let found = if is_begun(input, &v2::SIGNATURE) {
        v2::decode(input)?
    } else if is_begun(input, v1::SIGNATURE) {
        v1::decode(input)?
    } else {
        return Err(ProxyError::Signature);
    };
    Ok(match found {
        Some((consumed, header)) => Progress::Done { consumed, header },
        None => Progress::NeedMore,
    })
}

/// Whether the two agree as far as both go.
fn is_begun(input: &[u8], signature: &[u8]) -> bool {
    input.iter().zip(signature).all(|(left, right)| left == right)
}

impl Peer {
    /// The client's addresses, if the header told any that are IP addresses.
    pub fn addresses(&self) -> Option<Addresses> {
        match self {
            Self::Ip(_, addresses) => Some(*addresses),
            Self::Local | Self::Unknown | Self::Unix(_) => None,
        }
    }
}

impl Addresses {
    /// The addresses of a connection. The two may be of different families; flow label and scope of an IPv6
    /// address have no place in a header and are dropped.
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self { source: canonical(source), destination: canonical(destination) }
    }

    /// Where the client's connection came from.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// Where it went.
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// How a header holds them: it has one family for both, so an IPv4 address beside an IPv6 address is
    /// written as a mapped one (RFC 4291 §2.5.5.2).
    fn on_the_wire(&self) -> WireAddresses {
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => WireAddresses::V4(source, destination),
            (source, destination) => WireAddresses::V6(as_ipv6(source), as_ipv6(destination)),
        }
    }
}

/// Two addresses of one family.
enum WireAddresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn as_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl ProxyError {
    /// The stable reason code, also a metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Signature => "proxy_header_missing",
            Self::LineTooLong | Self::TooLarge => "proxy_header_too_large",
            Self::LineEnd | Self::Line | Self::Address | Self::Port => "bad_proxy_header",
            Self::Version | Self::Command => "bad_proxy_version",
            Self::Family => "bad_proxy_family",
            Self::Length => "bad_proxy_length",
            Self::TlvOverflow | Self::TlvValue | Self::TlvRepeated => "bad_proxy_tlv",
            Self::Checksum => "bad_proxy_checksum",
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "no PROXY header, although this peer has to send one",
            Self::LineTooLong => "PROXY line does not end within 107 bytes",
            Self::LineEnd => "PROXY line ends in CR or LF alone; it ends in CR LF",
            Self::Line => "PROXY line is not `PROXY TCP4 SOURCE DESTINATION PORT PORT` with single spaces",
            Self::Family => "PROXY header names a family or transport that does not exist",
            Self::Address => "PROXY line holds an address that is not one of its family",
            Self::Port => {
                "PROXY line holds a port that is not a number from 0 to 65535 without leading zeros"
            }
            Self::Version => "binary PROXY header has a version besides 2",
            Self::Command => "binary PROXY header has a command besides LOCAL and PROXY",
            Self::Length => "binary PROXY header is too short for the addresses of its family",
            Self::TooLarge => "binary PROXY header exceeds 4096 bytes",
            Self::TlvOverflow => "a PROXY attribute is longer than what holds it",
            Self::TlvValue => "a PROXY attribute has a value its type cannot have",
            Self::TlvRepeated => "a PROXY attribute that may come once comes twice",
            Self::Checksum => "the PROXY header's CRC32c is not that of its bytes",
        })
    }
}

impl std::error::Error for ProxyError {}
