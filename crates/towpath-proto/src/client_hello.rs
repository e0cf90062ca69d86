//! The first message of a TLS client, read without taking it: which name it wants, which protocols it speaks.
//!
//! A passthrough listener routes by it and forwards the same bytes. Nothing is consumed, nothing is decrypted,
//! and whether the origin will like the message is the origin's business; refused is only what cannot be read
//! in one way.
//!
//! ```text
//!   records of a connection --> HelloReader --> NeedMore | NotTls | Hello(ClientHello)
//!   one handshake message   --> ClientHello::parse          (QUIC carries it without records)
//! ```
//!
//! **The server name** is a DNS name, in lower case here. An IP address in its place is forbidden (RFC 6066
//! §3) but some clients send one, and it selects nothing: it is as if no name was sent, which is what rustls
//! does, and in effect nginx and HAProxy, where no map or ACL of names matches it. Anything else that is not a
//! DNS name is refused, as the TLS stacks of Envoy and of most origins do with the empty, the overlong and those
//! with a NUL byte: a name that two readers might read as two names must not choose an origin (T32).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use server_name::ServerName;

use message::Parts;
use record::{HEADER_BYTES, Record};

use crate::cursor::Cursor;
use crate::limits::CLIENT_HELLO_BYTES_MAX;

mod message;
mod record;
mod server_name;

/// Type and length of a handshake message (RFC 8446 §4).
const MESSAGE_HEADER_BYTES: usize = 4;

/// The handshake type of a ClientHello (RFC 8446 §4).
const CLIENT_HELLO_TYPE: u8 = 1;

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Sniff<'a> {
    /// So far a ClientHello, and it is not whole.
    NeedMore,
    /// Not TLS: plain text, some other protocol, or the hello of SSL 2.
    NotTls,
    /// A whole ClientHello.
    Hello(ClientHello<'a>),
}

/// Finds the ClientHello at the start of a connection, however it is cut into records and segments.
///
/// Remembers how far it read, so that a client sending byte by byte costs no more than one that does not.
#[derive(Clone, Debug, Default)]
pub struct HelloReader {
    /// Where the first record begins that was not there as a whole.
    record_start: usize,
    /// Bytes of the message in the records before it.
    message_bytes: usize,
    /// The message's own header, as far as it is there.
    header: [u8; MESSAGE_HEADER_BYTES],
}

/// A ClientHello that was read to its last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// Borrowed when it came in one record.
    message: Cow<'a, [u8]>,
    wire_bytes: usize,
    parts: Parts,
}

/// Why a connection that began as TLS has no ClientHello that can be routed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientHelloError {
    /// A record of another type, such as an alert, before the message was whole (RFC 8446 §5.1).
    RecordType,
    /// A later record that does not belong to TLS.
    RecordVersion,
    /// A handshake record without content (RFC 8446 §5.1).
    RecordEmpty,
    /// A record longer than [`crate::limits::TLS_RECORD_BYTES_MAX`] (RFC 8446 §5.1).
    RecordTooLarge,
    /// A handshake message of another type.
    NotClientHello,
    /// The message would end beyond [`CLIENT_HELLO_BYTES_MAX`] (T32).
    TooLarge,
    /// A length inside the message does not fit what is there (RFC 8446 §4.1.2).
    Syntax,
    /// An extension that decides the route came twice (RFC 8446 §4.2).
    ExtensionRepeated,
    /// The server name is not one DNS name (RFC 6066 §3).
    ServerName,
}

impl HelloReader {
    /// A reader at the start of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at `input`, which holds every byte of the connection so far; the same bytes and more on each call.
    ///
    /// Never asks for a byte behind the message, and never for more than [`CLIENT_HELLO_BYTES_MAX`]. An answer
    /// besides [`Sniff::NeedMore`] is given again if asked again.
    ///
    /// # Errors
    /// As soon as the bytes cannot become a ClientHello any more.
    pub fn handle_input<'a>(&mut self, input: &'a [u8]) -> Result<Sniff<'a>, ClientHelloError> {
        if !record::is_tls(input) {
            return Ok(Sniff::NotTls);
        }
        // Each turn but the last leaves a record behind, and none of them is empty.
        while let Some(record) = Record::parse(input.get(self.record_start..).unwrap_or_default())? {
            self.keep_header(record.content);
            let missing = self.missing_bytes(record.content)?;
            let here = missing.min(record.length);
            let end = self.record_start + HEADER_BYTES + here;
            // A message that goes on takes another record header and a byte at least.
            let end_least = if missing > here { end + HEADER_BYTES + 1 } else { end };
            if missing != usize::MAX && end_least > CLIENT_HELLO_BYTES_MAX {
                return Err(ClientHelloError::TooLarge);
            }
            if record.content.len() < here {
                return Ok(Sniff::NeedMore);
            }
            if missing <= record.length {
                return self.finish(input, end).map(Sniff::Hello);
            }
            self.record_start = end;
            self.message_bytes += record.length;
        }
        Ok(Sniff::NeedMore)
    }

    /// Copies what `content` holds of the message's header, which may be cut like the rest.
    fn keep_header(&mut self, content: &[u8]) {
        let room = self.header.iter_mut().skip(self.message_bytes);
        room.zip(content).for_each(|(slot, byte)| *slot = *byte);
    }

    /// Bytes from the start of this record's content to the end of the message; more than any record holds
    /// while that is unknown.
    fn missing_bytes(&self, content: &[u8]) -> Result<usize, ClientHelloError> {
        let known = self.message_bytes + content.len();
        if known > 0 && self.header[0] != CLIENT_HELLO_TYPE {
            return Err(ClientHelloError::NotClientHello);
        }
        if known < MESSAGE_HEADER_BYTES {
            return Ok(usize::MAX);
        }
        let total = message_bytes(self.header);
        match total > CLIENT_HELLO_BYTES_MAX {
            true => Err(ClientHelloError::TooLarge),
            false => Ok(total.saturating_sub(self.message_bytes)),
        }
    }

    /// Reads the message that ends at `end`.
    fn finish<'a>(&self, input: &'a [u8], end: usize) -> Result<ClientHello<'a>, ClientHelloError> {
        let wire = input.get(..end).unwrap_or_default();
        let message = match self.record_start {
            0 => Cow::Borrowed(wire.get(HEADER_BYTES..).unwrap_or_default()),
            _ => Cow::Owned(record::join(wire, message_bytes(self.header))),
        };
        let parts = message::parse(&message)?;
        Ok(ClientHello { message, wire_bytes: end, parts })
    }
}

