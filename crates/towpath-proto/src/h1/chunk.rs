//! One chunk line: the size and the extensions, which are read and dropped (RFC 9112 §7.1).

use memchr::memchr;

use super::ChunkFault;
use crate::field;
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX};

const LINE_END_BYTES: usize = 2;
const LINE_BYTES_MAX: usize = CHUNK_SIZE_DIGITS_MAX + CHUNK_EXTENSION_BYTES_MAX + LINE_END_BYTES;

/// A chunk line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkLine {
    /// Length of the line with its CR LF.
    pub(crate) line_bytes: usize,
    /// Length of the chunk's data; 0 for the last chunk.
    pub(crate) size: u64,
}

/// Reads the chunk line at the start of `input`; `None` while it is not complete. A line is short, so that
/// looking for its end again each time input comes costs little.
pub(crate) fn read_line(input: &[u8]) -> Result<Option<ChunkLine>, ChunkFault> {
    let window = &input[..input.len().min(LINE_BYTES_MAX)];
    let Some(line_feed) = memchr(b'\n', window) else {
        return if window.len() == LINE_BYTES_MAX { Err(ChunkFault::ExtensionTooLong) } else { Ok(None) };
    };
    // RFC 9112 §7.1 ends the line with CRLF. A lone LF here was a way to smuggle (T04).
    let line = window[..line_feed].strip_suffix(b"\r").ok_or(ChunkFault::LineEnd)?;
    let digits_count = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, extension) = line.split_at(digits_count);
    check_extension(extension, digits)?;
    Ok(Some(ChunkLine { line_bytes: line_feed + 1, size: parse_size(digits)? }))
}

/// `1*HEXDIG` without prefix, sign or padding (RFC 9112 §7.1).
fn parse_size(digits: &[u8]) -> Result<u64, ChunkFault> {
    if digits.is_empty() {
        return Err(ChunkFault::Size);
    }
    // Sixteen digits are exactly 64 bits, so that the shifts below lose nothing. Leading zeros count: nobody
    // needs more than sixteen digits, and a longer run is an attempt at somebody's overflow.
    if digits.len() > CHUNK_SIZE_DIGITS_MAX {
        return Err(ChunkFault::SizeOverflow);
    }
    Ok(digits.iter().fold(0, |size, &digit| size << 4 | u64::from(hex_value(digit))))
}

fn check_extension(extension: &[u8], digits: &[u8]) -> Result<(), ChunkFault> {
    let Some(&first) = extension.first() else { return Ok(()) };
    // RFC 9112 §7.1.1 allows bad white space before `;`. It is refused, for parsers differ on it.
    if first != b';' {
        return Err(if digits.is_empty() || first != b' ' {
            ChunkFault::Size
        } else {
            ChunkFault::Extension
        });
    }
    if extension.len() > CHUNK_EXTENSION_BYTES_MAX {
        return Err(ChunkFault::ExtensionTooLong);
    }
    // A bare CR in an extension ends the line for some readers.
    if !extension.iter().all(|&byte| field::is_value_byte(byte)) {
        return Err(ChunkFault::Extension);
    }
    Ok(())
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Option<u64>, ChunkFault>) {
        assert_eq!(read_line(line.as_bytes()).map(|line| line.map(|line| line.size)), expected, "{line:?}");
    }

    #[test]
    fn a_chunk_size_is_hexadecimal_digits_only_t04() {
        check("0\r\n", Ok(Some(0)));
        check("1aF\r\n", Ok(Some(0x1af)));
        check("0000000000000010\r\n", Ok(Some(16)));
        check("ffffffffffffffff\r\n", Ok(Some(u64::MAX)));
        check("10000000000000000\r\n", Err(ChunkFault::SizeOverflow));
        for line in ["\r\n", "0x5\r\n", "+5\r\n", "-5\r\n", " 5\r\n", "5g\r\n", "5_\r\n", ";a\r\n", "5,\r\n"]
        {
            assert!(matches!(read_line(line.as_bytes()), Err(ChunkFault::Size)), "{line:?}");
        }
    }

    #[test]
    fn extensions_are_bounded_and_dropped_t04() {
        check("5;name=value;other=\"quoted; text\"\r\n", Ok(Some(5)));
        check("5 ;name\r\n", Err(ChunkFault::Extension));
        check("5;a\rb\r\n", Err(ChunkFault::Extension));
        check("5;a\0\r\n", Err(ChunkFault::Extension));
        let longest = format!("5;{}\r\n", "a".repeat(CHUNK_EXTENSION_BYTES_MAX - 1));
        check(&longest, Ok(Some(5)));
        let longer = format!("5;{}\r\n", "a".repeat(CHUNK_EXTENSION_BYTES_MAX));
        check(&longer, Err(ChunkFault::ExtensionTooLong));
        check(&"a".repeat(LINE_BYTES_MAX - 1), Ok(None));
        check(&"a".repeat(LINE_BYTES_MAX), Err(ChunkFault::ExtensionTooLong));
    }

    #[test]
    fn chunk_lines_end_in_crlf_t04() {
        check("5\n", Err(ChunkFault::LineEnd));
        check("5;a\n", Err(ChunkFault::LineEnd));
        check("5\r", Ok(None));
        check("5", Ok(None));
        check("", Ok(None));
    }
}
