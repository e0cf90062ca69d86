//! What is to be run, as it lies there.

use std::path::{Path, PathBuf};

use towpath_config::{Diagnostic, Sources, Span, Unreadable, read_text, render};

use crate::frontmatter::{self, Script};

/// The name under which messages and panics know what came from standard input.
const STDIN: &str = "<stdin>";

/// A program in Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, or a folder with a `Cargo.toml`.
    Path(PathBuf),
    /// A text from standard input. Relative paths in it start at the current folder.
    Text(String),
}

/// A source that has been read.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// What the caller calls it.
    pub(crate) shown: PathBuf,
    /// The folder where relative paths start, absolute and without links.
    pub(crate) folder: PathBuf,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A single file with this name.
    Script {
        name: String,
        script: Script,
        /// The file as it stands.
        text: String,
    },
    /// A folder with this manifest.
    Folder { manifest: String },
}

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// Everything that is wrong with it, rendered.
    pub(crate) fn read(&self) -> Result<Program, String> {
        match self {
            Self::Text(text) => script(Path::new(STDIN), Path::new("stdin.rs"), text.clone()),
            Self::Path(path) if path.is_dir() => folder(path),
            Self::Path(path) => {
                let text = read_text(path).map_err(|fault| unreadable(path, fault))?;
                script(path, path, text)
            }
        }
    }

    /// What the caller calls it.
    pub(crate) fn shown(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Text(_) => Path::new(STDIN),
        }
    }
}

fn unreadable(path: &Path, fault: Unreadable) -> String {
    let mut sources = Sources::default();
    let span = match fault.text {
        Some((text, at)) => Span::new(sources.add(path, text.into()), at..at + 1),
        None => Span::whole(sources.add(path, "".into())),
    };
    Diagnostic::error(span, fault.why).render(&sources)
}

fn script(shown: &Path, path: &Path, text: String) -> Result<Program, String> {
    let mut sources = Sources::default();
    let file = sources.add(shown, text.strip_prefix('\u{feff}').unwrap_or(&text).into());
    let told = |fault: Diagnostic| fault.render(&sources);
    if let Some(at) = text.find('\0') {
        return Err(told(Diagnostic::error(
            Span::new(file, at..at + 1),
            "NUL byte: this is not a text file",
        )));
    }
    let whole = |why: String| told(Diagnostic::error(Span::whole(file), why));
    let folder = real_folder(path.parent().unwrap_or(Path::new(""))).map_err(whole)?;
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(name) = name else { return Err(whole("its name is not UTF-8".to_owned())) };
    let script = frontmatter::parse(file, &text).map_err(|faults| render(&faults, &sources))?;
    Ok(Program {
        shown: shown.to_owned(),
        folder,
        kind: Kind::Script { name: name.to_owned(), script, text },
    })
}

fn folder(path: &Path) -> Result<Program, String> {
    let file = path.join("Cargo.toml");
    if !file.exists() {
        let why = "this is a folder without a Cargo.toml".to_owned();
        return Err(unreadable(path, Unreadable { why, text: None }));
    }
    let manifest = read_text(&file).map_err(|fault| unreadable(&file, fault))?;
    let folder = real_folder(path).map_err(|why| unreadable(path, Unreadable { why, text: None }))?;
    Ok(Program { shown: path.to_owned(), folder, kind: Kind::Folder { manifest } })
}

fn real_folder(folder: &Path) -> Result<PathBuf, String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let folder = folder.canonicalize().map_err(|fault| format!("{}: {fault}", folder.display()))?;
    // The path goes into a manifest, which is text.
    match folder.to_str() {
        Some(_) => Ok(folder),
        None => Err("the path of its folder is not UTF-8".to_owned()),
    }
}

impl Program {
    /// A short name for process lists and files: that of the file without its ending, or of the folder.
    pub(crate) fn name(&self) -> String {
        let name = match &self.kind {
            Kind::Script { name, .. } => {
                Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned())
            }
            Kind::Folder { .. } => self.folder.file_name().map(|name| name.to_string_lossy().into_owned()),
        };
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| "app".to_owned())
    }
}
