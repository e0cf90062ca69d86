//! The opening handshake over HTTP/1.1 (§4), read from heads that the HTTP codec has judged.

use std::fmt;

use sha1_smol::Sha1;

use super::{Deflate, DeflatePolicy, Extensions};
use crate::base64;
use crate::field::{is_token, list_elements};
use crate::message::{Fields, Method, RequestHead, ResponseHead, Version};

/// Length of a `Sec-WebSocket-Key`: 16 bytes in base64 (§4.1).
pub const KEY_BYTES: usize = 24;

/// Length of a `Sec-WebSocket-Accept`: 20 bytes in base64 (§4.2.2).
pub const ACCEPT_BYTES: usize = 28;

/// What a server appends to the key before it hashes (§1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The one version there is (§4.1).
const VERSION: &[u8] = b"13";

/// Why a handshake fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// The request is not a GET (§4.1).
    Method,
    /// The request is not HTTP/1.1 (§4.1).
    HttpVersion,
    /// The head has no `Upgrade: websocket` that `Connection` nominates (§4.1).
    Upgrade,
    /// `Sec-WebSocket-Key` is missing, repeated or not 16 bytes in base64 (§4.1).
    Key,
    /// `Sec-WebSocket-Version` is missing, repeated or not 13 (§4.2.2).
    Version,
    /// `Origin` is there more than once.
    Origin,
    /// `Sec-WebSocket-Protocol` is not a list of tokens in a request (§4.1); in a response it is none that was
    /// asked for.
    Protocol,
    /// `Sec-WebSocket-Extensions` is not a list of extensions (§9.1).
    ExtensionSyntax,
    /// A response with an extension that was not offered so (§4.1).
    ExtensionAnswer,
    /// A response besides 101 (§4.1).
    Status,
    /// A response whose `Sec-WebSocket-Accept` is not that of the key (§4.1).
    Accept,
}

/// A client's opening handshake.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    fields: &'a Fields,
    block: &'a [u8],
    key: &'a [u8],
    origin: Option<&'a [u8]>,
}

/// A server's answer to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The subprotocol it chose, one of those that were asked for.
    pub protocol: Option<&'a str>,
    /// What it agreed to about compression.
    pub deflate: Option<Deflate>,
}

/// The `Sec-WebSocket-Accept` that proves to a client that its key was read (§4.2.2).
pub fn accept_value(key: &[u8]) -> [u8; ACCEPT_BYTES] {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    let mut value = [0; ACCEPT_BYTES];
    write_base64(&hash.digest().bytes(), &mut value);
    value
}

/// A client's `Sec-WebSocket-Key` of 16 bytes that were chosen at random (§4.1).
pub fn key_value(nonce: &[u8; 16]) -> [u8; KEY_BYTES] {
    let mut value = [0; KEY_BYTES];
    write_base64(nonce, &mut value);
    value
}

/// Whether `key` is 16 bytes in base64 (§4.2.1). They are not looked at; a key is used as text.
pub fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == KEY_BYTES && key.strip_suffix(b"==").is_some_and(|digits| digits.iter().all(is_digit))
}

/// The `Origin` of a request that is passed on, whatever else is wrong with its handshake.
///
/// # Errors
/// [`HandshakeError::Origin`] when there are several, which two readers could read as two different ones.
pub fn origin_of<'a>(head: &'a RequestHead, block: &'a [u8]) -> Result<Option<&'a [u8]>, HandshakeError> {
    only(&head.fields, block, b"Origin", HandshakeError::Origin)
}

/// What a 101 that is passed on agreed to.
pub fn agreed_extensions(head: &ResponseHead, block: &[u8]) -> Extensions {
    Extensions::read(all(&head.fields, block, b"Sec-WebSocket-Extensions"))
}

