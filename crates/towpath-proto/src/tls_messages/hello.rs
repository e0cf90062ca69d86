//! The hellos and their extensions (RFC 8446 §4.1, §4.2).

use crate::cursor::Cursor;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const ALPN: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

/// What a ServerHello holds for a random number if it is a HelloRetryRequest: the SHA-256 of that name (RFC 8446
/// §4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A hello of either side. A server's lists have one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    is_client: bool,
    legacy_version: u16,
    random: [u8; 32],
    suites: &'a [u8],
    extensions: Extensions<'a>,
}

/// Extensions, each behind its type and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions<'a>(&'a [u8]);

/// A share of a key: the group, and how many bytes it takes. A HelloRetryRequest asks for one and so brings none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyShare {
    /// The named group.
    pub group: u16,
    /// The size of the share.
    pub bytes: usize,
}

impl<'a> Extensions<'a> {
    /// Reads a list with its length before it.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut bytes = Cursor::new(bytes);
        let list = bytes.prefixed_u16().filter(|_| bytes.is_empty())?;
        let mut rest = Cursor::new(list);
        while !rest.is_empty() {
            next(&mut rest)?;
        }
        Some(Self(list))
    }

    /// Types and contents, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = Cursor::new(self.0);
        std::iter::from_fn(move || next(&mut rest))
    }

    /// The content of the first of this type.
    pub fn find(&self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|(other, _)| *other == kind).map(|(_, content)| content)
    }

    /// The application protocols, offered or chosen (RFC 7301 §3.1).
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut names = self.list(ALPN, Cursor::prefixed_u16);
        std::iter::from_fn(move || names.prefixed_u8())
    }

    /// A list inside an extension; empty if it is not there or not a list.
    fn list(&self, kind: u16, prefixed: impl Fn(&mut Cursor<'a>) -> Option<&'a [u8]>) -> Cursor<'a> {
        let list = self.find(kind).and_then(|content| prefixed(&mut Cursor::new(content)));
        Cursor::new(list.unwrap_or_default())
    }
}

fn next<'a>(rest: &mut Cursor<'a>) -> Option<(u16, &'a [u8])> {
    Some((rest.u16()?, rest.prefixed_u16()?))
}

impl<'a> Hello<'a> {
    /// RFC 8446 §4.1.2.
    pub(super) fn parse_client(body: &'a [u8]) -> Option<Self> {
        let mut body = Cursor::new(body);
        let (legacy_version, random) = start(&mut body)?;
        let suites = body.prefixed_u16()?;
        body.prefixed_u8()?;
        Some(Self { is_client: true, legacy_version, random, suites, extensions: end(&body)? })
    }

    /// RFC 8446 §4.1.3.
    pub(super) fn parse_server(body: &'a [u8]) -> Option<Self> {
        let mut body = Cursor::new(body);
        let (legacy_version, random) = start(&mut body)?;
        let suites = body.take(2)?;
        body.u8()?;
        Some(Self { is_client: false, legacy_version, random, suites, extensions: end(&body)? })
    }

    pub(super) fn is_retry_request(&self) -> bool {
        self.random == RETRY_RANDOM
    }

    /// The suites offered, or the one chosen.
    pub fn suites(&self) -> impl Iterator<Item = u16> + use<'a> {
        numbers(Cursor::new(self.suites))
    }

    /// The versions offered, or the one chosen. Before TLS 1.3 there was no list.
    pub fn versions(&self) -> Vec<u16> {
        let listed: Vec<u16> = match self.is_client {
            true => numbers(self.extensions.list(SUPPORTED_VERSIONS, Cursor::prefixed_u8)).collect(),
            false => self
                .extensions
                .find(SUPPORTED_VERSIONS)
                .and_then(|one| Cursor::new(one).u16())
                .into_iter()
                .collect(),
        };
        if listed.is_empty() { vec![self.legacy_version] } else { listed }
    }

    /// The name a client asks for (RFC 6066 §3), as it was sent.
    pub fn server_name(&self) -> Option<&'a [u8]> {
        let mut list = self.extensions.list(SERVER_NAME, Cursor::prefixed_u16);
        list.u8()?;
        list.prefixed_u16()
    }

    /// The groups a client offers (RFC 8446 §4.2.7).
    pub fn groups(&self) -> impl Iterator<Item = u16> + use<'a> {
        numbers(self.extensions.list(SUPPORTED_GROUPS, Cursor::prefixed_u16))
    }

    /// The shares a client sends, the one a server answers with, or the one it asks for (RFC 8446 §4.2.8).
    pub fn key_shares(&self) -> Vec<KeyShare> {
        let mut rest = match self.is_client {
            true => self.extensions.list(KEY_SHARE, Cursor::prefixed_u16),
            false => Cursor::new(self.extensions.find(KEY_SHARE).unwrap_or_default()),
        };
        let shares = std::iter::from_fn(|| {
            let group = rest.u16()?;
            Some(KeyShare { group, bytes: rest.prefixed_u16().map_or(0, <[u8]>::len) })
        });
        shares.collect()
    }

    /// Whether a client offers to resume, or a server agrees (RFC 8446 §4.2.11).
    pub fn has_pre_shared_key(&self) -> bool {
        self.extensions.find(PRE_SHARED_KEY).is_some()
    }

    /// All extensions.
    pub fn extensions(&self) -> Extensions<'a> {
        self.extensions
    }
}

/// Version, random and session id.
fn start(body: &mut Cursor<'_>) -> Option<(u16, [u8; 32])> {
    let version = body.u16()?;
    let random = body.array()?;
    body.prefixed_u8()?;
    Some((version, random))
}

/// RFC 5246 §7.4.1.2: a hello may end before its extensions.
fn end<'a>(body: &Cursor<'a>) -> Option<Extensions<'a>> {
    if body.is_empty() { Some(Extensions(&[])) } else { Extensions::parse(body.rest()) }
}

fn numbers(mut rest: Cursor<'_>) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || rest.u16())
}
