//! What a certificate says about its owner: names, dates and key (RFC 5280 §4), read and not judged.
//!
//! Whether a certificate is to be believed is the TLS library's business. It gives no names, so these are read here.

use core::net::IpAddr;

use der::{Reader, seconds_of, tag};

mod der;
mod distinguished;
mod key;

pub use distinguished::DistinguishedName;
pub use key::PublicKey;

/// A certificate, as far as it is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// When it begins to be good, in seconds since 1970-01-01 UTC.
    pub not_before: u64,
    /// When it ceases to be good, in seconds since 1970-01-01 UTC.
    pub not_after: u64,
    /// Whom it is about.
    pub subject: DistinguishedName<'a>,
    /// Who has signed it, as it says itself.
    pub issuer: DistinguishedName<'a>,
    /// The key that the owner has the other half of.
    pub key: PublicKey<'a>,
    /// Whether the owner may sign certificates (RFC 5280 §4.2.1.9).
    pub is_authority: bool,
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
    /// A mail address.
    Email(&'a str),
    /// An address.
    Ip(IpAddr),
}

/// Extensions by their encoded object identifiers: `id-ce-subjectAltName` and `id-ce-basicConstraints`.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

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
        let issuer = DistinguishedName(fields.take(tag::SEQUENCE)?);
        let mut validity = Reader::new(fields.take(tag::SEQUENCE)?);
        let not_before = seconds_of(validity.next()?)?;
        let not_after = seconds_of(validity.next()?)?;
        let subject = DistinguishedName(fields.take(tag::SEQUENCE)?);
        let key = PublicKey::read(fields.take(tag::SEQUENCE)?)?;
        let Extensions { names, is_authority } = Extensions::read(fields)?;
        let common_name = subject.common_name();
        Some(Self { not_before, not_after, subject, issuer, key, is_authority, common_name, names })
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
            Name::Uri(_) | Name::Email(_) | Name::Ip(_) => None,
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

/// What is of interest of the extensions of a certificate.
#[derive(Default)]
struct Extensions<'a> {
    names: Vec<Name<'a>>,
    is_authority: bool,
}

impl<'a> Extensions<'a> {
    /// Reads what follows the key.
    fn read(mut fields: Reader<'a>) -> Option<Self> {
        let mut found = Self::default();
        while let Some((tag, value)) = fields.next() {
            if tag != tag::EXTENSIONS {
                continue;
            }
            let mut extensions = Reader::new(Reader::new(value).take(tag::SEQUENCE)?);
            while let Some(extension) = extensions.take(tag::SEQUENCE) {
                found.note(Reader::new(extension))?;
            }
        }
        Some(found)
    }

    fn note(&mut self, mut extension: Reader<'a>) -> Option<()> {
        let kind = extension.take(tag::OBJECT)?;
        let _is_critical = extension.take(tag::BOOLEAN);
        if kind == ALTERNATIVE_NAMES {
            self.names.extend(general_names(extension.take(tag::OCTETS)?)?);
        } else if kind == BASIC_CONSTRAINTS {
            let mut constraints = Reader::new(Reader::new(extension.take(tag::OCTETS)?).take(tag::SEQUENCE)?);
            self.is_authority = constraints.take(tag::BOOLEAN) == Some(&[0xff]);
        }
        Some(())
    }
}

fn general_names(value: &[u8]) -> Option<Vec<Name<'_>>> {
    let mut names = Reader::new(Reader::new(value).take(tag::SEQUENCE)?);
    let mut found = Vec::new();
    while let Some((tag, value)) = names.next() {
        found.extend(match tag {
            tag::DNS_NAME => Some(Name::Dns(ascii(value)?)),
            tag::URI => Some(Name::Uri(ascii(value)?)),
            tag::EMAIL => ascii(value).map(Name::Email),
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
