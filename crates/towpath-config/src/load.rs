//! From a path or a text to [`Options`]: what kind of file it is, its TOML, what it includes.

mod files;
mod syntax;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

pub use self::files::{Unreadable, read_text};
use self::files::{folder, identity, matching_files};
pub use self::syntax::syntax_faults;
use crate::diagnostic::{self, Diagnostic};
use crate::options::Options;
use crate::reader::{Environment, Node, Reader};
use crate::source::{Sources, Span, Spanned};
use crate::value::{Table as _, Value as _};

/// No configuration is larger; a larger file is another file. It also keeps every offset within 32 bits.
pub const FILE_BYTES_MAX: u64 = 50_000_000;

/// More included files than this are a mistaken pattern.
const FILES_MAX: usize = 1_000;

/// Everything a file says and everything wrong with it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Parsed {
    /// What could be read. Keys with a fault are absent, objects with a fault are there, so that further checks find
    /// the names they look for.
    pub options: Options,
    /// The files, for rendering places and for watching.
    pub sources: Sources,
    /// Every fault, those of [`Options::check`] included, in the order of the files.
    pub faults: Vec<Diagnostic>,
    /// The files named by `${file:…}`, absolute, for watching.
    pub secret_files: Vec<PathBuf>,
}

impl Parsed {
    /// Whether the file must be refused; warnings do not count.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.faults.iter().any(Diagnostic::is_error)
    }

    /// All faults as people read them.
    #[must_use]
    pub fn render(&self) -> String {
        diagnostic::render(&self.faults, &self.sources)
    }
}

/// Reads the file at `path` and everything it includes.
///
/// What keeps the file from being read at all (missing, a folder, a device, too large, not text) is a fault like any
/// other, without a line.
pub fn load(path: &Path, environment: Environment<'_>) -> Parsed {
    let mut loader = Loader::new(environment);
    let options = loader.file(path, None).unwrap_or_default();
    loader.finish(options)
}

/// Reads `text` as the content of `path`, which need not exist but tells where relative paths start.
pub fn parse(text: &str, path: &Path, environment: Environment<'_>) -> Parsed {
    let mut loader = Loader::new(environment);
    loader.opened.push((identity(path), Span::NONE));
    let options = loader.text(path, text);
    loader.finish(options)
}

/// Gathers files and faults.
struct Loader<'a> {
    environment: Environment<'a>,
    sources: Sources,
    faults: Vec<Diagnostic>,
    secret_files: Vec<PathBuf>,
    /// Files read so far, and where each was included.
    opened: Vec<(PathBuf, Span)>,
    has_syntax_faults: bool,
}

impl<'a> Loader<'a> {
    fn new(environment: Environment<'a>) -> Self {
        Self {
            environment,
            sources: Sources::default(),
            faults: Vec::new(),
            secret_files: Vec::new(),
            opened: Vec::new(),
            has_syntax_faults: false,
        }
    }

    fn finish(mut self, options: Options) -> Parsed {
        // With broken TOML, what seems absent may only be unreadable.
        if !self.has_syntax_faults {
            let refused: Vec<_> = self.faults.iter().map(|fault| fault.table.clone()).collect();
            let is_consequence = |fault: &Diagnostic| {
                fault.is_missing && refused.iter().any(|table| is_within(table, &fault.table))
            };
            self.faults.extend(options.check().into_iter().filter(|fault| !is_consequence(fault)));
        }
        diagnostic::sort(&mut self.faults);
        Parsed { options, sources: self.sources, faults: self.faults, secret_files: self.secret_files }
    }

    /// Reads one file, included at `from` or named by the user.
    fn file(&mut self, path: &Path, from: Option<Span>) -> Option<Options> {
        self.opened.push((identity(path), from.unwrap_or(Span::NONE)));
        match read_text(path) {
            Ok(text) => Some(self.text(path, &text)),
            Err(Unreadable { why, text }) => {
                let at = text.map(|(text, at)| Span::new(self.sources.add(path, text.into()), at..at + 1));
                let span = at.or(from).unwrap_or_else(|| Span::whole(self.sources.add(path, "".into())));
                let named =
                    if from.is_some() && at.is_none() { format!("{}: {why}", path.display()) } else { why };
                self.faults.push(Diagnostic::error(span, named));
                None
            }
        }
    }

    /// Reads the text of one file and then what it includes.
    fn text(&mut self, path: &Path, text: &str) -> Options {
        let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(text).into();
        let file = self.sources.add(path, Arc::clone(&text));
        if let Some(at) = text.find('\0') {
            self.faults
                .push(Diagnostic::error(Span::new(file, at..at + 1), "NUL byte: this is not a text file"));
            self.has_syntax_faults = true;
            return Options::default();
        }
        let mut options = self.tree(file, path, &text);
        for pattern in options.include.take().map(|list| list.value).unwrap_or_default() {
            self.include(path, &pattern, &mut options);
        }
        options
    }

    fn tree(&mut self, file: usize, path: &Path, text: &str) -> Options {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let (broken, guessed_from) = syntax_faults(file, text, &errors);
        let folder = folder(path);
        let mut reader = Reader::new(file, text, &folder, self.environment);
        let options = read_options(tree, &mut reader).unwrap_or_default();
        let (faults, secret_files) = reader.finish();

        // A line that is not TOML was only guessed at; what the guess leads to is no help.
        let line_start = |fault: &Diagnostic| {
            text.get(..fault.span.range().start).map(|before| before.rfind('\n').map_or(0, |at| at + 1))
        };
        let broken_lines: HashSet<_> = broken.iter().map(line_start).collect();
        let is_guess = |fault: &Diagnostic| {
            broken_lines.contains(&line_start(fault))
                || guessed_from.is_some_and(|from| fault.span.range().start > from)
        };
        self.faults.extend(faults.into_iter().filter(|fault| !is_guess(fault)));
        self.has_syntax_faults |= !broken.is_empty();
        self.faults.extend(broken);
        self.secret_files.extend(secret_files);
        options
    }

    fn include(&mut self, including: &Path, pattern: &Spanned<String>, options: &mut Options) {
        let paths = match matching_files(including.parent().unwrap_or(Path::new("")), pattern) {
            Ok(paths) => paths,
            Err(why) => {
                self.faults.push(Diagnostic::error(pattern.span, format!("include \"{pattern}\": {why}")));
                return;
            }
        };
        for path in paths {
            let known = self.opened.iter().find(|(opened, _)| *opened == identity(&path));
            if let Some((_, first)) = known {
                let fault = Diagnostic::error(pattern.span, format!("{} is included again", path.display()));
                self.faults.push(if first.is_some() {
                    fault.also(*first, "first included here").hint("take one of the two out")
                } else {
                    fault
                        .hint("it is the file that everything starts with; an include cannot lead back to it")
                });
            } else if self.opened.len() >= FILES_MAX {
                let message = format!("more than {FILES_MAX} files; \"{pattern}\" is too wide");
                self.faults.push(Diagnostic::error(pattern.span, message));
                return;
            } else if let Some(included) = self.file(&path, Some(pattern.span)) {
                options.absorb(included, &mut self.faults);
            }
        }
    }
}

fn read_options(tree: TomlSpanned<DeTable<'_>>, reader: &mut Reader<'_>) -> Option<Options> {
    let root = DeValue::Table(tree.into_inner());
    Options::read(Node { key: "", key_span: Span::NONE, value: &root, span: Span::NONE }, reader)
}

/// Whether `table` is `around` or stands within it.
fn is_within(table: &str, around: &str) -> bool {
    table.strip_prefix(around).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
