//! The fields of a message.

use std::fmt;

use towpath_proto::field;
use towpath_proto::message::{Field, Fields, Known, Span};

/// Header or trailer fields in their order (RFC 9110 §5). Names are compared without case.
///
/// ```
/// use towpath::http::Headers;
///
/// let mut headers = Headers::default();
/// headers.set("Content-Type", "text/plain")?;
/// headers.add("Vary", "Accept")?;
/// headers.add("vary", "Origin")?;
/// assert_eq!(headers.get("content-type"), Some("text/plain"));
/// assert_eq!(headers.all("Vary").collect::<Vec<_>>(), ["Accept", "Origin"]);
/// # Ok::<(), towpath::http::HeaderFault>(())
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    /// Names and values, wherever the spans say.
    block: Vec<u8>,
    fields: Fields,
}

/// A field that may not be sent: it would say something else on the wire than was meant (RFC 9110 §5.1, §5.5).
///
/// ```
/// let fault = towpath::http::Headers::default().set("X", "a\r\nSet-Cookie: b").unwrap_err();
/// assert_eq!(fault.to_string(), r#"the value of "X" holds a control character"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderFault {
    /// The name is no token.
    Name(String),
    /// The value holds what no value may, such as the end of a line. The name is given, as the value may be a secret.
    Value(String),
    /// The fields together would be more than 4 GiB.
    TooLong,
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "{name:?} is no field name: letters, digits and !#$%&'*+-.^_`|~ may be in one")
            }
            Self::Value(name) => write!(f, "the value of {name:?} holds a control character"),
            Self::TooLong => f.write_str("the fields are longer than 4 GiB"),
        }
    }
}

impl std::error::Error for HeaderFault {}

impl Headers {
    /// The fields of a head that was received, with the bytes that their spans mean.
    pub(crate) fn received(fields: Fields, block: Vec<u8>) -> Self {
        Self { block, fields }
    }

    /// Adds a field behind those there are, also if there is one of this name.
    ///
    /// # Errors
    /// Name or value may not be sent.
    ///
    /// ```
    /// let mut headers = towpath::http::Headers::default();
    /// headers.add("Set-Cookie", "a=1")?;
    /// headers.add("Set-Cookie", "b=2")?;
    /// assert_eq!(headers.len(), 2);
    /// # Ok::<(), towpath::http::HeaderFault>(())
    /// ```
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderFault> {
        let value = trimmed(value.as_ref());
        if !field::is_name(name.as_bytes()) {
            return Err(HeaderFault::Name(name.to_owned()));
        }
        if !field::is_value(value) {
            return Err(HeaderFault::Value(name.to_owned()));
        }
        self.push(Known::of(name.as_bytes()), name.as_bytes(), value)
    }

    /// Puts a field in the place of all of this name.
    ///
    /// # Errors
    /// Name or value may not be sent; then nothing has changed.
    ///
    /// ```
    /// let mut headers = towpath::http::Headers::default();
    /// headers.set("Cache-Control", "no-store")?;
    /// headers.set("cache-control", "max-age=60")?;
    /// assert_eq!(headers.all("Cache-Control").collect::<Vec<_>>(), ["max-age=60"]);
    /// # Ok::<(), towpath::http::HeaderFault>(())
    /// ```
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderFault> {
        let before = self.fields.len();
        self.add(name, value)?;
        let (block, mut place) = (&self.block, 0);
        self.fields.retain(|field| {
            place += 1;
            place > before || !field.name.of(block).eq_ignore_ascii_case(name.as_bytes())
        });
        Ok(())
    }

    /// Takes all fields of this name away.
    ///
    /// ```
    /// let mut headers = towpath::http::Headers::default();
    /// headers.set("Server", "towpath")?;
    /// headers.remove("server");
    /// assert!(headers.is_empty());
    /// # Ok::<(), towpath::http::HeaderFault>(())
    /// ```
    pub fn remove(&mut self, name: &str) {
        let block = &self.block;
        self.fields.retain(|field| !field.name.of(block).eq_ignore_ascii_case(name.as_bytes()));
    }

