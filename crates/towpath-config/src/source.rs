//! Where things stand: the files read, and values that remember their place in them.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A range of bytes in one of the files of a [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    file: u32,
    start: u32,
    end: u32,
}

/// A value and the place it was read from.
///
/// Two of them are equal, and hash alike, when their *values* are: an object whose lines merely moved is the same
/// object, so a reload keeps its sockets and pools.
#[derive(Clone)]
pub struct Spanned<T> {
    /// The value, with `${…}` resolved.
    pub value: T,
    /// Where it stands; [`Span::NONE`] when it was made in Rust.
    pub span: Span,
    /// The string as written. Shown in place of the value, so that what a `${…}` stands for stays where it is.
    pub(crate) written: Option<Box<str>>,
}

/// The files one configuration was read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

/// One file, as text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path as it was given, or made from the including file's.
    pub path: PathBuf,
    /// Its text without a byte-order mark.
    pub text: Arc<str>,
}

/// A place a person can go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Span {
    /// No place: the value was made in Rust.
    pub const NONE: Self = Self { file: u32::MAX, start: 0, end: 0 };

    /// A file as a whole, without a line.
    #[must_use]
    pub fn whole(file: usize) -> Self {
        Self { file: file as u32, start: u32::MAX, end: u32::MAX }
    }

    /// Bytes `range` of file `file`. Files are below 50 MB, so that 32 bits hold every offset.
    #[must_use]
    pub fn new(file: usize, range: Range<usize>) -> Self {
        Self { file: file as u32, start: range.start as u32, end: range.end as u32 }
    }

    /// Whether this is a place in a file.
    #[must_use]
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }

    pub(crate) fn file(self) -> usize {
        self.file as usize
    }

    pub(crate) fn has_line(self) -> bool {
        self.is_some() && self.start != u32::MAX
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl<T> Spanned<T> {
    /// A value that stands at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span, written: None }
    }
}

impl<T> From<T> for Spanned<T> {
    fn from(value: T) -> Self {
        Self::new(value, Span::NONE)
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: std::fmt::Display> std::fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: PartialOrd> PartialOrd for Spanned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Spanned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}

impl<T: Hash> Hash for Spanned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

/// So that a map of named objects is asked with a plain name.
impl Borrow<str> for Spanned<String> {
    fn borrow(&self) -> &str {
        &self.value
    }
}

impl Sources {
    /// Adds a file; its number goes into spans.
    pub fn add(&mut self, path: &Path, text: Arc<str>) -> usize {
        self.files.push(SourceFile { path: path.to_owned(), text });
        self.files.len() - 1
    }

    /// Every file read, the first one first.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The file in which `span` stands, if it stands in one.
    #[must_use]
    pub fn file(&self, span: Span) -> Option<&SourceFile> {
        self.files.get(span.file())
    }

    /// `path:line:column` of `span`, or the path alone; empty for a value made in Rust.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        let Some(file) = self.file(span) else { return String::new() };
        match self.position(span) {
            Some(at) => format!("{}:{}:{}", file.path.display(), at.line, at.column),
            None => file.path.display().to_string(),
        }
    }

    /// Line and column of the first byte of `span`.
    #[must_use]
    pub fn position(&self, span: Span) -> Option<Position> {
        let file = self.file(span).filter(|_| span.has_line())?;
        let before = &file.text[..floor_boundary(&file.text, span.range().start)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Some(Position { line, column: before[line_start..].chars().count() + 1 })
    }

    /// The line in which `span` begins, without its end, and the part of `span` that lies in it, as bytes of the line.
    pub(crate) fn line(&self, span: Span) -> Option<(&str, Range<usize>)> {
        let text = self.file(span).filter(|_| span.has_line())?.text.as_ref();
        let start = floor_boundary(text, span.range().start);
        let end = floor_boundary(text, span.range().end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let within = |at: usize| (at - line_start).min(line.len());
        Some((line, within(start)..within(end)))
    }
}

/// The last character boundary at or before `at`, so that no span can split a character.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add(Path::new("a.toml"), text.into());
        sources
    }

    #[test]
    fn positions_count_characters_and_lines_from_one() {
        let sources = sources("a = 1\r\nü = \"x\"\n");
        let at = "a = 1\r\nü = ".len();
        assert_eq!(sources.place(Span::new(0, at..at + 3)), "a.toml:2:5");
        assert_eq!(sources.line(Span::new(0, 0..1)), Some(("a = 1", 0..1)));
    }

    #[test]
    fn a_span_outside_the_text_points_at_its_end() {
        assert_eq!(sources("ab").place(Span::new(0, 90..95)), "a.toml:1:3");
        assert_eq!(sources("ü").line(Span::new(0, 1..2)), Some(("ü", 0..2)));
    }

    #[test]
    fn equality_ignores_places() {
        let here = Spanned::new(5, Span::new(0, 1..2));
        assert_eq!(here, Spanned::from(5));
    }
}
