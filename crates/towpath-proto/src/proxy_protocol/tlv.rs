//! Attributes of a version 2 header: type, length, value (§2.2).

use super::ProxyError;
use crate::cursor::Cursor;
use crate::limits::PROXY_UNIQUE_ID_BYTES_MAX;

/// The application protocol of the connection, as in TLS (§2.2.1).
pub const TYPE_ALPN: u8 = 0x01;
/// The host the client asked for, UTF-8; under TLS its server name (§2.2.2).
pub const TYPE_AUTHORITY: u8 = 0x02;
/// The checksum of the header (§2.2.3). Verified by [`super::decode`], written by [`super::encode_v2`].
pub const TYPE_CRC32C: u8 = 0x03;
/// Padding (§2.2.4).
pub const TYPE_NOOP: u8 = 0x04;
/// What identifies the connection across proxies, up to 128 bytes (§2.2.5).
pub const TYPE_UNIQUE_ID: u8 = 0x05;
/// How the client used TLS: see [`Ssl`] (§2.2.6).
pub const TYPE_SSL: u8 = 0x20;
/// Inside [`TYPE_SSL`]: the version as text, such as `TLSv1.3`.
pub const TYPE_SSL_VERSION: u8 = 0x21;
/// Inside [`TYPE_SSL`]: the common name of the client's certificate, UTF-8.
pub const TYPE_SSL_COMMON_NAME: u8 = 0x22;
/// Inside [`TYPE_SSL`]: the cipher's name.
pub const TYPE_SSL_CIPHER: u8 = 0x23;
/// Inside [`TYPE_SSL`]: what signed the proxy's certificate.
pub const TYPE_SSL_SIGNATURE_ALGORITHM: u8 = 0x24;
/// Inside [`TYPE_SSL`]: the key of the proxy's certificate.
pub const TYPE_SSL_KEY_ALGORITHM: u8 = 0x25;
/// The network namespace's name (§2.2.7). Left as it is.
pub const TYPE_NETNS: u8 = 0x30;

/// Bit of [`Ssl::client`]: the client used TLS.
pub const CLIENT_TLS: u8 = 0x01;
/// Bit of [`Ssl::client`]: it showed a certificate on this connection.
pub const CLIENT_CERT_CONNECTION: u8 = 0x02;
/// Bit of [`Ssl::client`]: it showed a certificate in this TLS session, perhaps on an earlier connection.
pub const CLIENT_CERT_SESSION: u8 = 0x04;

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its type, one of the `TYPE_` numbers or any other.
    pub kind: u8,
    /// Its value, shorter than 2^16 bytes.
    pub value: &'a [u8],
}

/// Attributes one after the other, each inside the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a> {
    bytes: &'a [u8],
}

/// Goes through [`Tlvs`].
#[derive(Clone, Copy, Debug)]
pub struct TlvIter<'a> {
    rest: Cursor<'a>,
}

/// How the client used TLS (§2.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssl<'a> {
    /// The `CLIENT_` bits.
    pub client: u8,
    /// Zero if the client showed a certificate and it was verified.
    pub verify: u32,
    /// The `TYPE_SSL_` attributes.
    pub fields: Tlvs<'a>,
}

impl<'a> Tlvs<'a> {
    /// No attributes.
    pub const EMPTY: Self = Self { bytes: &[] };

