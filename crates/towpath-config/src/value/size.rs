//! Sizes in bytes, and bytes per second.

use std::path::Path;

use serde_json::Value as Json;

use crate::reader::{Node, Reader};
use crate::shape::Shape;
use crate::value::{Reject, Text, Value, word_or};

/// Units, the larger of a family first so that the canonical text is the shortest.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes: `"64KiB"` is 65,536, `"64KB"` is 64,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Bytes per second: `"1KiB/s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRate(pub u64);

/// A bound on a size that may be lifted, but only in so many words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SizeCap {
    /// At most this many bytes.
    Bytes(u64),
    /// No bound: `"unlimited"`.
    Unlimited,
}

impl Text for ByteSize {
    const WHAT: &'static str = "a size";
    const EXAMPLE: &'static str = "64KiB";
    const PATTERN: &'static str = "^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)$";
    const NEEDS_UNIT: bool = true;

    fn parse(text: &str, _folder: &Path) -> Result<Self, Reject> {
        let hint = || {
            Reject::hint(
                "write a whole number and one of B, KB, MB, GB, KiB, MiB, GiB, for example \"64KiB\"",
            )
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| hint())?;
        let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(hint)?;
        // Above this a size no longer fits the signed offsets of the system.
        let size = number.checked_mul(*bytes).filter(|size| i64::try_from(*size).is_ok());
        size.map(Self).ok_or_else(|| Reject::message("is too large", "write a smaller size"))
    }

    fn to_text(&self) -> String {
        let (unit, bytes) =
            UNITS.iter().find(|(_, bytes)| self.0 != 0 && self.0.is_multiple_of(*bytes)).unwrap_or(&("B", 1));
        format!("{}{unit}", self.0 / bytes)
    }

    fn spell_number(number: &str) -> Option<String> {
        match number.parse::<u64>() {
            Ok(bytes) if bytes > 0 && bytes.is_multiple_of(1024) => {
                Some(format!("write \"{}\" or \"{bytes}B\"", Self(bytes).to_text()))
            }
            Ok(bytes) => Some(format!("write \"{bytes}KiB\" or \"{bytes}B\"")),
            Err(_) => None,
        }
    }
}

impl Text for ByteRate {
    const WHAT: &'static str = "a rate of bytes";
    const EXAMPLE: &'static str = "1KiB/s";
    const PATTERN: &'static str = "^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)/s$";
    const NEEDS_UNIT: bool = true;

    fn parse(text: &str, folder: &Path) -> Result<Self, Reject> {
        let hint = || Reject::hint("write a size per second, for example \"1KiB/s\"");
        let size = text.strip_suffix("/s").ok_or_else(hint)?;
        ByteSize::parse(size, folder).map(|size| Self(size.0)).map_err(|_| hint())
    }

    fn to_text(&self) -> String {
        format!("{}/s", ByteSize(self.0).to_text())
    }

    fn spell_number(number: &str) -> Option<String> {
        let number: u64 = number.parse().ok()?;
        Some(format!("write \"{number}KiB/s\" or \"{number}B/s\""))
    }
}

impl Value for SizeCap {
    fn shape() -> Shape {
        Shape::Either(vec![ByteSize::text_shape(), Shape::word("unlimited")])
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        word_or(node, reader, &[("unlimited", Self::Unlimited)], |size: ByteSize| Self::Bytes(size.0))
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Bytes(bytes) => Json::from(ByteSize(*bytes).to_text()),
            Self::Unlimited => Json::from("unlimited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Option<u64> {
        ByteSize::parse(text, Path::new("/")).ok().map(|size| size.0)
    }

    #[test]
    fn binary_and_decimal_units_differ() {
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("8KB"), Some(8_000));
        assert_eq!(size("1MiB"), Some(1 << 20));
        assert_eq!(size("0B"), Some(0));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in
            ["", "KiB", "64", "64kib", "64 KiB", "-1B", "1.5MiB", "99999999999GiB", "9223372036854775808B"]
        {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn text_returns_to_the_same_size() {
        for bytes in [0, 1, 1000, 1023, 1024, 65_536, 1_000_000, 5 << 30] {
            assert_eq!(size(&ByteSize(bytes).to_text()), Some(bytes));
        }
    }
}
