//! Faults of the TOML itself, in words that say what to write instead.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The faults of the TOML itself.
pub(super) fn syntax_faults(file: usize, text: &str, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    // Under a header written twice each key is told again by the parser; the header is the fault.
    let mut told_until = 0;
    for error in errors {
        let range = error.span().unwrap_or(text.len()..text.len());
        if error.message() != "duplicate key" {
            faults.push(not_toml(file, text, range, error.message()));
        } else if range.start >= told_until {
            let line_start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
            if is_header(&text[line_start..]) {
                told_until = text[range.end..].find("\n[").map_or(text.len(), |at| range.end + at);
            }
            faults.push(written_twice(file, text, range));
        }
    }
    faults
}

fn not_toml(file: usize, text: &str, range: Range<usize>, message: &str) -> Diagnostic {
    let token = bare_token(text, range.start);
    let span = Span::new(file, range);
    match message {
        "string values must be quoted, expected literal string" if token.is_empty() => {
            Diagnostic::error(span, "a value is missing here")
        }
        "string values must be quoted, expected literal string" => {
            Diagnostic::error(span, format!("{token} needs quotes")).hint(format!("write \"{token}\""))
        }
        // What begins with a digit is taken for a number or a date, up to where it no longer looks like one.
        number if number.starts_with("invalid") && token.starts_with(|c: char| c.is_ascii_digit()) => {
            Diagnostic::error(span, format!("{token} needs quotes, or is no number"))
                .hint(format!("write \"{token}\""))
        }
        other => Diagnostic::error(span, other),
    }
}

/// The value around `at` when it stands without quotes.
fn bare_token(text: &str, at: usize) -> &str {
    let is_end =
        |c: char| c.is_whitespace() || matches!(c, '=' | ',' | '[' | ']' | '{' | '}' | '#' | '"' | '\'');
    let start = text.get(..at).unwrap_or_default().rfind(is_end).map_or(0, |before| before + 1);
    let end = text.get(at..).unwrap_or_default().find(is_end).map_or(text.len(), |length| at + length);
    text.get(start..end).unwrap_or_default()
}

fn written_twice(file: usize, text: &str, range: Range<usize>) -> Diagnostic {
    let key = text.get(range.clone()).unwrap_or_default();
    let line_start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let what = if is_header(line) { line.trim() } else { key };
    let fault = Diagnostic::error(Span::new(file, range.clone()), format!("{what} is written twice"));
    let fault = fault.hint("take one of the two out");
    match first_written(text, key, range.start) {
        Some(first) => fault.also(Span::new(file, first..first + key.len()), "first written here"),
        None => fault,
    }
}

/// Where the key at `second` was written before: the same header anywhere, or the same key under the same header.
///
/// The parser keeps the first place to itself. In the files people write, both stand at the start of a line.
fn first_written(text: &str, key: &str, second: usize) -> Option<usize> {
    let line_start = text[..second].rfind('\n').map_or(0, |at| at + 1);
    let (before, rest) = text.split_at(line_start);
    let line = rest.lines().next()?;
    let column = second - line_start - indent(line).min(second - line_start);
    let mut found = None;
    let mut start = 0;
    for earlier in before.split_inclusive('\n') {
        if is_header(earlier) && !is_header(line) {
            found = None;
        } else if found.is_none() && left_side(earlier) == left_side(line) {
            found = Some(start + indent(earlier) + column);
        }
        start += earlier.len();
    }
    found.filter(|at| text.get(*at..).is_some_and(|there| there.starts_with(key)))
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A header without its end, or what stands to the left of `=`.
fn left_side(line: &str) -> &str {
    let end = if is_header(line) { line.rfind(']') } else { line.find('=') };
    line[..end.unwrap_or(line.len())].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_is_found() {
        let text = "[a]\nx = 1\n[b]\nx = 2\n  x = 3\n[a]\n";
        assert_eq!(first_written(text, "x", text.find("x = 3").unwrap_or(0)), text.find("x = 2"));
        assert_eq!(first_written(text, "a", text.rfind("a]").unwrap_or(0)), Some(1));
        assert_eq!(first_written("x = 1\n", "x", 0), None);
    }
}