/// The length of a message with this header, the header included.
fn message_bytes([_, high, middle, low]: [u8; MESSAGE_HEADER_BYTES]) -> usize {
    let body_bytes = u32::from_be_bytes([0, high, middle, low]);
    MESSAGE_HEADER_BYTES + body_bytes as usize
}

impl<'a> ClientHello<'a> {
    /// Reads a handshake message without records, as QUIC carries it.
    ///
    /// # Errors
    /// Bytes that are not exactly one ClientHello.
    pub fn parse(message: &'a [u8]) -> Result<Self, ClientHelloError> {
        let parts = message::parse(message)?;
        Ok(Self { message: Cow::Borrowed(message), wire_bytes: message.len(), parts })
    }

    /// The handshake message, its type and length included, without record headers.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Bytes of the connection up to the end of the message.
    pub fn wire_bytes(&self) -> usize {
        self.wire_bytes
    }

    /// The DNS name the client wants, in lower case. `None` if it sent none, or an IP address.
    pub fn server_name(&self) -> Option<ServerName> {
        ServerName::parse(self.span(self.parts.server_name.as_ref()?)).ok()?
    }

    /// The application protocols the client offers, its favourite first (RFC 7301 §3.1).
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Cursor::new(self.span(&self.parts.alpn));
        std::iter::from_fn(move || rest.prefixed_u8())
    }

    /// The version field of the message: 0x0303 from every client of TLS 1.2 and 1.3.
    pub fn legacy_version(&self) -> u16 {
        self.parts.legacy_version
    }

    /// The versions the client offers, its favourite first; none from clients older than TLS 1.3, whose
    /// version is [`Self::legacy_version`] (RFC 8446 §4.2.1). Numbers without a meaning are to be ignored.
    pub fn supported_versions(&self) -> impl Iterator<Item = u16> {
        let mut rest = Cursor::new(self.span(&self.parts.supported_versions));
        std::iter::from_fn(move || rest.u16())
    }

    /// The numbers of the cipher suites that the client offers, its favourite first (RFC 8446 §B.4).
    pub fn cipher_suites(&self) -> impl Iterator<Item = u16> {
        let mut rest = Cursor::new(self.span(&self.parts.cipher_suites));
        std::iter::from_fn(move || rest.u16())
    }

    /// The numbers of the signature schemes that the client can verify, its favourite first; none if it does not say, or
    /// not in a list (RFC 8446 §4.2.3).
    pub fn signature_schemes(&self) -> impl Iterator<Item = u16> {
        let mut rest = Cursor::new(self.span(&self.parts.signature_schemes));
        std::iter::from_fn(move || rest.u16())
    }

    fn span(&self, range: &Range<usize>) -> &[u8] {
        self.message.get(range.clone()).unwrap_or_default()
    }
}

impl ClientHelloError {
    /// The stable reason code, also a metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::RecordType => "unexpected_tls_record",
            Self::RecordVersion | Self::RecordEmpty | Self::RecordTooLarge => "bad_tls_record",
            Self::NotClientHello => "not_client_hello",
            Self::TooLarge => "client_hello_too_large",
            Self::Syntax | Self::ExtensionRepeated => "bad_client_hello",
            Self::ServerName => "bad_server_name",
        }
    }

    /// The fatal alert that tells the client (RFC 8446 §6.2, RFC 6066 §3).
    pub fn alert(self) -> u8 {
        const UNEXPECTED_MESSAGE: u8 = 10;
        const RECORD_OVERFLOW: u8 = 22;
        const ILLEGAL_PARAMETER: u8 = 47;
        const DECODE_ERROR: u8 = 50;
        const UNRECOGNIZED_NAME: u8 = 112;
        match self {
            Self::RecordType | Self::RecordEmpty | Self::NotClientHello => UNEXPECTED_MESSAGE,
            Self::RecordTooLarge => RECORD_OVERFLOW,
            Self::TooLarge | Self::ExtensionRepeated => ILLEGAL_PARAMETER,
            Self::RecordVersion | Self::Syntax => DECODE_ERROR,
            Self::ServerName => UNRECOGNIZED_NAME,
        }
    }
}

impl fmt::Display for ClientHelloError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecordType => "a TLS record of another type came before the ClientHello was whole",
            Self::RecordVersion => "bytes that are no TLS record came before the ClientHello was whole",
            Self::RecordEmpty => "a TLS handshake record is empty",
            Self::RecordTooLarge => "a TLS record exceeds 16384 bytes",
            Self::NotClientHello => "the first TLS handshake message is not a ClientHello",
            Self::TooLarge => "the ClientHello exceeds 65536 bytes, record headers included",
            Self::Syntax => "a length in the ClientHello does not fit the bytes that are there",
            Self::ExtensionRepeated => "an extension comes twice in the ClientHello",
            Self::ServerName => "the server name is not one DNS name in ASCII",
        })
    }
}

impl std::error::Error for ClientHelloError {}
