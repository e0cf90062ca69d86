//! What a certificate says about its owner: names and dates (RFC 5280 §4), read and not judged.
//!
//! Whether a certificate is to be believed is the TLS library's business. It gives no names, so these are read here, and
//! from certificates alone that are the operator's own or have passed the library.

use core::net::IpAddr;

use der::{Reader, seconds_of};

mod der;

/// A certificate, as far as it is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// When it begins to be good, in seconds since 1970-01-01 UTC.
    pub not_before: u64,
    /// When it ceases to be good, in seconds since 1970-01-01 UTC.
    pub not_after: u64,
    /// The last common name of the subject.
    pub common_name: Option<&'a str>,
    /// The alternative names of the subject that are of a kind known here, in order (RFC 5280 §4.2.1.6).
    pub names: Vec<Name<'a>>,
}

/// An alternative name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// A DNS name, with or without a wildcard.
    Dns(&'a str),
    /// A URI, such as a SPIFFE id.
    Uri(&'a str),
    /// An address.
    Ip(IpAddr),
}

/// Object identifiers, as they are encoded: `id-at-commonName` and `id-ce-subjectAltName`.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Tags of DER (X.690 §8.1.2) that stand in certificates.
mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTETS: u8 = 0x04;
    pub(super) const OBJECT: u8 = 0x06;
    pub(super) const UTF8: u8 = 0x0c;
    pub(super) const PRINTABLE: u8 = 0x13;
    pub(super) const IA5: u8 = 0x16;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const VERSION: u8 = 0xa0;
    pub(super) const EXTENSIONS: u8 = 0xa3;
    pub(super) const DNS_NAME: u8 = 0x82;
    pub(super) const URI: u8 = 0x86;
    pub(super) const IP_ADDRESS: u8 = 0x87;
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER. `None` when it is none.
    #[must_use]
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let mut certificate = Reader::new(Reader::new(der).take(tag::SEQUENCE)?);
        let mut fields = Reader::new(certificate.take(tag::SEQUENCE)?);
        // A version that is absent is 1, which has no extensions.
        let _ = fields.take(tag::VERSION);
        fields.take(tag::INTEGER)?;
        fields.take(tag::SEQUENCE)?;
        fields.take(tag::SEQUENCE)?;
        let mut validity = Reader::new(fields.take(tag::SEQUENCE)?);
        let not_before = seconds_of(validity.next()?)?;
        let not_after = seconds_of(validity.next()?)?;
        let common_name = common_name(fields.take(tag::SEQUENCE)?);
        let names = alternative_names(fields)?;
        Some(Self { not_before, not_after, common_name, names })
    }

    /// Whether it is good at `now`, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn is_current(&self, now: u64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Its DNS names in lower case; the common name if it has no alternative names at all, as certificates had it before
    /// RFC 2818.
    #[must_use]
    pub fn dns_names(&self) -> Vec<String> {
        let of_name = |name: &Name<'a>| match name {
            Name::Dns(name) => Some(name.to_ascii_lowercase()),
            Name::Uri(_) | Name::Ip(_) => None,
        };
        if self.names.is_empty() {
            return self.common_name.map(str::to_ascii_lowercase).into_iter().collect();
        }
        self.names.iter().filter_map(of_name).collect()
    }

    /// Who the owner is, in one word: the first URI, which is what SPIFFE has ids in, else the first DNS name, else the
    /// common name. `None` when that word could not stand in a header field.
    #[must_use]
    pub fn identity(&self) -> Option<&'a str> {
        let uri = self.names.iter().find_map(|name| match name {
            Name::Uri(uri) => Some(*uri),
            _ => None,
        });
        let dns = || {
            self.names.iter().find_map(|name| match name {
                Name::Dns(name) => Some(*name),
                _ => None,
            })
        };
        uri.or_else(dns).or(self.common_name).filter(|word| is_word(word))
    }
}

/// Visible ASCII, and spaces inside (RFC 9110 §5.5).
fn is_word(text: &str) -> bool {
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is_visible && !text.is_empty() && text.trim() == text
}

/// The last common name of a distinguished name, which is the most particular one.
fn common_name(subject: &[u8]) -> Option<&str> {
    let mut found = None;
    let mut sets = Reader::new(subject);
    while let Some(set) = sets.take(tag::SET) {
        let mut attribute = Reader::new(Reader::new(set).take(tag::SEQUENCE)?);
        let is_wanted = attribute.take(tag::OBJECT)? == COMMON_NAME;
        if let (true, Some((tag::UTF8 | tag::PRINTABLE | tag::IA5, value))) = (is_wanted, attribute.next()) {
            found = std::str::from_utf8(value).ok();
        }
    }
    found
}

/// The alternative names among what follows the subject.
fn alternative_names<'a>(mut fields: Reader<'a>) -> Option<Vec<Name<'a>>> {
    let mut names = Vec::new();
    while let Some((tag, value)) = fields.next() {
        if tag != tag::EXTENSIONS {
            continue;
        }
        let mut extensions = Reader::new(Reader::new(value).take(tag::SEQUENCE)?);
        while let Some(extension) = extensions.take(tag::SEQUENCE) {
            let mut extension = Reader::new(extension);
            if extension.take(tag::OBJECT)? == ALTERNATIVE_NAMES {
                let _is_critical = extension.take(tag::BOOLEAN);
                names.extend(general_names(extension.take(tag::OCTETS)?)?);
            }
        }
    }
    Some(names)
}

fn general_names(value: &[u8]) -> Option<Vec<Name<'_>>> {
    let mut names = Reader::new(Reader::new(value).take(tag::SEQUENCE)?);
    let mut found = Vec::new();
    while let Some((tag, value)) = names.next() {
        found.extend(match tag {
            tag::DNS_NAME => Some(Name::Dns(ascii(value)?)),
            tag::URI => Some(Name::Uri(ascii(value)?)),
            tag::IP_ADDRESS => ip_address(value).map(Name::Ip),
            _ => None,
        });
    }
    Some(found)
}

/// A name with anything else in it would be read in more ways than one.
fn ascii(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn ip_address(value: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(value).ok().map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(value).ok().map(IpAddr::from);
    v4().or_else(v6)
}
