//! Whole numbers, and the caps written as numbers.

use std::num::NonZeroU32;

use serde_json::Value as Json;
use toml::de::DeValue;

use crate::reader::{Node, Reader};
use crate::shape::Shape;
use crate::value::{Value, word_or};

/// A bound that may be lifted, but only in so many words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cap {
    /// At most this many.
    Count(NonZeroU32),
    /// No bound: `"unlimited"`.
    Unlimited,
}

/// The status code of a response that ends a request, 200 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Value for Cap {
    fn shape() -> Shape {
        Shape::Either(vec![NonZeroU32::shape(), Shape::word("unlimited")])
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        word_or(node, reader, &[("unlimited", Self::Unlimited)], Self::Count)
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Count(count) => count.to_json(),
            Self::Unlimited => Json::from("unlimited"),
        }
    }
}

/// Gives whole-number types their reader; the bounds are told in message and schema.
macro_rules! integers {
    ($( $type:ty, $min:expr, $max:expr, $from:expr, $to:expr; )*) => {$(
        impl Value for $type {
            fn shape() -> Shape {
                Shape::Integer { min: $min, max: $max }
            }

            fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                let number = read_integer(node, reader, $min, $max)?;
                $from(number)
            }

            fn to_json(&self) -> Json {
                Json::from($to(*self))
            }
        }
    )*};
}

integers! {
    u32, 0, i64::from(u32::MAX), |n| u32::try_from(n).ok(), |n: u32| n;
    i32, i64::from(i32::MIN), i64::from(i32::MAX), |n| i32::try_from(n).ok(), |n: i32| n;
    NonZeroU32, 1, i64::from(u32::MAX), |n| u32::try_from(n).ok().and_then(NonZeroU32::new), |n: NonZeroU32| n.get();
    Status, 200, 599, |n| u16::try_from(n).ok().map(Status), |n: Status| n.0;
}

/// A whole number from `min` to `max`; a string only where a `${…}` made it.
fn read_integer(node: Node<'_>, reader: &mut Reader<'_>, min: i64, max: i64) -> Option<i64> {
    let shape = || Shape::Integer { min, max };
    let number = match node.value {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
        DeValue::String(_) => {
            let text = reader.text(node, shape)?;
            let parsed = text.parse().ok().filter(|_| node.is_substituted());
            if parsed.is_none() {
                reader.wrong_type(node, &shape());
                return None;
            }
            parsed
        }
        _ => {
            reader.wrong_type(node, &shape());
            return None;
        }
    };
    match number {
        Some(number) if number < min => reader.out_of_range(node, &format!("at least {min}")),
        Some(number) if number <= max => return Some(number),
        _ => reader.out_of_range(node, &format!("at most {max}")),
    }
    None
}
