//! Values that are one of a few words, and words that may stand in place of another value.

use crate::reader::{Node, Reader};
use crate::value::Value;

/// Defines enums whose members are written as words.
macro_rules! words {
    ($(
        $(#[doc = $doc:literal])*
        pub enum $name:ident {
            $( $(#[doc = $word_doc:literal])* $member:ident = $word:literal, )*
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[doc = $word_doc])* $member, )*
        }

        impl $name {
            /// The word as it stands in the file.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$member => $word, )* }
            }
        }

        impl $crate::value::Text for $name {
            const WHAT: &'static str = "a known word";
            const EXAMPLE: &'static str = "";

            fn parse(text: &str, _folder: &std::path::Path) -> Result<Self, $crate::value::Reject> {
                match text {
                    $( $word => Ok(Self::$member), )*
                    _ => Err($crate::value::Reject::words(text, [$($word),*])),
                }
            }

            fn to_text(&self) -> String {
                self.as_str().to_owned()
            }

            fn text_shape() -> $crate::shape::Shape {
                $crate::shape::Shape::Words(&[
                    $( $crate::shape::Word { word: $word, doc: &[$($word_doc),*] }, )*
                ])
            }
        }
    )*};
}

pub(crate) use words;

/// Reads one of `words`, or else a `T`.
pub(crate) fn word_or<T: Value, R: Clone>(
    node: Node<'_>,
    reader: &mut Reader<'_>,
    words: &[(&str, R)],
    wrap: fn(T) -> R,
) -> Option<R> {
    if node.value.is_str() {
        let text = reader.text(node, T::shape)?;
        if let Some((_, known)) = words.iter().find(|(word, _)| *word == text) {
            return Some(known.clone());
        }
    }
    let faults_before = reader.faults_count();
    let value = T::read(node, reader);
    if reader.faults_count() > faults_before {
        let alternatives: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        reader.add_to_last_hint(&alternatives.join(" or "));
    }
    value.map(wrap)
}
