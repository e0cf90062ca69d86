//! Heads that came in one piece and hold nothing unusual, as nearly all do: read in one pass, straight into spans.
//!
//! Nothing is refused here. What is not plainly right (a fault, a limit, a tab in a value, a byte still missing) makes
//! the answer `None`, and the slow path, line scan and `httparse`, decides what it means. So there is one place that
//! words each fault, and what is accepted here must be what is accepted there: the tests that feed a head whole and in
//! pieces hold them equal.

use super::fields::{Collected, Meter, span_of};
use crate::field;
use crate::limits::HeadLimits;
use crate::message::{Field, Fields, Known, Span, Version};

/// The parts of a request line, and where the fields begin.
pub(crate) struct RequestLine {
    pub(crate) method: Span,
    pub(crate) target: Span,
    pub(crate) version: Version,
    pub(crate) end: usize,
}

/// The parts of a status line, and where the fields begin.
pub(crate) struct StatusLine {
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) reason: Span,
    pub(crate) end: usize,
}

/// The request line at `start` of `input` (RFC 9112 §3). The bytes of the target are not judged.
#[inline]
pub(crate) fn request_line_fast(input: &[u8], start: usize, limits: &HeadLimits) -> Option<RequestLine> {
    let line = line_fast(input, start, limits)?;
    let (rest, version) = line.split_last_chunk()?;
    let version = version_of(version)?;
    let method_bytes = token_bytes(rest);
    let [b' ', target @ .., b' '] = &rest[method_bytes..] else { return None };
    if method_bytes == 0 || target.is_empty() {
        return None;
    }
    let method = span_of(&rest[..method_bytes], input);
    Some(RequestLine {
        method,
        target: span_of(target, input),
        version,
        end: start + line.len() + LINE_END.len(),
    })
}

/// The status line at the start of `input` (RFC 9112 §4), if its status is one that may be.
#[inline]
pub(crate) fn status_line_fast(input: &[u8], limits: &HeadLimits) -> Option<StatusLine> {
    let line = line_fast(input, 0, limits)?;
    let (version, rest) = line.split_first_chunk()?;
    let version = version_of(version)?;
    let [b' ', hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', reason @ ..] = rest
    else {
        return None;
    };
    let [hundreds, tens, ones] = [hundreds, tens, ones].map(|digit| u16::from(digit - b'0'));
    let status = hundreds * 100 + tens * 10 + ones;
    Some(StatusLine { version, status, reason: span_of(reason, input), end: line.len() + LINE_END.len() })
}

/// The fields from `start` of `block` up to the empty line, into `out` and `collected`. Gives where the head ends.
#[inline(never)]
pub(crate) fn collect_fast(
    block: &[u8],
    start: usize,
    limits: &HeadLimits,
    out: &mut Fields,
    collected: &mut Collected,
) -> Option<usize> {
    let mut meter = Meter::default();
    let mut at = start;
    out.clear();
    loop {
        let line = line_fast(block, at, limits)?;
        at += line.len() + LINE_END.len();
        if line.is_empty() {
            return (at <= limits.head_bytes_max).then_some(at);
        }
        let (name, rest) = line.split_at(token_bytes(line));
        let [b':', value @ ..] = rest else { return None };
        if name.is_empty() || out.len() == limits.fields_count() {
            return None;
        }
        let value = value.trim_ascii();
        let field = Field {
            name: span_of(name, block),
            value: span_of(value, block),
            known: Known::of(name),
            never_index: false,
        };
        meter.charge(&field, limits).ok()?;
        collected.add(&field, value);
        out.push(field);
    }
}

const LINE_END: &[u8; 2] = b"\r\n";

/// Compared as one number each, which a `match` on bytes is not.
fn version_of(bytes: &[u8; 8]) -> Option<Version> {
    if bytes == b"HTTP/1.1" {
        Some(Version::Http11)
    } else if bytes == b"HTTP/1.0" {
        Some(Version::Http10)
    } else {
        None
    }
}

/// Length of the token that `bytes` begins with.
#[inline]
fn token_bytes(bytes: &[u8]) -> usize {
    let mut length = 0;
    while length < bytes.len() && field::is_token_byte(bytes[length]) {
        length += 1;
    }
    length
}

/// The line at `start` without its end, if it is whole, within the limit and holds no control character.
#[inline(never)]
fn line_fast<'i>(input: &'i [u8], start: usize, limits: &HeadLimits) -> Option<&'i [u8]> {
    let (line, rest) = split_at_control(input.get(start..)?);
    (rest.starts_with(LINE_END) && line.len() <= limits.line_bytes_max).then_some(line)
}

/// Splits before the first byte that is below SP or DEL. Eight bytes are looked at in one step.
#[inline]
fn split_at_control(bytes: &[u8]) -> (&[u8], &[u8]) {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const DEL: u64 = ONES * 0x7f;
    let mut length = 0;
    while let Some(word) = bytes[length..].first_chunk() {
        let word = u64::from_le_bytes(*word);
        // The highest bit of a byte says whether it is one. A borrow can mark bytes behind the first, never before it.
        let below_space = word.wrapping_sub(ONES * b' ' as u64) & !word;
        let is_del = (word ^ DEL).wrapping_sub(ONES) & !word;
        let controls = (below_space | is_del) & (ONES << 7);
        if controls != 0 {
            return bytes.split_at(length + controls.trailing_zeros() as usize / 8);
        }
        length += 8;
    }
    let is_control = |byte: &u8| *byte < b' ' || *byte == 0x7f;
    let rest = &bytes[length..];
    bytes.split_at(length + rest.iter().position(is_control).unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_its_first_control() {
        for length in 0..20 {
            for (at, byte) in (0..length).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
                for filler in [b' ', b'a', b'!', 0x80, 0xff] {
                    let mut bytes = vec![filler; length];
                    bytes[at] = byte;
                    let expected = if byte < b' ' || byte == 0x7f { at } else { length };
                    let (line, rest) = split_at_control(&bytes);
                    assert_eq!(
                        line,
                        &bytes[..expected],
                        "{byte:#04x} at {at} of {length} between {filler:#04x}"
                    );
                    assert_eq!(rest, &bytes[expected..]);
                }
            }
        }
    }
}
