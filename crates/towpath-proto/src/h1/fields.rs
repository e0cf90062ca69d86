//! One pass over the fields of a section: spans, identities, limits, and what framing needs to know.

use std::mem::MaybeUninit;

use httparse::Header;

use super::FieldFault;
use crate::connection::ConnectionOptions;
use crate::field;
use crate::limits::{FIELD_OVERHEAD_BYTES, FIELDS_COUNT_CEILING, HeadLimits};
use crate::message::{Field, Fields, Known, Span};

/// Room for the fields of one section, on the stack and not initialised.
pub(crate) type HeaderArray<'b> = [MaybeUninit<Header<'b>>; FIELDS_COUNT_CEILING];

/// The stack array that `httparse` fills. Costs nothing: it is written before it is read.
pub(crate) const fn header_array<'b>() -> HeaderArray<'b> {
    [const { MaybeUninit::uninit() }; FIELDS_COUNT_CEILING]
}

/// A field that may come once. A second one is remembered instead of being taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Single {
    #[default]
    Absent,
    Once(Span),
    Repeated,
}

impl Single {
    fn add(&mut self, value: Span) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}

/// The fields that decide about the message itself, found on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected {
    pub(crate) content_length: Single,
    pub(crate) transfer_encoding: Single,
    pub(crate) host: Single,
    pub(crate) upgrade: Single,
    pub(crate) expect: Single,
    pub(crate) connection: ConnectionOptions,
}

impl Collected {
    /// Takes note of `field`, whose value is `value`.
    #[inline]
    pub(crate) fn add(&mut self, field: &Field, value: &[u8]) {
        let single = match field.known {
            Known::Host => &mut self.host,
            Known::ContentLength => &mut self.content_length,
            Known::TransferEncoding => &mut self.transfer_encoding,
            Known::Upgrade => &mut self.upgrade,
            Known::Expect => &mut self.expect,
            Known::Connection => return self.connection.collect(value),
            _ => return,
        };
        single.add(field.value);
    }
}

/// Turns what `httparse` found in `block` into spans, in `out`. Names are tokens and values hold no control
/// character: `httparse` has refused everything else, which the test over all 256 bytes shows (T08).
pub(crate) fn collect(
    headers: &[Header<'_>],
    block: &[u8],
    limits: &HeadLimits,
    out: &mut Fields,
) -> Result<Collected, FieldFault> {
    let mut collected = Collected::default();
    let mut meter = Meter::default();
    out.clear();
    for header in headers {
        let field = field_of(header, block);
        meter.charge(&field, limits)?;
        collected.add(&field, header.value);
        out.push(field);
    }
    Ok(collected)
}

/// Reads trailer fields into `out`. `section` ends with the empty line (RFC 9112 §7.1.2).
pub(crate) fn collect_trailers(
    section: &[u8],
    offset: usize,
    block: &[u8],
    limits: &HeadLimits,
    out: &mut Fields,
) -> Result<(), FieldFault> {
    debug_assert_eq!(block.get(offset..offset + section.len()), Some(section));
    // Trailers are rare enough to pay for an initialised array, which is all that this entry of httparse
    // takes.
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_COUNT_CEILING];
    let headers = &mut headers[..limits.fields_count()];
    let headers = match httparse::parse_headers(section, headers).map_err(fault_of)? {
        httparse::Status::Complete((consumed, headers)) if consumed == section.len() => headers,
        _ => return Err(FieldFault::Name),
    };
    let mut meter = Meter::default();
    out.clear();
    for header in headers {
        let field = field_of(header, block);
        meter.charge(&field, limits)?;
        match judge_trailer(field.known, header.name.as_bytes()) {
            TrailerVerdict::Keep => out.push(field),
            TrailerVerdict::Drop => {}
            TrailerVerdict::Refuse => return Err(FieldFault::ForbiddenTrailer),
        }
    }
    Ok(())
}

/// What a fault of `httparse` in the field lines means.
#[cold]
pub(crate) fn fault_of(error: httparse::Error) -> FieldFault {
    match error {
        httparse::Error::HeaderValue => FieldFault::Value,
        httparse::Error::TooManyHeaders => FieldFault::TooMany,
        _ => FieldFault::Name,
    }
}

/// What becomes of a trailer field.
pub(crate) enum TrailerVerdict {
    Keep,
    Drop,
    Refuse,
}

/// RFC 9110 §6.5.1: fields for framing, routing, authentication and content handling must not come as
/// trailers. The ones that could move a message's end or its destination are refused, the others are dropped
/// (T20).
pub(crate) fn judge_trailer(known: Known, name: &[u8]) -> TrailerVerdict {
    const DROPPED: &[&str] = &[
        "age",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-range",
        "cookie",
        "location",
        "max-forwards",
        "pragma",
        "range",
        "retry-after",
        "set-cookie",
        "vary",
        "www-authenticate",
    ];
    match known {
        Known::Other if DROPPED.iter().any(|dropped| name.eq_ignore_ascii_case(dropped.as_bytes())) => {
            TrailerVerdict::Drop
        }
        Known::Other => TrailerVerdict::Keep,
        Known::ContentLength
        | Known::TransferEncoding
        | Known::Host
        | Known::Connection
        | Known::Upgrade
        | Known::Expect
        | Known::Te
        | Known::Trailer => TrailerVerdict::Refuse,
        // Everything else that the data path asks about is asked about in the head: in a trailer it would be
        // a second opinion, on the client's address for example (T42).
        _ => TrailerVerdict::Drop,
    }
}

/// Bytes charged for the fields of one section: name + value + 32 each, also for those dropped later (T13,
/// T14).
#[derive(Default)]
pub(crate) struct Meter {
    charged_bytes: usize,
}

impl Meter {
    #[inline]
    pub(crate) fn charge(&mut self, field: &Field, limits: &HeadLimits) -> Result<(), FieldFault> {
        self.charged_bytes += field.name.len() + field.value.len() + FIELD_OVERHEAD_BYTES;
        if self.charged_bytes > limits.head_bytes_max {
            return Err(FieldFault::SectionTooLarge);
        }
        Ok(())
    }
}

#[inline]
fn field_of(header: &Header<'_>, block: &[u8]) -> Field {
    // A name is a token of at least one character: CVE-2023-25725 was about one of none.
    debug_assert!(field::is_name(header.name.as_bytes()));
    Field {
        name: span_of(header.name.as_bytes(), block),
        value: span_of(header.value, block),
        known: Known::of(header.name.as_bytes()),
        never_index: false,
    }
}

/// Where `part` lies in `block`, which it was cut from. Heads are far below 4 GiB, so that offsets fit.
#[inline]
pub(crate) fn span_of(part: &[u8], block: &[u8]) -> Span {
    let start = part.as_ptr().addr().wrapping_sub(block.as_ptr().addr());
    debug_assert!(start + part.len() <= block.len());
    Span::new(start as u32, (start + part.len()) as u32)
}
