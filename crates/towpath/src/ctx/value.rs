//! Facts about a request, found by their type.

use std::any::{Any, TypeId};
use std::sync::Arc;

/// How far a value goes (R21). There is no default: whoever makes the type has to say.
///
/// ```
/// use towpath::ctx::wire::Baggage;
/// use towpath::ctx::{CtxValue, Propagate};
///
/// assert!(matches!(Baggage::PROPAGATE, Propagate::Wire { header: "baggage", bytes_max: 8_192 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Propagate {
    /// This request only; spawned, shielded and detached work does not see it.
    Local,
    /// Follows [`spawn`](super::Ctx::spawn) and [`detach`](super::Ctx::detach).
    Inherit,
    /// Like `Inherit`, and also sent in a header to upstreams whose allow-list names it.
    Wire {
        /// The header, in lower case.
        header: &'static str,
        /// A longer text is neither sent nor taken.
        bytes_max: usize,
    },
}

/// A small immutable fact that a [`Ctx`](super::Ctx) carries. The type is the key.
///
/// # Deriving it
/// `#[derive(CtxValue)]` with one of three words, and no default (R21):
///
/// | `#[ctx(…)]` | the value goes |
/// |---|---|
/// | `propagate = "local"` | nowhere: spawned, shielded and detached work does not see it |
/// | `propagate = "inherit"` | along with [`spawn`](super::Ctx::spawn) and [`detach`](super::Ctx::detach) |
/// | `propagate = "wire", header = "x-tenant", bytes_max = 64` | out in this header, too, to upstreams whose allow-list names it |
///
/// What goes over the wire needs a text: a tuple struct around one type has that of the type, any other its own, by
/// `Display` and `FromStr`. A text of more than `bytes_max` bytes, at most 8,192, is neither sent nor taken.
///
/// ```
/// use towpath::{Ctx, CtxValue};
///
/// #[derive(Debug, PartialEq, CtxValue)]
/// #[ctx(propagate = "wire", header = "x-tenant", bytes_max = 64)]
/// struct Tenant(String);
///
/// let outer = Ctx::background().with(Tenant("blue".to_owned()));
/// let inner = outer.with(Tenant("red".to_owned()));
/// assert_eq!(inner.get::<Tenant>(), Some(&Tenant("red".to_owned())));
/// assert_eq!(outer.get::<Tenant>(), Some(&Tenant("blue".to_owned())));
/// assert_eq!(Tenant::decode("green"), Some(Tenant("green".to_owned())));
/// ```
///
/// Values are facts, not state (R20). A field with a lock, a cell, an atomic, a channel or a raw pointer in its type is an
/// error, "a value of a context is a fact and does not change; Mutex is state, which a service keeps elsewhere":
///
/// ```compile_fail
/// #[derive(towpath::CtxValue)]
/// #[ctx(propagate = "local")]
/// struct Count(std::sync::Arc<std::sync::Mutex<u64>>);
/// ```
///
/// The derive sees names only. What an alias hides passes it, unless it is not `Sync`, which the trait asks for:
///
/// ```compile_fail,E0277
/// type Slot = std::cell::Cell<u64>;
/// #[derive(towpath::CtxValue)]
/// #[ctx(propagate = "local")]
/// struct Count(Slot);
/// ```
///
/// To say nothing is "how far does it go? …":
///
/// ```compile_fail
/// #[derive(towpath::CtxValue)]
/// struct Tenant(String);
/// ```
///
/// # Writing it by hand
/// For a type whose header is none of its fields' texts, and for one with parameters, each instance of which is a key:
///
/// ```
/// use towpath::ctx::{CtxValue, Propagate};
///
/// struct Flags(Vec<String>);
///
/// impl CtxValue for Flags {
///     const PROPAGATE: Propagate = Propagate::Wire { header: "x-flags", bytes_max: 256 };
///
///     fn encode(&self) -> Option<String> {
///         Some(self.0.join(","))
///     }
///
///     fn decode(text: &str) -> Option<Self> {
///         Some(Self(text.split(',').map(str::to_owned).collect()))
///     }
/// }
/// ```
pub trait CtxValue: Send + Sync + Sized + 'static {
    /// How far the value goes.
    const PROPAGATE: Propagate;

    /// The text of the header of a [`Propagate::Wire`] value; `None` sends none.
    fn encode(&self) -> Option<String> {
        None
    }

    /// The value for the text of a header, from a peer that is trusted to say it; `None` ignores it.
    fn decode(text: &str) -> Option<Self> {
        let _ = text;
        None
    }
}

/// Up to this many are searched one after the other; more are sorted.
const LINEAR_COUNT_MAX: usize = 8;

/// Every value that is in sight at one context: the nearest of each type. Copied when one is added.
#[derive(Clone, Default)]
pub(super) struct Values(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    key: TypeId,
    value: Arc<dyn Any + Send + Sync>,
    propagate: Propagate,
    encode: fn(&(dyn Any + Send + Sync)) -> Option<String>,
}