    /// The value of the first field of this name, if it is text; see [`get_bytes`](Self::get_bytes).
    ///
    /// ```
    /// assert_eq!(towpath::http::Headers::default().get("Host"), None);
    /// ```
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The value of the first field of this name.
    ///
    /// ```
    /// let mut headers = towpath::http::Headers::default();
    /// headers.set("X-Latin", [b'\xe4'])?;
    /// assert_eq!((headers.get("x-latin"), headers.get_bytes("x-latin")), (None, Some(&b"\xe4"[..])));
    /// # Ok::<(), towpath::http::HeaderFault>(())
    /// ```
    pub fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        self.fields.find_name(name.as_bytes(), &self.block)
    }

    /// The values of all fields of this name that are text, in their order.
    ///
    /// ```
    /// assert_eq!(towpath::http::Headers::default().all("Via").count(), 0);
    /// ```
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// All fields with their names as they were written.
    ///
    /// ```
    /// let mut headers = towpath::http::Headers::default();
    /// headers.set("Vary", "Accept")?;
    /// assert_eq!(headers.iter().next(), Some(("Vary", &b"Accept"[..])));
    /// # Ok::<(), towpath::http::HeaderFault>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.raw().map(|(name, value)| (std::str::from_utf8(name).unwrap_or_default(), value))
    }

    /// How many fields there are.
    ///
    /// ```
    /// assert_eq!(towpath::http::Headers::default().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// assert!(towpath::http::Headers::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// All fields as bytes.
    pub(crate) fn raw(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (field.name.of(&self.block), field.value.of(&self.block)))
    }

    /// All fields, and those that the data path asks about marked so.
    pub(crate) fn known(&self) -> impl Iterator<Item = (Known, &[u8], &[u8])> {
        let block = &self.block;
        self.fields.iter().map(move |field| (field.known, field.name.of(block), field.value.of(block)))
    }

    /// The value of the first field that is `known`.
    pub(crate) fn find(&self, known: Known) -> Option<&[u8]> {
        self.fields.find(known, &self.block)
    }

    /// The fields, whose spans are of [`block`](Self::block).
    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The bytes that spans of the head mean.
    pub(crate) fn block(&self) -> &[u8] {
        &self.block
    }

    fn push(&mut self, known: Known, name: &[u8], value: &[u8]) -> Result<(), HeaderFault> {
        let mut span = |bytes: &[u8]| {
            let start = u32::try_from(self.block.len()).ok()?;
            let end = u32::try_from(self.block.len() + bytes.len()).ok()?;
            self.block.extend_from_slice(bytes);
            Some(Span::new(start, end))
        };
        let (Some(name), Some(value)) = (span(name), span(value)) else { return Err(HeaderFault::TooLong) };
        self.fields.push(Field { name, value, known, never_index: false });
        Ok(())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
        f.debug_map().entries(texts).finish()
    }
}

/// A value without the white space around it, which is none of it (RFC 9110 §5.5). A line end is not white space.
fn trimmed(value: &[u8]) -> &[u8] {
    let is_content = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_content).unwrap_or(value.len());
    let end = value.iter().rposition(is_content).map_or(start, |last| last + 1);
    &value[start..end]
}

/// The same fields as other libraries have them.
pub(crate) fn to_map(headers: &Headers) -> ::http::HeaderMap {
    headers
        .raw()
        .filter_map(|(name, value)| {
            Some((::http::HeaderName::from_bytes(name).ok()?, ::http::HeaderValue::from_bytes(value).ok()?))
        })
        .fold(::http::HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

/// The fields of other libraries' as ours. They check the same rules.
pub(crate) fn from_map(map: &::http::HeaderMap) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in map {
        // One that is no field to us is left out.
        let _ = headers.add(name.as_str(), value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_split_a_message_is_refused_t43() {
        let mut headers = Headers::default();
        for name in ["", "a b", "a:", "a\r\n", "é"] {
            assert_eq!(headers.add(name, "x"), Err(HeaderFault::Name(name.to_owned())));
        }
        for value in ["a\r\nb", "a\nb", "a\0b", "\x7f"] {
            assert_eq!(headers.add("X", value), Err(HeaderFault::Value("X".to_owned())));
        }
        assert!(headers.is_empty());
    }

    #[test]
    fn a_field_that_is_set_stands_once_and_others_stay() {
        let mut headers = Headers::default();
        for (name, value) in [("A", "1"), ("B", "2"), ("a", "3")] {
            headers.add(name, value).unwrap();
        }
        headers.set("A", "4").unwrap();
        assert_eq!(format!("{headers:?}"), r#"{"B": "2", "A": "4"}"#);
        assert!(headers.set("A", "\n").is_err());
        assert_eq!(headers.get("a"), Some("4"));
    }
}
