//! nginx's list of protocols.

use std::fmt;

use super::Version;

/// What is right.
const RIGHT: &str = "TLSv1.2 and TLSv1.3 are what there is";

/// The spellings of what nobody should speak any more (RFC 6176, RFC 7568, RFC 8996).
const OLD: &[&str] = &["SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"];

/// Why a list of protocols cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolsError {
    /// A protocol that has been withdrawn, as it is usually spelled.
    Old(&'static str),
    /// Not a protocol.
    Unknown(String),
    /// No protocol at all.
    Empty,
}

/// The versions that `words` name, the oldest first and none twice. A word may itself be a list with spaces, as it
/// stands in nginx's `ssl_protocols`. Capitals do not matter, as they do not in nginx.
///
/// # Errors
/// A word that is no version or an old one, also beside good ones: who writes `TLSv1.1` has clients that would not
/// come in. No word at all.
pub fn parse_protocols<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Vec<Version>, ProtocolsError> {
    let mut versions = Vec::new();
    for word in words.into_iter().flat_map(str::split_whitespace) {
        versions.push(version(word)?);
    }
    versions.sort_unstable();
    versions.dedup();
    match versions.is_empty() {
        true => Err(ProtocolsError::Empty),
        false => Ok(versions),
    }
}

fn version(word: &str) -> Result<Version, ProtocolsError> {
    if let Some(version) = Version::ALL.into_iter().find(|version| version.name().eq_ignore_ascii_case(word))
    {
        return Ok(version);
    }
    match OLD.iter().find(|old| old.eq_ignore_ascii_case(word)) {
        Some(old) => Err(ProtocolsError::Old(old)),
        None => Err(ProtocolsError::Unknown(word.to_owned())),
    }
}

impl fmt::Display for ProtocolsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Old(name) => write!(f, "{name} is broken and withdrawn; {RIGHT}"),
            Self::Unknown(word) => write!(f, "{word:?} is no version of TLS; {RIGHT}"),
            Self::Empty => write!(f, "no version of TLS is named; {RIGHT}"),
        }
    }
}

impl std::error::Error for ProtocolsError {}
