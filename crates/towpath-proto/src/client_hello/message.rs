//! The ClientHello message (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).

use std::ops::Range;

use super::{CLIENT_HELLO_TYPE, ClientHelloError, MESSAGE_HEADER_BYTES, ServerName, message_bytes};
use crate::cursor::Cursor;

/// RFC 6066 §3.
const EXTENSION_SERVER_NAME: u16 = 0;
/// RFC 8446 §4.2.3.
const EXTENSION_SIGNATURE_ALGORITHMS: u16 = 13;
/// RFC 7301 §3.1.
const EXTENSION_ALPN: u16 = 16;
/// RFC 8446 §4.2.1.
const EXTENSION_SUPPORTED_VERSIONS: u16 = 43;

const RANDOM_BYTES: usize = 32;
const SESSION_ID_BYTES_MAX: usize = 32;

/// Where things are in a message that is well formed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) legacy_version: u16,
    /// The numbers of the cipher suites.
    pub(super) cipher_suites: Range<usize>,
    /// The numbers of the signature schemes. Empty if there are none, or they cannot be read.
    pub(super) signature_schemes: Range<usize>,
    /// The host name, which may be an IP address.
    pub(super) server_name: Option<Range<usize>>,
    /// The protocol names, each behind its length. Empty if there are none.
    pub(super) alpn: Range<usize>,
    /// The version numbers. Empty if there are none.
    pub(super) supported_versions: Range<usize>,
}

pub(super) fn parse(message: &[u8]) -> Result<Parts, ClientHelloError> {
    let (header, body) =
        message.split_first_chunk::<MESSAGE_HEADER_BYTES>().ok_or(ClientHelloError::Syntax)?;
    if header[0] != CLIENT_HELLO_TYPE {
        return Err(ClientHelloError::NotClientHello);
    }
    if message_bytes(*header) != message.len() {
        return Err(ClientHelloError::Syntax);
    }
    let mut body = Cursor::new(body);
    let (legacy_version, suites, behind) = skip_to_extensions(&mut body).ok_or(ClientHelloError::Syntax)?;
    let suites_end = message.len() - behind;
    let cipher_suites = suites_end - suites..suites_end;
    let mut parts = Parts { legacy_version, cipher_suites, ..Parts::default() };
    // RFC 5246 §7.4.1.2: a hello may end here.
    if !body.is_empty() {
        let extensions = body.prefixed_u16().filter(|_| body.is_empty()).ok_or(ClientHelloError::Syntax)?;
        parse_extensions(extensions, message.len() - extensions.len(), &mut parts)?;
    }
    Ok(parts)
}

/// Version, random, session, cipher suites, compression. What is returned: the version, the bytes of the cipher suites, and
/// the bytes behind them.
fn skip_to_extensions(body: &mut Cursor<'_>) -> Option<(u16, usize, usize)> {
    let version = body.u16()?;
    body.take(RANDOM_BYTES)?;
    let session = body.prefixed_u8()?;
    let suites = body.prefixed_u16()?;
    let behind = body.rest().len();
    let compressions = body.prefixed_u8()?;
    let is_well_formed = session.len() <= SESSION_ID_BYTES_MAX
        && !suites.is_empty()
        && suites.len().is_multiple_of(2)
        && !compressions.is_empty();
    is_well_formed.then_some((version, suites.len(), behind))
}

/// `start` is where the extensions begin in the message.
fn parse_extensions(extensions: &[u8], start: usize, parts: &mut Parts) -> Result<(), ClientHelloError> {
    let mut rest = Cursor::new(extensions);
    let (mut has_name, mut has_alpn, mut has_versions) = (false, false, false);
    while !rest.is_empty() {
        let kind = rest.u16().ok_or(ClientHelloError::Syntax)?;
        let data = rest.prefixed_u16().ok_or(ClientHelloError::Syntax)?;
        let end = start + extensions.len() - rest.rest().len();
        let seen = match kind {
            EXTENSION_SERVER_NAME => &mut has_name,
            EXTENSION_ALPN => &mut has_alpn,
            EXTENSION_SUPPORTED_VERSIONS => &mut has_versions,
            // No route is chosen by it, so the origin may judge this one, too.
            EXTENSION_SIGNATURE_ALGORITHMS => {
                parts.signature_schemes = end - schemes_bytes(data)..end;
                continue;
            }
            _ => continue,
        };
        // RFC 8446 §4.2: no type twice. Of the types we do not read, the origin may judge.
        if std::mem::replace(seen, true) {
            return Err(ClientHelloError::ExtensionRepeated);
        }
        // In each of the three, what we want is the end of the extension.
        match kind {
            EXTENSION_SERVER_NAME => parts.server_name = Some(end - host_name_bytes(data)?..end),
            EXTENSION_ALPN => {
                parts.alpn = end - protocols_bytes(data).ok_or(ClientHelloError::Syntax)?..end;
            }
            _ => parts.supported_versions = end - versions_bytes(data).ok_or(ClientHelloError::Syntax)?..end,
        }
    }
    Ok(())
}

/// RFC 6066 §3: a list of names with no type twice, and host names are the only type there is. So the list is
/// one host name; what else there might be cannot even be skipped, since nobody knows its form.
fn host_name_bytes(data: &[u8]) -> Result<usize, ClientHelloError> {
    const HOST_NAME: u8 = 0;
    let mut data = Cursor::new(data);
    let list = data.prefixed_u16().filter(|_| data.is_empty()).ok_or(ClientHelloError::Syntax)?;
    let mut list = Cursor::new(list);
    let kind = list.u8().ok_or(ClientHelloError::Syntax)?;
    let name = list.prefixed_u16().ok_or(ClientHelloError::Syntax)?;
    if kind != HOST_NAME || !list.is_empty() {
        return Err(ClientHelloError::ServerName);
    }
    ServerName::parse(name)?;
    Ok(name.len())
}

/// RFC 7301 §3.1: a list of names, each of them one byte at least.
fn protocols_bytes(data: &[u8]) -> Option<usize> {
    let mut data = Cursor::new(data);
    let list = data.prefixed_u16()?;
    let mut names = Cursor::new(list);
    while !names.is_empty() {
        names.prefixed_u8().filter(|name| !name.is_empty())?;
    }
    (data.is_empty() && !list.is_empty()).then_some(list.len())
}

/// RFC 8446 §4.2.3: a list of two-byte numbers. 0 if it is none.
fn schemes_bytes(data: &[u8]) -> usize {
    let mut data = Cursor::new(data);
    data.prefixed_u16().filter(|_| data.is_empty()).map_or(0, <[u8]>::len)
}

/// RFC 8446 §4.2.1: a list of two-byte numbers.
fn versions_bytes(data: &[u8]) -> Option<usize> {
    let mut data = Cursor::new(data);
    let list = data.prefixed_u8()?;
    let is_well_formed = data.is_empty() && !list.is_empty() && list.len().is_multiple_of(2);
    is_well_formed.then_some(list.len())
}
