//! The canonical path: one spelling for every path that means the same, so that router, policies and origin
//! read alike (T40).
//!
//! Canonical means: starts with `/`; percent-encoding in upper-case digits (RFC 3986 §6.2.2.1) and only where
//! it is needed (§6.2.2.2); no `.` and `..` segments (§6.2.2.3); no two slashes in a row. The last is not
//! from the RFC, but most origins read `//` as `/`. What cannot be made certain is refused: an encoded `/`,
//! `\`, `.`, `;` or NUL is read as the plain byte by some origins and not by others.

use std::fmt;

/// Why a path has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It does not start with `/`.
    NotAbsolute,
    /// It holds a byte that no path may hold.
    Byte,
    /// A `%` without two hexadecimal digits (RFC 3986 §2.1).
    PercentEncoding,
    /// An encoded `/`, `\`, `.`, `;` or NUL, and the route does not allow it.
    EncodedByte,
    /// `..` leads above the root.
    AboveRoot,
    /// A `.` or `..` with parameters, such as `..;x`: some origins drop the parameters and then walk up.
    DotParameters,
}

/// Whether `byte` may stand in a path as it is: a visible character that neither ends the path nor has to be
/// encoded. Wider than RFC 3986 §3.3 by `[ ] ^ { | }` and the backquote, which browsers leave as they are.
pub const fn is_path_byte(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'?' | b'\\')
}

/// Writes the canonical form of `path` into `out`, which is cleared first and whose memory is reused.
///
/// With `allow_encoded` an encoded `/`, `\`, `;` or NUL stays encoded and an encoded `.` is decoded, before
/// dot segments are looked for. Doing it twice changes nothing.
///
/// # Errors
///
/// The path has no canonical form and the request ought to be refused; `out` then holds nothing of use.
pub fn canonicalize(path: &[u8], allow_encoded: bool, out: &mut Vec<u8>) -> Result<(), PathError> {
    out.clear();
    let [b'/', segments @ ..] = path else { return Err(PathError::NotAbsolute) };
    out.push(b'/');
    let mut segments = segments.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        // `out` ends with a slash here, so that an empty or a dropped segment leaves nothing behind.
        let start = out.len();
        decode_segment(segment, allow_encoded, out)?;
        match segment_kind(&out[start..]) {
            SegmentKind::Plain if segments.peek().is_some() => out.push(b'/'),
            SegmentKind::Plain | SegmentKind::Empty => {}
            SegmentKind::Dot => out.truncate(start),
            SegmentKind::DotDot => drop_parent(start, out)?,
            SegmentKind::DotParameters => return Err(PathError::DotParameters),
        }
    }
    Ok(())
}

/// Whether [`canonicalize`] without `allow_encoded` would succeed and change nothing.
pub fn is_canonical(path: &[u8]) -> bool {
    let [b'/', segments @ ..] = path else { return false };
    let mut segments = segments.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment_kind(segment) {
            SegmentKind::Plain => {}
            SegmentKind::Empty if is_last => {}
            _ => return false,
        }
        if !is_segment_canonical(segment) {
            return false;
        }
    }
    true
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "path does not start with `/`",
            Self::Byte => "path holds a byte that has to be percent-encoded",
            Self::PercentEncoding => "path holds a `%` without two hexadecimal digits behind it",
            Self::EncodedByte => {
                "path holds an encoded `/`, `\\`, `.`, `;` or NUL, which this route does not allow"
            }
            Self::AboveRoot => "path leads above `/` with `..`",
            Self::DotParameters => "path holds a `.` or `..` segment with parameters",
        })
    }
}

impl std::error::Error for PathError {}

enum SegmentKind {
    Plain,
    Empty,
    Dot,
    DotDot,
    DotParameters,
}

fn segment_kind(segment: &[u8]) -> SegmentKind {
    match segment {
        b"" => SegmentKind::Empty,
        b"." => SegmentKind::Dot,
        b".." => SegmentKind::DotDot,
        [b'.', b';', ..] | [b'.', b'.', b';', ..] => SegmentKind::DotParameters,
        _ => SegmentKind::Plain,
    }
}

/// Drops the segment that begins at `start` and the one before it (RFC 3986 §5.2.4).
fn drop_parent(start: usize, out: &mut Vec<u8>) -> Result<(), PathError> {
    let parent = &out[..start - 1];
    // RFC 3986 §5.2.4 would stop at the root in silence; an origin that maps paths to files may not.
    let slash = parent.iter().rposition(|&byte| byte == b'/').ok_or(PathError::AboveRoot)?;
    out.truncate(slash + 1);
    Ok(())
}

fn decode_segment(segment: &[u8], allow_encoded: bool, out: &mut Vec<u8>) -> Result<(), PathError> {
    let mut rest = segment;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (octet, tail) = decode_octet(tail).ok_or(PathError::PercentEncoding)?;
            rest = tail;
            if is_ambiguous(octet) && !allow_encoded {
                return Err(PathError::EncodedByte);
            }
            push_octet(octet, out);
        } else if is_path_byte(byte) {
            out.push(byte);
        } else {
            return Err(PathError::Byte);
        }
    }
    Ok(())
}

fn is_segment_canonical(segment: &[u8]) -> bool {
    let mut rest = segment;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let Some((octet, tail_behind)) = decode_octet(tail) else { return false };
            let is_lower = tail[..2].iter().any(u8::is_ascii_lowercase);
            if is_lower || is_unreserved(octet) || is_ambiguous(octet) {
                return false;
            }
            rest = tail_behind;
        } else if !is_path_byte(byte) {
            return false;
        }
    }
    true
}

/// The octet that two hexadecimal digits name, and what follows them.
fn decode_octet(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, tail @ ..] = bytes else { return None };
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    Some((digit(*high)? << 4 | digit(*low)?, tail))
}

/// RFC 3986 §6.2.2: an unreserved octet as it is, any other encoded in upper case.
fn push_octet(octet: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if is_unreserved(octet) {
        out.push(octet);
    } else {
        out.extend_from_slice(&[b'%', DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 0xf)]]);
    }
}

/// RFC 3986 §2.3.
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// Octets that change the shape of a path for whoever decodes them (T40).
fn is_ambiguous(octet: u8) -> bool {
    matches!(octet, b'/' | b'\\' | b'.' | b';' | 0)
}
