//! What a key may hold: the traits behind every value, and the plain ones.

mod address;
mod mode;
mod number;
mod path;
mod size;
mod switch;
mod time;
mod words;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;

use serde_json::{Map as JsonMap, Value as Json};
use toml::de::DeValue;

pub use address::{Bind, Cidr, EndpointAddress};
pub use mode::FileMode;
pub use number::{Cap, Status};
pub use path::{FilePath, Secret};
pub use size::{ByteRate, ByteSize, SizeCap};
pub use switch::Switch;
pub use time::Rate;
pub(crate) use words::{word_or, words};

use crate::diagnostic::Diagnostic;
use crate::nearest::nearest;
use crate::reader::{Node, Reader};
use crate::shape::{Shape, TableInfo};
use crate::source::Spanned;

/// A key that may be absent. The default of an absent key belongs to the crate that enforces it.
pub type Opt<T> = Option<Spanned<T>>;

/// Values in a row, each with its place.
pub type List<T> = Vec<Spanned<T>>;

/// Values under names the user chose, each name and each value with its place. Ask it with a plain `&str`.
pub type Map<T> = BTreeMap<Spanned<String>, Spanned<T>>;

/// A value written alone, or several in a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OneOrMany<T>(pub List<T>);

/// Anything that can stand to the right of `=`.
pub(crate) trait Value: Sized {
    /// Whether the value must never be shown.
    const IS_SECRET: bool = false;

    /// What it may look like.
    fn shape() -> Shape;

    /// Reads it, or leaves a fault with the reader.
    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// The value as it would be written.
    fn to_json(&self) -> Json;
}

/// A value written as a string in some notation.
pub(crate) trait Text: Sized {
    /// What it is, with its article: `a time span`.
    const WHAT: &'static str;
    /// A good one.
    const EXAMPLE: &'static str;
    /// Its form as a regular expression, for the schema.
    const PATTERN: &'static str = "";
    /// Whether a number alone means nothing.
    const NEEDS_UNIT: bool = false;
    /// Whether it must never be shown.
    const HIDDEN: bool = false;

    /// Reads the notation. Relative paths start at `folder`.
    fn parse(text: &str, folder: &Path) -> Result<Self, Reject>;

    /// The canonical notation.
    fn to_text(&self) -> String;

    /// How a bare number was likely meant, the likeliest spelling in quotes first; `None` when it cannot be right.
    fn spell_number(_number: &str) -> Option<String> {
        None
    }

    /// What it may look like.
    fn text_shape() -> Shape {
        Shape::Text { what: Self::WHAT, example: Self::EXAMPLE, pattern: Self::PATTERN }
    }
}

/// Why a text was refused. The key and the text are added by the reader.
#[derive(Debug, Default)]
pub(crate) struct Reject {
    /// What is wrong, to follow the key; `None` is "… is not a time span".
    pub(crate) message: Option<String>,
    /// What would be right; `None` is the example.
    pub(crate) hint: Option<String>,
}

/// A table with known keys.
pub(crate) trait Table: Value + Default {
    /// Its keys.
    const INFO: &'static TableInfo;

    /// Takes over what another file says; saying a thing twice is a fault.
    fn absorb(&mut self, other: Self, faults: &mut Vec<Diagnostic>);
}

/// A place for a value in a table: an [`Opt`] or a [`Map`].
pub(crate) trait Field: Default {
    fn shape() -> Shape;
    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Self;
    fn to_json(&self) -> Option<Json>;
    fn absorb(&mut self, other: Self, key: &str, faults: &mut Vec<Diagnostic>);
}

impl Reject {
    pub(crate) fn hint(hint: impl Into<String>) -> Self {
        Self { message: None, hint: Some(hint.into()) }
    }

    pub(crate) fn message(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: Some(message.into()), hint: Some(hint.into()) }
    }

    /// The text is none of `words`.
    pub(crate) fn words<const N: usize>(text: &str, words: [&str; N]) -> Self {
        Self::hint(words_hint(text, &words))
    }

    /// Adds what else would be right.
    pub(crate) fn or(mut self, more: &str) -> Self {
        self.hint = self.hint.map(|hint| format!("{hint}, or {more}"));
        self
    }
}

/// `did you mean "b"? known: "a", "b"`.
pub(crate) fn words_hint(text: &str, words: &[&str]) -> String {
    let list = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"? Known words: {list}"),
        None => format!("write one of {list}"),
    }
}

impl<T: Text> Value for T {
    const IS_SECRET: bool = T::HIDDEN;

    fn shape() -> Shape {
        T::text_shape()
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let (DeValue::Integer(_) | DeValue::Float(_), Some(hint)) =
            (node.value, node.number().and_then(|n| T::spell_number(&n)))
        {
            reader.bare_number::<T>(node, hint);
            return None;
        }
        let text = reader.text(node, T::text_shape)?;
        if T::NEEDS_UNIT && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            reader.bare_number::<T>(node, T::spell_number(&text).unwrap_or_default());
            return None;
        }
        match T::parse(&text, reader.folder()) {
            Ok(value) => Some(value),
            Err(reject) => {
                reader.reject::<T>(node, &text, reject);
                None
            }
        }
    }

    fn to_json(&self) -> Json {
        Json::from(self.to_text())
    }
}

