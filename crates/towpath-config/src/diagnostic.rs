//! What is wrong with a file, and how it is told: place, fault, the line itself, a caret, a hint.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Value as Json, json};

use crate::source::{Sources, Span};

/// More faults than this are counted, not shown: nobody reads further before mending the first.
pub const FAULTS_SHOWN_MAX: usize = 20;

/// Characters of a source line that are shown, so that a file of one endless line stays readable.
const LINE_CHARS_MAX: usize = 160;

/// One fault of a configuration.
///
/// ```
/// # use towpath_config::{Diagnostic, Span};
/// let fault = Diagnostic::error(Span::NONE, "route \"shop\" names no upstream").hint("add upstream = \"…\"");
/// assert!(fault.is_error());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Diagnostic {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// Where the caret goes.
    pub span: Span,
    /// What was found, in one line.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// Other places that belong to the fault, each with a word on why.
    pub also: Vec<(Span, String)>,
    /// The table concerned, as `upstream.users.pool`; empty when none is.
    pub table: String,
    /// Whether it says that something is absent, and may therefore be the mere consequence of another fault.
    pub(crate) is_missing: bool,
}

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file works, though hardly as meant.
    Warning,
}

impl Diagnostic {
    /// A fault for which the file is refused.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span,
            message: message.into(),
            hint: None,
            also: Vec::new(),
            table: String::new(),
            is_missing: false,
        }
    }

    /// A doubt that does not stop the file.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// Adds what would be right.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds another place, and what is there: `"first defined here"`.
    pub fn also(mut self, span: Span, note: impl Into<String>) -> Self {
        self.also.push((span, note.into()));
        self
    }

    /// Names the table concerned, as `upstream.users.pool`.
    pub fn within(self, table: impl Into<String>) -> Self {
        Self { table: table.into(), ..self }
    }

    /// Whether the file is refused for it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The fault as people read it, ending in a line end:
    ///
    /// ```text
    /// file.toml:12:5: unknown key "max_conections" in [upstream.users.pool]
    ///     max_conections = 50
    ///     ^^^^^^^^^^^^^^
    /// hint: did you mean "max_connections"?
    /// ```
    #[must_use]
    pub fn render(&self, sources: &Sources) -> String {
        let mut out = String::new();
        let warning = if self.is_error() { "" } else { "warning: " };
        render_place(&mut out, sources, self.span, &format!("{warning}{}", self.message));
        for (span, note) in &self.also {
            render_place(&mut out, sources, *span, note);
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "hint: {}", printable(hint));
        }
        out
    }

    /// The fault for the admin API.
    #[must_use]
    pub fn to_json(&self, sources: &Sources) -> Json {
        json!({
            "severity": if self.is_error() { "error" } else { "warning" },
            "place": place_json(sources, self.span),
            "table": self.table,
            "message": self.message,
            "hint": self.hint,
            "also": self.also.iter()
                .map(|(span, note)| json!({ "place": place_json(sources, *span), "note": note }))
                .collect::<Vec<_>>(),
        })
    }
}

/// All faults, in the order of the files, at most [`FAULTS_SHOWN_MAX`] of them and then how many more there are.
#[must_use]
pub fn render(faults: &[Diagnostic], sources: &Sources) -> String {
    let mut out = String::new();
    for fault in faults.iter().take(FAULTS_SHOWN_MAX) {
        out.push_str(&fault.render(sources));
    }
    if faults.len() > FAULTS_SHOWN_MAX {
        let _ = writeln!(out, "… and {} more", faults.len() - FAULTS_SHOWN_MAX);
    }
    out
}

/// Orders faults by where they stand, and errors before warnings at one place.
pub fn sort(faults: &mut [Diagnostic]) {
    faults.sort_by_key(|fault| (fault.span, !fault.is_error()));
}

fn place_json(sources: &Sources, span: Span) -> Json {
    let Some(file) = sources.file(span) else { return Json::Null };
    let at = sources.position(span);
    json!({
        "file": file.path.display().to_string(),
        "line": at.map(|at| at.line),
        "column": at.map(|at| at.column),
    })
}

fn render_place(out: &mut String, sources: &Sources, span: Span, message: &str) {
    let place = sources.place(span);
    let separator = if place.is_empty() { "" } else { ": " };
    let _ = writeln!(out, "{}{separator}{}", printable(&place), printable(message));
    if let Some((line, marked)) = sources.line(span) {
        render_line(out, line, marked);
    }
}

/// The line and under it the carets. Tabs stay tabs in both, so that they line up whatever their width.
fn render_line(out: &mut String, line: &str, marked: Range<usize>) {
    let before = line[..marked.start].chars().count();
    let carets = line[marked].chars().count().max(1);
    let is_long = line.chars().count() > LINE_CHARS_MAX;
    let first = if is_long { before.saturating_sub(LINE_CHARS_MAX / 2) } else { 0 };
    let shown: String = line.chars().skip(first).take(LINE_CHARS_MAX).collect();
    let lead = if first > 0 { "…" } else { "" };
    let tail = if line.chars().count() > first + LINE_CHARS_MAX { "…" } else { "" };
    let _ = writeln!(out, "    {lead}{}{tail}", printable(&shown));

    let blank: String = lead
        .chars()
        .map(|_| ' ')
        .chain(shown.chars().take(before - first).map(|c| if c == '\t' { c } else { ' ' }))
        .collect();
    let carets = carets.min(LINE_CHARS_MAX - (before - first).min(LINE_CHARS_MAX - 1));
    let _ = writeln!(out, "    {blank}{}", "^".repeat(carets));
}

/// Text from a file, without the control characters that could command a terminal (T59).
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn check(text: &str, range: Range<usize>, expected: &str) {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("f.toml"), text.into());
        let fault = Diagnostic::error(Span::new(file, range), "no").hint("yes");
        assert_eq!(fault.render(&sources), expected);
    }

    #[test]
    fn the_caret_stands_under_the_range() {
        check("a = 1\n\tbb = 2\r\n", 7..9, "f.toml:2:2: no\n    \tbb = 2\n    \t^^\nhint: yes\n");
        check("a", 1..1, "f.toml:1:2: no\n    a\n     ^\nhint: yes\n");
    }

    #[test]
    fn control_characters_never_reach_the_terminal_t59() {
        check("a = \u{1b}[2J", 4..5, "f.toml:1:5: no\n    a = \u{fffd}[2J\n        ^\nhint: yes\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = "x".repeat(1000);
        let mut sources = Sources::default();
        let file = sources.add(Path::new("f.toml"), line.into());
        let shown = Diagnostic::error(Span::new(file, 500..900), "no").render(&sources);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[1].chars().count(), 4 + 1 + LINE_CHARS_MAX + 1);
        assert_eq!(lines[2].chars().count(), 4 + 1 + LINE_CHARS_MAX);
    }

    #[test]
    fn only_the_first_faults_are_shown() {
        let faults: Vec<_> = (0..25).map(|_| Diagnostic::error(Span::NONE, "no")).collect();
        let shown = render(&faults, &Sources::default());
        assert_eq!(shown.lines().count(), FAULTS_SHOWN_MAX + 1);
        assert!(shown.ends_with("… and 5 more\n"));
    }
}
