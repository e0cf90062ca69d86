//! The messages of a TLS handshake, read for people to look at.
//!
//! `towpath tls trace` shows a handshake that really happened. What is read here decides nothing: the TLS stack has
//! judged the same bytes already, so a message that cannot be read is told as such and nothing more.
//!
//! ```text
//!   bytes of one direction --> Record::parse --> content --> MessageJoiner --> kind and body --> Message::parse
//! ```
//!
//! Not here: what is encrypted. Whoever can decrypt a record gives its content to the joiner.

use std::fmt;

pub use hello::{Extensions, Hello, KeyShare};
pub use names::{alert_name, extension_name, group_name, scheme_name, suite_name, version_name};
pub use record::{MessageJoiner, Record, RecordKind};

use crate::cursor::Cursor;

mod hello;
mod names;
mod record;

/// Longest handshake message, its header not counted. The TLS stack refuses longer ones too.
pub const MESSAGE_BYTES_MAX: usize = 0xffff;

/// Longest content of a record: 2^14 bytes, and what encryption adds (RFC 5246 §6.2.3; RFC 8446 §5.2 allows less).
pub const RECORD_CONTENT_BYTES_MAX: usize = (1 << 14) + 2048;

/// Most certificates that are told of one message; real chains have five at most.
pub const CERTIFICATES_COUNT_MAX: usize = 32;

/// The number of TLS 1.3 on the wire.
const TLS13: u16 = 0x0304;

/// A handshake message (RFC 8446 §4, RFC 5246 §7.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// What the client offers.
    ClientHello(Hello<'a>),
    /// What the server chose.
    ServerHello(Hello<'a>),
    /// The server wants a key share of another group (RFC 8446 §4.1.4).
    HelloRetryRequest(Hello<'a>),
    /// What the server says beside the hello, already encrypted.
    EncryptedExtensions(Extensions<'a>),
    /// The server asks for the client's certificate.
    CertificateRequest,
    /// The chain, each certificate in DER, the sender's own first. Empty: the sender has none.
    Certificate(Vec<&'a [u8]>),
    /// A stapled OCSP response.
    CertificateStatus,
    /// The sender's signature over the handshake so far, with this scheme.
    CertificateVerify(u16),
    /// TLS 1.2: the server's share of the key, and the scheme that signs it.
    ServerKeyExchange {
        /// The named group.
        group: u16,
        /// The signature scheme.
        scheme: u16,
    },
    /// TLS 1.2: the server is done for now.
    ServerHelloDone,
    /// TLS 1.2: the client's share of the key.
    ClientKeyExchange,
    /// A MAC over the handshake.
    Finished,
    /// What a later connection can begin with, for this many seconds.
    NewSessionTicket(u32),
    /// TLS 1.3: the sender's next record uses the next key.
    KeyUpdate,
    /// TLS 1.2: the server asks for another handshake.
    HelloRequest,
    /// Another kind of message.
    Other(u8),
}

/// A message does not have the form of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Message<'a> {
    /// Reads the body of a message of this kind. `version` is what the server chose, once it has: some messages have
    /// another form in TLS 1.3.
    ///
    /// # Errors
    /// The body does not have that form.
    pub fn parse(kind: u8, body: &'a [u8], version: Option<u16>) -> Result<Self, Malformed> {
        let is_13 = version == Some(TLS13);
        let message = match kind {
            0 => Some(Self::HelloRequest),
            1 => Hello::parse_client(body).map(Self::ClientHello),
            2 => Hello::parse_server(body).map(server_hello),
            4 => Cursor::new(body).u32().map(Self::NewSessionTicket),
            8 => Extensions::parse(body).map(Self::EncryptedExtensions),
            11 => certificates(body, is_13).map(Self::Certificate),
            12 => server_key_exchange(body),
            13 => Some(Self::CertificateRequest),
            14 => Some(Self::ServerHelloDone),
            15 => Cursor::new(body).u16().map(Self::CertificateVerify),
            16 => Some(Self::ClientKeyExchange),
            20 => Some(Self::Finished),
            22 => Some(Self::CertificateStatus),
            24 => Some(Self::KeyUpdate),
            other => Some(Self::Other(other)),
        };
        message.ok_or(Malformed)
    }

    /// The name in the RFCs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ClientHello(_) => "ClientHello",
            Self::ServerHello(_) => "ServerHello",
            Self::HelloRetryRequest(_) => "HelloRetryRequest",
            Self::EncryptedExtensions(_) => "EncryptedExtensions",
            Self::CertificateRequest => "CertificateRequest",
            Self::Certificate(_) => "Certificate",
            Self::CertificateStatus => "CertificateStatus",
            Self::CertificateVerify(_) => "CertificateVerify",
            Self::ServerKeyExchange { .. } => "ServerKeyExchange",
            Self::ServerHelloDone => "ServerHelloDone",
            Self::ClientKeyExchange => "ClientKeyExchange",
            Self::Finished => "Finished",
            Self::NewSessionTicket(_) => "NewSessionTicket",
            Self::KeyUpdate => "KeyUpdate",
            Self::HelloRequest => "HelloRequest",
            Self::Other(_) => "a message of another kind",
        }
    }
}

fn server_hello(hello: Hello<'_>) -> Message<'_> {
    match hello.is_retry_request() {
        true => Message::HelloRetryRequest(hello),
        false => Message::ServerHello(hello),
    }
}

/// RFC 5246 §7.4.2; RFC 8446 §4.4.2 puts a context before the list and extensions behind each certificate.
fn certificates(body: &[u8], is_13: bool) -> Option<Vec<&[u8]>> {
    let mut body = Cursor::new(body);
    if is_13 {
        body.prefixed_u8()?;
    }
    let mut list = Cursor::new(prefixed_u24(&mut body)?);
    let mut certificates = Vec::new();
    while !list.is_empty() && certificates.len() < CERTIFICATES_COUNT_MAX {
        certificates.push(prefixed_u24(&mut list)?);
        if is_13 {
            list.prefixed_u16()?;
        }
    }
    body.is_empty().then_some(certificates)
}

/// RFC 8422 §5.4: a named curve, a point, a signature. Other exchanges have other forms, and no suite of ours has them.
fn server_key_exchange(body: &[u8]) -> Option<Message<'_>> {
    const NAMED_CURVE: u8 = 3;
    let mut body = Cursor::new(body);
    body.u8().filter(|kind| *kind == NAMED_CURVE)?;
    let group = body.u16()?;
    body.prefixed_u8()?;
    let scheme = body.u16()?;
    body.prefixed_u16()?;
    Some(Message::ServerKeyExchange { group, scheme })
}

fn prefixed_u24<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let [high, middle, low] = cursor.array()?;
    let length = u32::from_be_bytes([0, high, middle, low]);
    cursor.take(usize::try_from(length).ok()?)
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message does not have the form of its kind")
    }
}

impl std::error::Error for Malformed {}