/// A value that keeps its place. As JSON it is what was written: `"60s"` and `${…}` stay as they are, a secret is hidden.
impl<T: Value> Value for Spanned<T> {
    const IS_SECRET: bool = T::IS_SECRET;

    fn shape() -> Shape {
        T::shape()
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let value = T::read(node, reader)?;
        let written = node.value.as_str().map(Box::from);
        Some(Self { value, span: node.span, written })
    }

    fn to_json(&self) -> Json {
        match &self.written {
            _ if T::IS_SECRET => Json::from("(hidden)"),
            Some(written) => Json::from(&**written),
            None => self.value.to_json(),
        }
    }
}

impl<T: Value> Field for Opt<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Self {
        Spanned::read(node, reader)
    }

    fn to_json(&self) -> Option<Json> {
        self.as_ref().map(Spanned::to_json)
    }

    fn absorb(&mut self, other: Self, key: &str, faults: &mut Vec<Diagnostic>) {
        match (&self, other) {
            (Some(first), Some(second)) => faults.push(defined_twice(key, &second, first)),
            (None, other @ Some(_)) => *self = other,
            (_, None) => {}
        }
    }
}

impl<T: Value> Field for Map<T> {
    fn shape() -> Shape {
        <Self as Value>::shape()
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Self {
        <Self as Value>::read(node, reader).unwrap_or_default()
    }

    fn to_json(&self) -> Option<Json> {
        if self.is_empty() { None } else { Some(Value::to_json(self)) }
    }

    fn absorb(&mut self, other: Self, key: &str, faults: &mut Vec<Diagnostic>) {
        for (name, value) in other {
            match self.get_key_value(name.value.as_str()) {
                Some((first, _)) => faults.push(defined_twice(&format!("{key}.{name}"), &name, first)),
                None => drop(self.insert(name, value)),
            }
        }
    }
}

fn defined_twice<A, B>(what: &str, second: &Spanned<A>, first: &Spanned<B>) -> Diagnostic {
    Diagnostic::error(second.span, format!("[{what}] is defined twice"))
        .also(first.span, "first defined here")
        .hint("an object lives in one file; rename one of the two or take it out")
        .within(what)
}

impl<T: Value> Value for Map<T> {
    fn shape() -> Shape {
        Shape::Map(Box::new(T::shape()))
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.value else {
            reader.wrong_type(node, &<Self as Value>::shape());
            return None;
        };
        Some(reader.within(node.key, |reader| {
            let mut map = Self::new();
            for (name, value) in table {
                let node = reader.node(name, value);
                if let Some(value) = Spanned::read(node, reader) {
                    map.insert(Spanned::new(node.key.to_owned(), node.key_span), value);
                }
            }
            map
        }))
    }

    fn to_json(&self) -> Json {
        Json::Object(
            self.iter().map(|(name, value)| (name.value.clone(), value.to_json())).collect::<JsonMap<_, _>>(),
        )
    }
}

impl<T: Value> Value for List<T> {
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = node.value else {
            reader.wrong_type(node, &Self::shape());
            return None;
        };
        let values: Vec<_> =
            items.iter().map(|item| Spanned::read(reader.item(node, item), reader)).collect();
        values.into_iter().collect()
    }

    fn to_json(&self) -> Json {
        Json::Array(self.iter().map(Spanned::to_json).collect())
    }
}

impl<T: Value> Value for OneOrMany<T> {
    fn shape() -> Shape {
        Shape::Either(vec![T::shape(), List::<T>::shape()])
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            DeValue::Array(_) => List::read(node, reader).map(Self),
            _ => Spanned::read(node, reader).map(|one| Self(vec![one])),
        }
    }

    fn to_json(&self) -> Json {
        match self.0.as_slice() {
            [one] => one.to_json(),
            many => Json::Array(many.iter().map(Spanned::to_json).collect()),
        }
    }
}

impl<T> Deref for OneOrMany<T> {
    type Target = [Spanned<T>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Text for String {
    const WHAT: &'static str = "a string";
    const EXAMPLE: &'static str = "";

    fn parse(text: &str, _folder: &Path) -> Result<Self, Reject> {
        Ok(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }

    fn spell_number(number: &str) -> Option<String> {
        Some(format!("write \"{number}\""))
    }
}

impl Value for bool {
    fn shape() -> Shape {
        Shape::Boolean
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            DeValue::Boolean(value) => Some(*value),
            DeValue::String(_) => {
                let text = reader.text(node, Self::shape)?;
                let parsed = text.parse().ok().filter(|_| node.is_substituted());
                if parsed.is_none() {
                    reader.wrong_type(node, &Self::shape());
                }
                parsed
            }
            _ => {
                reader.wrong_type(node, &Self::shape());
                None
            }
        }
    }

    fn to_json(&self) -> Json {
        Json::from(*self)
    }
}