    /// Takes bytes that are attributes to the last byte.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ProxyError> {
        let mut rest = Cursor::new(bytes);
        while !rest.is_empty() {
            next(&mut rest).ok_or(ProxyError::TlvOverflow)?;
        }
        Ok(Self { bytes })
    }

    /// Every attribute as it was sent, the checksum and padding included.
    pub fn iter(&self) -> TlvIter<'a> {
        TlvIter { rest: Cursor::new(self.bytes) }
    }

    /// The first value of this type.
    pub fn value(&self, kind: u8) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.kind == kind).map(|tlv| tlv.value)
    }

    /// The application protocol, such as `h2` (§2.2.1).
    pub fn alpn(&self) -> Option<&'a [u8]> {
        self.value(TYPE_ALPN)
    }

    /// The host the client asked for (§2.2.2). Any text: a name it is only after somebody checked.
    pub fn authority(&self) -> Option<&'a str> {
        std::str::from_utf8(self.value(TYPE_AUTHORITY)?).ok()
    }

    /// What identifies the connection: opaque, at most 128 bytes (§2.2.5).
    pub fn unique_id(&self) -> Option<&'a [u8]> {
        self.value(TYPE_UNIQUE_ID)
    }

    /// How the client used TLS (§2.2.6).
    pub fn ssl(&self) -> Option<Ssl<'a>> {
        Ssl::parse(self.value(TYPE_SSL)?).ok()
    }

    /// The stored checksum, and how many bytes follow it.
    pub(super) fn checksum(&self) -> Option<([u8; 4], usize)> {
        let mut rest = Cursor::new(self.bytes);
        while let Some(tlv) = next(&mut rest) {
            if tlv.kind == TYPE_CRC32C {
                return Some((tlv.value.try_into().ok()?, rest.rest().len()));
            }
        }
        None
    }
}

/// Refuses values that no attribute of their type may have, and what would have two values.
pub(super) fn check(tlvs: Tlvs<'_>) -> Result<(), ProxyError> {
    let mut kinds_seen = 0u64;
    for tlv in tlvs.iter() {
        match tlv.kind {
            TYPE_ALPN | TYPE_NETNS => {}
            TYPE_AUTHORITY if std::str::from_utf8(tlv.value).is_ok() => {}
            TYPE_CRC32C if tlv.value.len() == 4 => {}
            TYPE_UNIQUE_ID if tlv.value.len() <= PROXY_UNIQUE_ID_BYTES_MAX => {}
            TYPE_SSL => drop(Ssl::parse(tlv.value)?),
            TYPE_AUTHORITY | TYPE_CRC32C | TYPE_UNIQUE_ID => return Err(ProxyError::TlvValue),
            // Padding, and what we do not know, may come as often as it likes.
            _ => continue,
        }
        // Every type that comes here is below 64.
        let bit = 1u64 << (tlv.kind & 0x3F);
        if kinds_seen & bit != 0 {
            return Err(ProxyError::TlvRepeated);
        }
        kinds_seen |= bit;
    }
    Ok(())
}

fn next<'a>(rest: &mut Cursor<'a>) -> Option<Tlv<'a>> {
    let kind = rest.u8()?;
    Some(Tlv { kind, value: rest.prefixed_u16()? })
}

impl<'a> Iterator for TlvIter<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        next(&mut self.rest)
    }
}

impl<'a> IntoIterator for Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = TlvIter<'a>;

    fn into_iter(self) -> TlvIter<'a> {
        self.iter()
    }
}

impl Tlv<'_> {
    /// Appends the attribute.
    ///
    /// # Errors
    /// [`ProxyError::TooLarge`] for a value of 2^16 bytes and more; nothing is appended then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), ProxyError> {
        let length = u16::try_from(self.value.len()).map_err(|_| ProxyError::TooLarge)?;
        out.push(self.kind);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(self.value);
        Ok(())
    }
}

impl<'a> Ssl<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ProxyError> {
        let mut rest = Cursor::new(value);
        let client = rest.u8().ok_or(ProxyError::TlvValue)?;
        let verify = rest.u32().ok_or(ProxyError::TlvValue)?;
        Ok(Self { client, verify, fields: Tlvs::parse(rest.rest())? })
    }

    /// Whether the client showed a certificate in this session and it was verified. `verify` alone does not
    /// say so: it is zero, too, from senders that ask for no certificate.
    pub fn is_client_verified(&self) -> bool {
        self.verify == 0 && self.client & (CLIENT_CERT_CONNECTION | CLIENT_CERT_SESSION) != 0
    }
}

/// Appends the value of a [`TYPE_SSL`] attribute: `CLIENT_` bits, verification result, `TYPE_SSL_` attributes.
///
/// # Errors
/// [`ProxyError::TooLarge`] as for [`Tlv::encode`].
pub fn write_ssl_value(
    client: u8,
    verify: u32,
    fields: &[Tlv<'_>],
    out: &mut Vec<u8>,
) -> Result<(), ProxyError> {
    out.push(client);
    out.extend_from_slice(&verify.to_be_bytes());
    fields.iter().try_for_each(|field| field.encode(out))
}
