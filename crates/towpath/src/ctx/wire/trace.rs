//! W3C trace context and baggage, as far as they are passed on.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::ctx::value::{CtxValue, Propagate, field_text};

/// What crosses the boundary of trust in neither direction.
pub(super) const HEADERS: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// Version, trace, span and flags in hexadecimal, with three dashes (W3C Trace Context §3.2).
const TRACEPARENT_BYTES: usize = 55;

/// Longest `traceparent` of a later version, whose further fields are not ours to know.
const TRACEPARENT_BYTES_MAX: usize = 256;

/// Longest `tracestate` that is passed on; vendors may rely on 512 characters (W3C Trace Context §3.3.1.5).
const TRACESTATE_BYTES_MAX: usize = 512;

/// Longest baggage that is passed on; a longer one is dropped whole (W3C Baggage §3.3.2).
const BAGGAGE_BYTES_MAX: usize = 8_192;

/// The trace that a request belongs to, and this hop's span in it.
///
/// ```
/// use towpath::ctx::CtxValue;
/// use towpath::ctx::wire::TraceParent;
///
/// let caller = TraceParent::decode("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
/// let caller = caller.expect("it is the example of the specification");
/// let ours = caller.child();
/// assert_eq!(ours.trace_id(), caller.trace_id());
/// assert_ne!(ours.span_id(), caller.span_id());
/// assert!(ours.is_sampled());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceParent {
    /// The first span of a new trace, not sampled.
    ///
    /// ```
    /// use towpath::ctx::wire::TraceParent;
    ///
    /// assert_ne!(TraceParent::begin().trace_id(), TraceParent::begin().trace_id());
    /// ```
    pub fn begin() -> Self {
        let trace_id = u128::from(random()) << 64 | u128::from(random());
        Self { trace_id, span_id: random(), flags: 0 }
    }

    /// A new span of the same trace.
    ///
    /// ```
    /// let parent = towpath::ctx::wire::TraceParent::begin();
    /// assert_eq!(parent.child().trace_id(), parent.trace_id());
    /// ```
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: random(), ..self }
    }

    /// The trace; never zero.
    ///
    /// ```
    /// assert_ne!(towpath::ctx::wire::TraceParent::begin().trace_id(), 0);
    /// ```
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span of this hop; never zero.
    ///
    /// ```
    /// assert_ne!(towpath::ctx::wire::TraceParent::begin().span_id(), 0);
    /// ```
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether the caller records this trace.
    ///
    /// ```
    /// assert!(!towpath::ctx::wire::TraceParent::begin().is_sampled());
    /// ```
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl CtxValue for TraceParent {
    const PROPAGATE: Propagate = Propagate::Wire { header: "traceparent", bytes_max: TRACEPARENT_BYTES };

    fn encode(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn decode(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let mut part = |digits| parts.next().filter(|part| part.len() == digits).and_then(read_hex);
        let (version, trace_id, span_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let has_end = version > 0 || text.len() == TRACEPARENT_BYTES;
        if version == 0xff || trace_id == 0 || span_id == 0 || !has_end {
            return None;
        }
        // Only the flag that version 00 knows is passed on (W3C Trace Context §4.3).
        let flags = u8::from(flags & 1 == 1);
        Some(Self { trace_id, span_id: u64::try_from(span_id).ok()?, flags })
    }
}

/// Lower-case hexadecimal; upper case is malformed here.
fn read_hex(digits: &str) -> Option<u128> {
    let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

/// Not zero, and not for secrets: the standard library's keys of hash tables, which differ each time.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

/// What vendors add to a trace; passed on as it came.
///
/// ```
/// use towpath::ctx::CtxValue;
/// use towpath::ctx::wire::TraceState;
///
/// assert_eq!(TraceState::decode("congo=t61rcWkgMzE").map(|state| state.text().len()), Some(17));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceState(String);

impl TraceState {
    /// The value of the header.
    ///
    /// ```
    /// # use towpath::ctx::{CtxValue, wire::TraceState};
    /// assert_eq!(TraceState::decode("a=b").as_ref().map(TraceState::text), Some("a=b"));
    /// ```
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl CtxValue for TraceState {
    const PROPAGATE: Propagate = Propagate::Wire { header: "tracestate", bytes_max: TRACESTATE_BYTES_MAX };

    fn encode(&self) -> Option<String> {
        Some(self.0.clone())
    }

    fn decode(text: &str) -> Option<Self> {
        field_text(text.as_bytes(), TRACESTATE_BYTES_MAX).map(|text| Self(text.to_owned()))
    }
}

/// What a caller wants everyone behind it to know; passed on whole or not at all.
///
/// ```
/// use towpath::ctx::CtxValue;
/// use towpath::ctx::wire::Baggage;
///
/// assert!(Baggage::decode("user=7,region=eu").is_some());
/// assert!(Baggage::decode(&"x".repeat(8_193)).is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baggage(String);

impl Baggage {
    /// The value of the header.
    ///
    /// ```
    /// # use towpath::ctx::{CtxValue, wire::Baggage};
    /// assert_eq!(Baggage::decode("user=7").as_ref().map(Baggage::text), Some("user=7"));
    /// ```
    pub fn text(&self) -> &str {
        &self.0
    }

    /// None if there was none.
    pub(super) fn read(value: Option<&[u8]>) -> Result<Option<Self>, Dropped> {
        let text = value.map(|value| field_text(value, BAGGAGE_BYTES_MAX).ok_or(Dropped));
        Ok(text.transpose()?.map(|text| Self(text.to_owned())))
    }
}

/// A baggage that was not taken.
#[derive(Debug)]
pub(super) struct Dropped;

impl CtxValue for Baggage {
    const PROPAGATE: Propagate = Propagate::Wire { header: "baggage", bytes_max: BAGGAGE_BYTES_MAX };

    fn encode(&self) -> Option<String> {
        Some(self.0.clone())
    }

    fn decode(text: &str) -> Option<Self> {
        field_text(text.as_bytes(), BAGGAGE_BYTES_MAX).map(|text| Self(text.to_owned()))
    }
}

/// This hop's span in the caller's trace, with the caller's state; in a new trace when there is none to continue.
pub(super) fn continued(parent: Option<&[u8]>, state: Option<&[u8]>) -> (TraceParent, Option<TraceState>) {
    let parent = parent.and_then(|value| field_text(value, TRACEPARENT_BYTES_MAX));
    match parent.and_then(TraceParent::decode) {
        Some(parent) => {
            let state = state.and_then(|value| field_text(value, TRACESTATE_BYTES_MAX));
            (parent.child(), state.and_then(TraceState::decode))
        }
        None => (TraceParent::begin(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_continued_or_begun_and_never_an_error() {
        let good = TraceParent::decode(GOOD).unwrap();
        assert_eq!(good.to_string(), GOOD);
        let later = GOOD.replacen("00", "cc", 1) + "-what-the-future-will-be";
        assert_eq!(TraceParent::decode(&later), Some(good));
        assert_eq!(TraceParent::decode(&GOOD.replace("-01", "-03")), Some(good), "only the known flag");
        let zeros = |digits: &str| GOOD.replace(digits, &"0".repeat(digits.len()));
        for bad in [
            String::new(),
            "----".to_owned(),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            GOOD[..54].to_owned(),
            GOOD.to_owned() + "-x",
            GOOD.to_owned() + "0",
            GOOD.replace("0af7", "0ag7"),
            GOOD.replace("0af7", "+af7"),
            zeros("0af7651916cd43dd8448eb211c80319c"),
            zeros("b7ad6b7169203331"),
        ] {
            assert_eq!(TraceParent::decode(&bad), None, "{bad}");
            let (begun, state) = continued(Some(bad.as_bytes()), Some(b"a=b"));
            assert!(begun.trace_id() != 0 && state.is_none(), "{bad}");
        }
        let (ours, state) = continued(Some(GOOD.as_bytes()), Some(b"a=b"));
        assert_eq!((ours.trace_id(), state.unwrap().text()), (good.trace_id(), "a=b"));
    }
}