impl Entry {
    fn new<T: CtxValue>(value: T) -> Self {
        Self {
            key: TypeId::of::<T>(),
            value: Arc::new(value),
            propagate: T::PROPAGATE,
            encode: |value| value.downcast_ref::<T>().and_then(T::encode),
        }
    }
}

impl Values {
    /// A copy with `value` in place of the former of its type.
    pub(super) fn with<T: CtxValue>(&self, value: T) -> Self {
        let mut values = self.clone();
        values.add(value);
        values
    }

    /// Puts `value` in place of the former of its type.
    pub(super) fn add<T: CtxValue>(&mut self, value: T) {
        put(&mut self.0, Entry::new(value));
    }

    /// These, and those of `other` whose types are not here.
    pub(super) fn or(&self, other: &Self) -> Self {
        let mut entries = other.0.clone();
        self.0.iter().cloned().for_each(|entry| put(&mut entries, entry));
        Self(entries)
    }

    pub(super) fn get<T: CtxValue>(&self) -> Option<&T> {
        self.0.get(find(&self.0, TypeId::of::<T>()).ok()?)?.value.downcast_ref()
    }

    pub(super) fn has_local(&self) -> bool {
        self.0.iter().any(|entry| entry.propagate == Propagate::Local)
    }

    /// Those that follow work which leaves the request.
    pub(super) fn without_local(&self) -> Self {
        Self(self.0.iter().filter(|entry| entry.propagate != Propagate::Local).cloned().collect())
    }

    /// Header and text of each value for the wire, as far as they keep their own limit and are text for a header.
    pub(super) fn for_the_wire(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        self.0.iter().filter_map(|entry| match entry.propagate {
            Propagate::Wire { header, bytes_max } => {
                let text = (entry.encode)(&*entry.value);
                Some((header, text.filter(|text| text.len() <= bytes_max && is_header_text(text))))
            }
            _ => None,
        })
    }
}

/// What a field value may hold without quoting (RFC 9110 §5.5): a line end in a value must not become a field.
fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// A field value as text, unless it is too long or holds what a value may not.
pub(super) fn field_text(value: &[u8], bytes_max: usize) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    (text.len() <= bytes_max && is_header_text(text)).then_some(text)
}

/// Where the entry is, or where it belongs.
fn find(entries: &[Entry], key: TypeId) -> Result<usize, usize> {
    if entries.len() > LINEAR_COUNT_MAX {
        return entries.binary_search_by_key(&key, |entry| entry.key);
    }
    entries.iter().position(|entry| entry.key == key).ok_or(entries.len())
}

fn put(entries: &mut Vec<Entry>, entry: Entry) {
    match find(entries, entry.key) {
        Ok(at) => entries[at] = entry,
        Err(at) => entries.insert(at, entry),
    }
    if entries.len() == LINEAR_COUNT_MAX + 1 {
        entries.sort_by_key(|entry| entry.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Number<const N: usize>(usize);

    impl<const N: usize> CtxValue for Number<N> {
        const PROPAGATE: Propagate = Propagate::Inherit;
    }

    struct Secret;

    impl CtxValue for Secret {
        const PROPAGATE: Propagate = Propagate::Local;
    }

    macro_rules! with_numbers {
        ($values:expr, $($number:literal)*) => {{
            let mut values = $values;
            $(values = values.with(Number::<$number>($number));)*
            $(assert_eq!(values.get::<Number<$number>>(), Some(&Number::<$number>($number)));)*
            values
        }};
    }

    #[test]
    fn values_are_found_on_both_sides_of_the_linear_limit_s20() {
        let few = with_numbers!(Values::default(), 7 3 5 1 0 6 2 4);
        assert_eq!(few.0.len(), LINEAR_COUNT_MAX);
        let many = with_numbers!(few, 12 9 8 11 10 3 7);
        assert_eq!(many.0.len(), 13, "3 and 7 were replaced");
        assert_eq!(many.get::<Number<99>>(), None);
        assert_eq!(many.with(Number::<8>(80)).get::<Number<8>>(), Some(&Number::<8>(80)));
        assert_eq!(many.get::<Number<8>>(), Some(&Number::<8>(8)), "the copy it was made from is as it was");
    }

    #[test]
    fn local_values_stay_behind_and_the_first_side_wins_s24() {
        let left = Values::default().with(Number::<1>(1)).with(Secret);
        let right = Values::default().with(Number::<1>(10)).with(Number::<2>(20));
        assert!(left.has_local() && !left.without_local().has_local());
        let both = left.or(&right);
        assert_eq!(both.get::<Number<1>>(), Some(&Number::<1>(1)));
        assert_eq!(both.get::<Number<2>>(), Some(&Number::<2>(20)));
    }
}
