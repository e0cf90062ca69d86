//! The name in a ClientHello (RFC 6066 §3).

use core::net::IpAddr;
use std::fmt;

use super::ClientHelloError;
use crate::limits::{SERVER_NAME_BYTES_MAX, SERVER_NAME_LABEL_BYTES_MAX};

/// A DNS name in lower case and without a last dot, ready to be looked up. Held in place: 254 bytes, no heap.
#[derive(Clone, Copy)]
pub struct ServerName {
    text: [u8; SERVER_NAME_BYTES_MAX],
    length: u8,
}

impl ServerName {
    /// Reads a host name; `None` for an IP address.
    ///
    /// Labels hold letters, digits, `-` and `_`, the last not being allowed in host names (RFC 952) but used
    /// in many. RFC 6066 §3 wants no dot at the end; as one means the same name to DNS, it is dropped.
    pub(super) fn parse(name: &[u8]) -> Result<Option<Self>, ClientHelloError> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        if is_address(name) {
            return Ok(None);
        }
        if name.len() > SERVER_NAME_BYTES_MAX || !name.split(|&byte| byte == b'.').all(is_label) {
            return Err(ClientHelloError::ServerName);
        }
        let mut text = [0; SERVER_NAME_BYTES_MAX];
        text.iter_mut().zip(name).for_each(|(slot, byte)| *slot = byte.to_ascii_lowercase());
        // The limit is below 2^8.
        Ok(Some(Self { text, length: name.len() as u8 }))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..usize::from(self.length)).unwrap_or_default();
        // Only ASCII came in.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

fn is_address(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}

fn is_label(label: &[u8]) -> bool {
    (1..=SERVER_NAME_LABEL_BYTES_MAX).contains(&label.len())
        && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for ServerName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ServerName {}

impl AsRef<str> for ServerName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}
