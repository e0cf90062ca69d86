//! TLS records before encryption starts (RFC 8446 §5.1).

use super::ClientHelloError;
use crate::limits::TLS_RECORD_BYTES_MAX;

/// Type, version and length.
pub(super) const HEADER_BYTES: usize = 5;

const HANDSHAKE: u8 = 22;

/// The first byte of every version since SSL 3. The second is to be ignored (RFC 8446 §5.1).
const VERSION_MAJOR: u8 = 3;

/// A handshake record.
pub(super) struct Record<'a> {
    /// The announced length of its content.
    pub(super) length: usize,
    /// The content, as far as it is there.
    pub(super) content: &'a [u8],
}

/// Whether these may be the first bytes of a TLS connection. Those of an SSL 2 hello are not: their first byte
/// has the highest bit set, and no client that sends one should reach an origin (RFC 6176).
pub(super) fn is_tls(input: &[u8]) -> bool {
    matches!(input, [] | [HANDSHAKE] | [HANDSHAKE, VERSION_MAJOR, ..])
}

impl<'a> Record<'a> {
    /// The record at the start of `input`, once its header is there.
    pub(super) fn parse(input: &'a [u8]) -> Result<Option<Self>, ClientHelloError> {
        match input {
            [kind, ..] if *kind != HANDSHAKE => return Err(ClientHelloError::RecordType),
            [_, major, ..] if *major != VERSION_MAJOR => return Err(ClientHelloError::RecordVersion),
            _ => {}
        }
        let Some((&[_, _, _, high, low], rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        match length {
            // RFC 8446 §5.1: handshake records without content are not sent. To allow them would let a client
            // send for ever.
            0 => Err(ClientHelloError::RecordEmpty),
            1..=TLS_RECORD_BYTES_MAX => Ok(Some(Self { length, content: &rest[..length.min(rest.len())] })),
            _ => Err(ClientHelloError::RecordTooLarge),
        }
    }
}

/// The content of all records in `wire`, the last of which may be cut. They have been parsed before.
pub(super) fn join(wire: &[u8], message_bytes: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(message_bytes);
    let mut rest = wire;
    while let Ok(Some(record)) = Record::parse(rest) {
        message.extend_from_slice(record.content);
        rest = rest.get(HEADER_BYTES + record.length..).unwrap_or_default();
    }
    message
}
