//! HTTP/1.0 and HTTP/1.1 (RFC 9112) without I/O.
//!
//! A decoder is given the unconsumed bytes of a connection and answers with at most one [`Event`] and the
//! number of bytes that are done with. Whoever owns the buffer then drops those bytes and calls again until
//! an answer carries no event, which means that more input is needed.
//!
//! ```text
//!   request:   Head -> Data* -> Trailers? -> End -> (next) Head ...
//!   response:  Interim* -> Head -> Data* -> Trailers? -> End
//! ```
//!
//! The bodies of `Data` are ranges of the buffer that was given: nothing is copied. A head is judged before
//! it is reported, so that a caller who sees one knows that its framing has one meaning only.

use std::ops::Range;

pub mod encode;

mod body;
mod chunk;
mod error;
pub(crate) mod fields;
pub(crate) mod framing;
mod lines;
pub(crate) mod request;
mod response;
pub(crate) mod target;
mod whole;

pub use crate::limits::HeadLimits;
pub use error::{ChunkFault, FieldFault, FramingFault, HostFault, RequestError, ResponseError, TargetFault};
pub use request::RequestDecoder;
pub use response::ResponseDecoder;

/// What one call to a decoder achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// Bytes at the start of the input that are done with. They may be dropped as soon as the spans and the
    /// data range of the event have been used. May be above zero without an event, for a chunk line for
    /// example.
    pub consumed: usize,
    /// What was found; `None` when more input is needed.
    pub event: Option<Event>,
}

impl Step {
    pub(crate) fn needs_more(consumed: usize) -> Self {
        Self { consumed, event: None }
    }

    pub(crate) fn found(consumed: usize, event: Event) -> Self {
        Self { consumed, event: Some(event) }
    }
}

/// A part of a message, in the words every HTTP version shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Responses only: a 1xx head other than 101. The final head is still to come (RFC 9110 §15.2). The
    /// caller counts them against [`crate::limits::INTERIM_COUNT_MAX`].
    Interim,
    /// A complete head. The decoder holds it; its spans are relative to the input just given.
    Head,
    /// Body bytes, as a range of the input just given. Never empty.
    Data(Range<usize>),
    /// Trailer fields. The decoder holds them; their spans are relative to the input just given.
    Trailers,
    /// The message is complete.
    End,
}