impl<'a> Opening<'a> {
    /// Reads a client's handshake (§4.2.1); `block` is what the head's spans are of. One of HTTP/2 comes as the GET that it
    /// stands for, and has no key (RFC 8441 §5).
    ///
    /// # Errors
    /// The answer is then [`HandshakeError::status`] with [`HandshakeError::fields`].
    pub fn read(head: &'a RequestHead, block: &'a [u8]) -> Result<Self, HandshakeError> {
        if head.method != Method::Get {
            return Err(HandshakeError::Method);
        }
        if !matches!(head.version, Version::Http11 | Version::Http2) {
            return Err(HandshakeError::HttpVersion);
        }
        if !head.upgrade.is_some_and(|upgrade| has_websocket(upgrade.of(block))) {
            return Err(HandshakeError::Upgrade);
        }
        let fields = &head.fields;
        let version = only(fields, block, b"Sec-WebSocket-Version", HandshakeError::Version)?;
        version.filter(|version| *version == VERSION).ok_or(HandshakeError::Version)?;
        let key = match head.version {
            Version::Http2 => b"",
            _ => {
                let key = only(fields, block, b"Sec-WebSocket-Key", HandshakeError::Key)?;
                key.filter(|key| is_key(key)).ok_or(HandshakeError::Key)?
            }
        };
        let origin = only(fields, block, b"Origin", HandshakeError::Origin)?;
        let opening = Self { fields, block, key, origin };
        match opening.protocols().all(is_token) {
            true => Ok(opening),
            false => Err(HandshakeError::Protocol),
        }
    }

    /// The `Sec-WebSocket-Accept` to answer with in HTTP/1.1.
    pub fn accept(&self) -> [u8; ACCEPT_BYTES] {
        accept_value(self.key)
    }

    /// The `Origin`, which browsers always send (§4.1); see [`super::Origins`].
    pub fn origin(&self) -> Option<&'a [u8]> {
        self.origin
    }

    /// The subprotocols the client speaks, the one it likes best first (§4.1).
    pub fn protocols(&self) -> impl Iterator<Item = &'a [u8]> {
        all(self.fields, self.block, b"Sec-WebSocket-Protocol").flat_map(list_elements)
    }

    /// The first of the client's subprotocols that is among `ours` (§4.2.2); names are compared with case.
    pub fn choose_protocol<'b>(&self, ours: &[&'b str]) -> Option<&'b str> {
        self.protocols().find_map(|theirs| ours.iter().copied().find(|name| name.as_bytes() == theirs))
    }

    /// What we agree to about compression.
    ///
    /// # Errors
    /// [`HandshakeError::ExtensionSyntax`].
    pub fn choose_deflate(&self, policy: &DeflatePolicy) -> Result<Option<Deflate>, HandshakeError> {
        policy.accept(all(self.fields, self.block, b"Sec-WebSocket-Extensions"))
    }
}

impl<'a> Answer<'a> {
    /// Reads a server's answer (§4.1) to a request with `key`, `protocols` and, if there is a policy, its offer.
    ///
    /// # Errors
    /// The connection cannot be used.
    pub fn read(
        head: &ResponseHead,
        block: &[u8],
        key: &[u8],
        protocols: &[&'a str],
        policy: Option<&DeflatePolicy>,
    ) -> Result<Self, HandshakeError> {
        let fields = &head.fields;
        if head.status != 101 {
            return Err(HandshakeError::Status);
        }
        let nominates = |value: &[u8]| list_elements(value).any(|name| name.eq_ignore_ascii_case(b"upgrade"));
        if !all(fields, block, b"Connection").any(nominates)
            || !all(fields, block, b"Upgrade").any(has_websocket)
        {
            return Err(HandshakeError::Upgrade);
        }
        let accept = only(fields, block, b"Sec-WebSocket-Accept", HandshakeError::Accept)?;
        accept.filter(|accept| *accept == accept_value(key)).ok_or(HandshakeError::Accept)?;
        let protocol = chosen_protocol(fields, block, protocols)?;
        let deflate = agreed_deflate(fields, block, policy)?;
        Ok(Self { protocol, deflate })
    }
}

fn chosen_protocol<'a>(
    fields: &Fields,
    block: &[u8],
    protocols: &[&'a str],
) -> Result<Option<&'a str>, HandshakeError> {
    let Some(chosen) = only(fields, block, b"Sec-WebSocket-Protocol", HandshakeError::Protocol)? else {
        return Ok(None);
    };
    let known = protocols.iter().find(|name| name.as_bytes() == chosen);
    known.copied().map(Some).ok_or(HandshakeError::Protocol)
}

