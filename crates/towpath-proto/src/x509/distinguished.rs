//! Distinguished names as people read them (RFC 5280 §4.1.2.4).

use std::fmt;

use super::der::{Reader, tag, write_object};

/// Who a certificate is about or from: attributes, from the most general to the most particular as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DistinguishedName<'a>(pub(super) &'a [u8]);

/// Attributes that have a short name (RFC 4514 §3, and what everybody writes), by their encoded object identifiers.
const SHORT_NAMES: &[(&[u8], &str)] = &[
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x05], "serialNumber"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], "emailAddress"),
];

/// `id-at-commonName`.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

impl<'a> DistinguishedName<'a> {
    /// The last common name, which is the most particular one.
    pub(super) fn common_name(self) -> Option<&'a str> {
        let named = self.attributes().filter(|attribute| attribute.kind == COMMON_NAME);
        let texts = named.filter(|one| matches!(one.tag, tag::UTF8 | tag::PRINTABLE | tag::IA5));
        std::str::from_utf8(texts.last()?.value).ok()
    }

    /// The attributes in order; those that stand together in a set, one after the other.
    fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        let mut sets = Reader::new(self.0);
        let sets = std::iter::from_fn(move || sets.take(tag::SET));
        sets.flat_map(|set| {
            let mut values = Reader::new(set);
            std::iter::from_fn(move || Attribute::read(values.take(tag::SEQUENCE)?))
        })
    }
}

struct Attribute<'a> {
    kind: &'a [u8],
    tag: u8,
    value: &'a [u8],
}

impl<'a> Attribute<'a> {
    fn read(attribute: &'a [u8]) -> Option<Self> {
        let mut parts = Reader::new(attribute);
        let kind = parts.take(tag::OBJECT)?;
        let (tag, value) = parts.next()?;
        Some(Self { kind, tag, value })
    }
}

/// `C=NL, O=Towpath, CN=a`. What is no UTF-8 is replaced; control characters are the reader's business.
impl fmt::Display for DistinguishedName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, attribute) in self.attributes().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            match SHORT_NAMES.iter().find(|(kind, _)| *kind == attribute.kind) {
                Some((_, name)) => f.write_str(name)?,
                None => write_object(attribute.kind, f)?,
            }
            write!(f, "={}", String::from_utf8_lossy(attribute.value))?;
        }
        Ok(())
    }
}
