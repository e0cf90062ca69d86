//! Bytes from anywhere, made safe for one line.

use crate::number::push_hex;

/// Appends `bytes` as the inside of a JSON string (RFC 8259 §7). Valid UTF-8 stays readable; a byte that is not becomes
/// the text `\xNN`. Control characters are escaped, also those above ASCII, which terminals obey as well, and the two
/// separators that some readers take for line ends.
pub(crate) fn push_json(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        return out.extend_from_slice(bytes);
    }
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_json_char(out, c));
        for &byte in chunk.invalid() {
            out.extend_from_slice(b"\\\\x");
            push_hex(out, byte);
        }
    }
}

/// Whether nothing needs an escape in either form. Almost every value is so, and is copied whole.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

fn push_json_char(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => push_json_unit(out, c as u16),
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn push_json_unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(b"\\u");
    let [high, low] = unit.to_be_bytes();
    push_hex(out, high);
    push_hex(out, low);
}

/// Appends `bytes` for a template line: printable ASCII stays, quotes, backslashes and everything else become `\xNN`.
pub(crate) fn push_text(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        return out.extend_from_slice(bytes);
    }
    for &byte in bytes {
        if is_plain(&[byte]) {
            out.push(byte);
        } else {
            out.extend_from_slice(b"\\x");
            push_hex(out, byte);
        }
    }
}
