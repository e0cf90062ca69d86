//! A table that `true` can stand for.

use serde_json::Value as Json;
use toml::de::DeValue;

use crate::reader::{Node, Reader};
use crate::shape::Shape;
use crate::value::{Table, Value};

/// Something that is off or on, or on with settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Switch<T> {
    /// `true` or `false`.
    Plain(bool),
    /// A table.
    Table(Box<T>),
}

impl<T: Clone + Default> Switch<T> {
    /// The settings, if it is on.
    #[must_use]
    pub fn settings(&self) -> Option<T> {
        match self {
            Self::Plain(false) => None,
            Self::Plain(true) => Some(T::default()),
            Self::Table(table) => Some((**table).clone()),
        }
    }
}

impl<T: Table> Value for Switch<T> {
    fn shape() -> Shape {
        Shape::Either(vec![bool::shape(), T::shape()])
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            DeValue::Table(_) => T::read(node, reader).map(|table| Self::Table(Box::new(table))),
            _ => bool::read(node, reader).map(Self::Plain),
        }
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Plain(is_on) => Json::from(*is_on),
            Self::Table(table) => table.to_json(),
        }
    }
}