fn agreed_deflate(
    fields: &Fields,
    block: &[u8],
    policy: Option<&DeflatePolicy>,
) -> Result<Option<Deflate>, HandshakeError> {
    let mut values = all(fields, block, b"Sec-WebSocket-Extensions");
    match policy {
        Some(policy) => policy.read_answer(values),
        // Nothing was offered, so that nothing can be agreed to.
        None => match values.next() {
            Some(_) => Err(HandshakeError::ExtensionAnswer),
            None => Ok(None),
        },
    }
}

fn has_websocket(upgrade: &[u8]) -> bool {
    list_elements(upgrade).any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

fn all<'a>(fields: &'a Fields, block: &'a [u8], name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let named = fields.iter().filter(move |field| field.name.of(block).eq_ignore_ascii_case(name));
    named.map(|field| field.value.of(block))
}

/// The value of a field that may come once; two might be read as two different ones.
fn only<'a>(
    fields: &'a Fields,
    block: &'a [u8],
    name: &'static [u8],
    error: HandshakeError,
) -> Result<Option<&'a [u8]>, HandshakeError> {
    let mut values = all(fields, block, name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(error),
        (value, None) => Ok(value),
    }
}

/// RFC 4648 §4. `text` holds four digits for each three bytes begun.
fn write_base64(bytes: &[u8], text: &mut [u8]) {
    for (group, digits) in bytes.chunks(3).zip(text.chunks_mut(4)) {
        digits.copy_from_slice(&base64::encode_group(group));
    }
}

impl HandshakeError {
    /// The status to refuse a request with. For a response it is 502: the origin is at fault.
    pub fn status(self) -> u16 {
        match self {
            // §4.4 asks for it; RFC 9110 §15.5.22 for a request that should have been an upgrade.
            Self::Version | Self::Upgrade => 426,
            Self::ExtensionAnswer | Self::Status | Self::Accept => 502,
            _ => 400,
        }
    }

    /// The fields that such a response has to have (§4.4, RFC 9110 §15.5.22).
    pub fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self.status() {
            426 => &[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")],
            _ => &[],
        }
    }

    /// The stable reason code, also a metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Method | Self::HttpVersion | Self::Upgrade => "ws_bad_upgrade",
            Self::Key => "ws_bad_key",
            Self::Version => "ws_unsupported_version",
            Self::Origin => "ws_bad_origin",
            Self::Protocol => "ws_bad_protocol",
            Self::ExtensionSyntax | Self::ExtensionAnswer => "ws_bad_extensions",
            Self::Status | Self::Accept => "ws_bad_answer",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "a WebSocket handshake is a GET",
            Self::HttpVersion => "a WebSocket handshake is HTTP/1.1",
            Self::Upgrade => "`Upgrade: websocket` with `Connection: Upgrade` is missing",
            Self::Key => "Sec-WebSocket-Key is not sent once with 16 bytes in base64",
            Self::Version => "Sec-WebSocket-Version is not sent once with 13",
            Self::Origin => "Origin is sent more than once",
            Self::Protocol => {
                "Sec-WebSocket-Protocol is not a list of tokens, or answers with one nobody asked for"
            }
            Self::ExtensionSyntax => "Sec-WebSocket-Extensions is not a list of extensions",
            Self::ExtensionAnswer => "the server agreed to an extension that was not offered so",
            Self::Status => "the server did not answer with 101",
            Self::Accept => "Sec-WebSocket-Accept is not that of the key",
        })
    }
}

impl std::error::Error for HandshakeError {}
