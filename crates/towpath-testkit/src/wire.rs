//! Bytes as lines of text, and back.
//!
//! A line of text stands for its bytes and CR LF; a `\` at its end takes the CR LF away. `\r`, `\n`, `\t`, `\0`, `\\` and
//! `\xHH` are single bytes. `(x * 70000)` stands for that many times the same byte.

use std::fmt::Write;

/// From this many on, equal bytes are written as `(x * 100)`.
const RUN_BYTES_MIN: usize = 48;

/// The bytes that one line stands for.
///
/// # Panics
/// When the line holds an escape that is none: the test is wrong.
pub fn line_bytes(line: &str) -> Vec<u8> {
    // An even number of them is that many escaped ones.
    let backslashes = line.bytes().rev().take_while(|&byte| byte == b'\\').count();
    if backslashes % 2 == 1 { bytes(&line[..line.len() - 1]) } else { [&bytes(line)[..], b"\r\n"].concat() }
}

/// The bytes that `text` stands for, without any line end.
///
/// # Panics
/// When it holds an escape that is none: the test is wrong.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((byte, count, after)) = run(rest) {
            out.resize(out.len() + count, byte);
            rest = after;
        } else if first == '\\' {
            let (byte, after) = escape(&rest[1..]).unwrap_or_else(|| panic!("no such escape: {rest}"));
            out.push(byte);
            rest = after;
        } else {
            out.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// `bytes` as lines, each the inverse of [`line_bytes`].
pub fn lines(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(text(&rest[..end]));
        rest = &rest[end + 2..];
    }
    if !rest.is_empty() {
        lines.push(text(rest) + "\\");
    }
    lines
}

/// `bytes` as text on one line, the inverse of [`bytes()`].
pub fn text(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let count = rest.iter().take_while(|&&byte| byte == first).count();
        let is_run = count >= RUN_BYTES_MIN && first.is_ascii_graphic();
        let taken = if is_run { count } else { 1 };
        rest = &rest[taken..];
        match first {
            _ if is_run => write!(out, "({} * {count})", char::from(first)).expect("a String"),
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            0 => out.push_str("\\0"),
            b'\\' => out.push_str("\\\\"),
            // A space at the end of a line would not survive an editor.
            b' ' if rest.is_empty() || rest.starts_with(b"\r\n") => out.push_str("\\x20"),
            b' '..=b'~' => out.push(char::from(first)),
            _ => write!(out, "\\x{first:02x}").expect("a String"),
        }
    }
    out
}

/// `(x * 70000)` at the beginning of `text`, and what follows it.
fn run(text: &str) -> Option<(u8, usize, &str)> {
    let (run, after) = text.strip_prefix('(')?.split_once(')')?;
    let (byte, count) = run.split_once(" * ")?;
    let [byte] = byte.as_bytes() else { return None };
    Some((*byte, count.parse().ok()?, after))
}

fn escape(text: &str) -> Option<(u8, &str)> {
    let byte = match text.chars().next()? {
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        '0' => 0,
        '\\' => b'\\',
        'x' => return Some((u8::from_str_radix(text.get(1..3)?, 16).ok()?, &text[3..])),
        _ => return None,
    };
    Some((byte, &text[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_for_bytes_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        for case in
            [&b"GET / HTTP/1.1\r\nhost: h\r\n\r\nbody"[..], b"a\nb\r\n", b"\\", b"(a)", b"x \r\n ", &all]
        {
            let back: Vec<u8> = lines(case).iter().flat_map(|line| line_bytes(line)).collect();
            assert_eq!(back, case, "{}", case.escape_ascii());
        }
    }

    #[test]
    fn long_runs_are_short_text() {
        let long = [b"a: ", &[b'x'; 70_000][..]].concat();
        assert_eq!(text(&long), "a: (x * 70000)");
        assert_eq!(bytes("a: (x * 70000)"), long);
    }
}
