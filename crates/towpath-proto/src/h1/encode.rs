//! Writers for HTTP/1.1 messages. Framing is always written from what the codec decided, never copied (T01).
//!
//! Nothing here allocates but the output itself, whose memory its owner keeps. Names and values must have
//! passed [`crate::field::is_name`] and [`crate::field::is_value`]: debug builds check that (T43).

use crate::field;
use crate::message::Version;

/// What follows the data of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The last chunk and an empty trailer section.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Writes `METHOD SP TARGET SP HTTP/1.1 CRLF` (RFC 9112 §3). The version is always ours (RFC 9110 §2.5).
pub fn request_line(out: &mut Vec<u8>, method: &[u8], path: &[u8], query: Option<&[u8]>) {
    debug_assert!(field::is_token(method), "method {method:?} is not a token");
    debug_assert!(is_target(path) && query.is_none_or(is_query), "target {path:?} {query:?} is not one");
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(path);
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes `HTTP/1.1 SP CODE SP REASON CRLF` (RFC 9112 §4). The version is ours, also to a client that sent
/// HTTP/1.0 (RFC 9110 §6.2); see [`status_line_for`] for those who want it otherwise.
pub fn status_line(out: &mut Vec<u8>, status: u16) {
    status_line_for(out, Version::Http11, status, reason_phrase(status).as_bytes());
}

/// Writes a status line with the version and reason phrase given.
pub fn status_line_for(out: &mut Vec<u8>, version: Version, status: u16, reason: &[u8]) {
    debug_assert!((100..=999).contains(&status), "status {status} has not three digits");
    debug_assert!(reason.iter().all(|&byte| field::is_value_byte(byte)), "reason {reason:?} holds a control");
    // What nearly every response says, in one piece.
    if let (Version::Http11, 200, b"OK") = (version, status, reason) {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(match version {
        Version::Http10 => b"HTTP/1.0 ",
        Version::Http11 | Version::Http2 => b"HTTP/1.1 ",
    });
    let digit = |divisor: u16| b'0' + (status / divisor % 10) as u8;
    out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Writes one field line (RFC 9112 §5).
#[inline]
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    debug_assert!(field::is_name(name), "field name {name:?} is not a token");
    debug_assert!(field::is_value(value), "field value {value:?} holds what no value may");
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes `Content-Length` (RFC 9110 §8.6).
pub fn content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

/// Writes `Transfer-Encoding: chunked` (RFC 9112 §6.1). Never for an HTTP/1.0 peer.
pub fn transfer_encoding_chunked(out: &mut Vec<u8>) {
    out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
}

/// Writes the empty line behind the last field.
pub fn end_of_head(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Writes `number` in decimal digits.
pub fn decimal(out: &mut Vec<u8>, mut number: u64) {
    const DIGITS_MAX: usize = 20; // u64::MAX has twenty.
    let mut digits = [0; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// The line before the data of a chunk: its size in hexadecimal and CR LF (RFC 9112 §7.1). Lives on the
/// stack, so that it can be one of the slices of a gathered write.
#[derive(Clone, Copy, Debug)]
pub struct ChunkHead {
    bytes: [u8; Self::BYTES_MAX],
    start: u8,
}

impl ChunkHead {
    /// Sixteen digits and the line end.
    const BYTES_MAX: usize = 18;

    /// The line as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

/// The line before a chunk of `length` bytes. `length` must not be 0: that is the last chunk.
pub fn chunk_head(length: usize) -> ChunkHead {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    debug_assert!(length > 0, "a chunk of no bytes would end the message");
    let mut bytes = [0; ChunkHead::BYTES_MAX];
    let mut start = ChunkHead::BYTES_MAX - 2;
    bytes[start..].copy_from_slice(b"\r\n");
    let mut rest = length;
    loop {
        start -= 1;
        bytes[start] = DIGITS[rest & 0xf];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    ChunkHead { bytes, start: start as u8 }
}

/// Writes the last chunk and the trailers (RFC 9112 §7.1.2).
pub fn last_chunk<'a>(out: &mut Vec<u8>, trailers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// The reason phrase of a status (RFC 9110 §15 and the IANA registry); empty for one that has none.
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

fn is_target(path: &[u8]) -> bool {
    !path.is_empty() && path.iter().all(u8::is_ascii_graphic)
}

fn is_query(query: &[u8]) -> bool {
    query.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn start_lines_are_written_rfc9112_3_and_4() {
        check(|out| request_line(out, b"GET", b"/a", Some(b"b=c")), "GET /a?b=c HTTP/1.1\r\n");
        check(|out| request_line(out, b"OPTIONS", b"*", None), "OPTIONS * HTTP/1.1\r\n");
        check(|out| request_line(out, b"GET", b"/", Some(b"")), "GET /? HTTP/1.1\r\n");
        check(|out| status_line(out, 200), "HTTP/1.1 200 OK\r\n");
        // RFC 9112 §4: the space stays when the phrase is empty.
        check(|out| status_line(out, 299), "HTTP/1.1 299 \r\n");
        check(|out| status_line_for(out, Version::Http10, 404, b"Nope"), "HTTP/1.0 404 Nope\r\n");
    }

    #[test]
    fn fields_and_framing_are_written_rfc9112_5_and_6() {
        check(|out| field(out, b"Via", b"1.1 towpath"), "Via: 1.1 towpath\r\n");
        check(|out| field(out, b"Empty", b""), "Empty: \r\n");
        check(|out| content_length(out, 0), "Content-Length: 0\r\n");
        check(|out| content_length(out, u64::MAX), "Content-Length: 18446744073709551615\r\n");
        check(transfer_encoding_chunked, "Transfer-Encoding: chunked\r\n");
        check(end_of_head, "\r\n");
    }

    #[test]
    fn chunks_are_written_rfc9112_7_1() {
        for (length, expected) in
            [(1, "1\r\n"), (10, "a\r\n"), (4096, "1000\r\n"), (usize::MAX, "ffffffffffffffff\r\n")]
        {
            assert_eq!(chunk_head(length).as_bytes(), expected.as_bytes());
        }
        let trailers: [(&[u8], &[u8]); 1] = [(b"Digest", b"abc")];
        check(|out| last_chunk(out, trailers), "0\r\nDigest: abc\r\n\r\n");
        check(|out| last_chunk(out, []), "0\r\n\r\n");
        assert_eq!(LAST_CHUNK, b"0\r\n\r\n");
    }

    #[test]
    #[should_panic(expected = "holds what no value may")]
    fn a_value_with_a_line_end_is_caught_in_debug_builds_t43() {
        field(&mut Vec::new(), b"X", b"a\r\nHost: b");
    }
}
