//! Faults of the TOML itself, in words that say what to write instead.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The faults of the TOML itself, which is `text` in file `file`, and from where on everything is a guess because a
/// bracket is open.
pub fn syntax_faults(
    file: usize,
    text: &str,
    errors: &[toml::de::Error],
) -> (Vec<Diagnostic>, Option<usize>) {
    let mut faults = Vec::new();
    // Under a header written twice each key is told again by the parser; the header is the fault. Of a line in
    // another notation it tells several things, and a bracket that is open takes in everything behind it.
    let mut told_until = 0;
    let open = errors.iter().any(|error| is_unclosed(error.message())).then(|| open_bracket(text)).flatten();
    for error in errors {
        let range = error.span().unwrap_or(text.len()..text.len());
        if range.start < told_until || open.is_some_and(|open| range.start > open) {
            continue;
        }
        let (line_start, line) = line_of(text, range.start);
        if error.message() != "duplicate key" {
            let other_notation = not_an_assignment(file, line_start, line, error.message());
            if other_notation.is_some() {
                told_until = line_start + line.len();
            }
            faults.push(other_notation.unwrap_or_else(|| not_toml(file, text, range, error.message())));
        } else {
            if is_header(line) {
                told_until = text[range.end..].find("\n[").map_or(text.len(), |at| range.end + at);
            }
            faults.push(written_twice(file, text, range));
        }
    }
    faults.extend(open.map(|at| {
        let fault =
            Diagnostic::error(Span::new(file, at..at + 1), format!("`{}` is not closed", &text[at..at + 1]));
        fault.hint(if text[at..].starts_with('{') { "end it with `}`" } else { "end it with `]`" })
    }));
    (faults, open)
}

fn not_toml(file: usize, text: &str, range: Range<usize>, message: &str) -> Diagnostic {
    let token = bare_token(text, range.start);
    let (_, line) = line_of(text, range.start);
    let span = Span::new(file, range);
    match message {
        "string values must be quoted, expected literal string" if token.is_empty() => {
            Diagnostic::error(span, "a value is missing here")
        }
        "string values must be quoted, expected literal string" => {
            let plain = token.trim_matches(['“', '”', '„', '‘', '’']);
            let what = if plain == token { "quotes" } else { "plain quotes" };
            Diagnostic::error(span, format!("{token} needs {what}")).hint(format!("write \"{plain}\""))
        }
        unclosed
            if unclosed.starts_with("invalid basic string")
                || unclosed.starts_with("invalid literal string") =>
        {
            Diagnostic::error(span, "the string does not end in its line").hint("close its quotes")
        }
        // What begins with a digit is taken for a number or a date, up to where it no longer looks like one.
        number if number.starts_with("invalid") && token.starts_with(|c: char| c.is_ascii_digit()) => {
            Diagnostic::error(span, format!("{token} needs quotes, or is no number"))
                .hint(format!("write \"{token}\""))
        }
        escape if escape.starts_with("missing escaped value") => {
            Diagnostic::error(span, "`\\` begins an escape, and this is none")
                .hint("write `\\\\` for a backslash, or put the string in single quotes")
        }
        header if header.starts_with("unclosed table") => {
            Diagnostic::error(span, "the header is not closed").hint(format!("write {}]", line.trim()))
        }
        other => Diagnostic::error(span, other),
    }
}

/// A line that gives a key its value in the notation of another kind of file, `key: value` or `key value;`.
fn not_an_assignment(file: usize, line_start: usize, line: &str, message: &str) -> Option<Diagnostic> {
    let is_other = message.starts_with("key with no value") || message.starts_with("invalid unquoted key");
    let key_start = indent(line);
    let key = line
        .get(key_start..)?
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
        .next()?;
    if !is_other || key.is_empty() || line.contains('=') {
        return None;
    }
    let rest = line.get(key_start + key.len()..)?;
    let value = rest.trim_start_matches(':').trim().trim_end_matches([';', '{']).trim();
    let is_bare = !value.starts_with(['"', '\'', '[', '{']) && value.parse::<f64>().is_err();
    let hint = match value {
        "" => format!("a key is written {key} = …, and a table [{key}.NAME] on a line of its own"),
        "true" | "false" => format!("write {key} = {value}"),
        _ if is_bare => format!("write {key} = \"{value}\""),
        _ => format!("write {key} = {value}"),
    };
    let start = line_start + key_start;
    Some(
        Diagnostic::error(Span::new(file, start..start + key.len()), format!("{key} is not followed by `=`"))
            .hint(hint),
    )
}

fn is_unclosed(message: &str) -> bool {
    message.starts_with("unclosed array,") || message.starts_with("unclosed inline table")
}

/// Where the bracket stands that is still open at the next header, or at the end. The parser only tells the end.
fn open_bracket(text: &str) -> Option<usize> {
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let is_over = is_header(line) && !open.is_empty() && !line.contains(',');
        if is_over {
            break;
        }
        if !is_header(line) {
            track_brackets(line, at, &mut open);
        }
        at += line.len();
    }
    open.first().copied()
}

/// Follows brackets outside of strings and comments. A string over several lines hides nothing that matters here.
fn track_brackets(line: &str, line_start: usize, open: &mut Vec<usize>) {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(end), _) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => return,
            (None, '{' | '[') => open.push(line_start + at),
            (None, '}' | ']') => drop(open.pop()),
            _ => {}
        }
    }
}

/// The line around `at`, and where it begins.
fn line_of(text: &str, at: usize) -> (usize, &str) {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    (start, text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default())
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
    let (_, line) = line_of(text, range.start);
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
    let (line_start, line) = line_of(text, second);
    let before = text.get(..line_start)?;
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
