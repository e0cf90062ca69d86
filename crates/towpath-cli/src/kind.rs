//! What kind of app a file is, by its ending or by what `--kind` says.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use towpath_control::Source;

use crate::args::Kind;

/// The kinds that exist, for messages.
const KINDS: &str =
    "this release runs .toml and .rs files and folders with a Cargo.toml; .js, .mjs and .wasm come later";

/// The name that means standard input.
const STDIN: &str = "-";

/// What can be run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum App {
    /// A gateway, by its configuration.
    Gateway(Source),
    /// A program in Rust.
    Program(towpath_run::Source),
}

/// What `file` is: a path, or all of standard input. What is neither is told what would have been right.
pub(crate) fn app(file: PathBuf, kind: Option<Kind>) -> Result<App, String> {
    let is_stdin = file == Path::new(STDIN);
    let kind = match kind {
        Some(Kind::Toml) if file.is_dir() => return Err(folder(&file)),
        Some(kind) => kind,
        None if is_stdin => {
            return Err(
                "standard input has no name that says what it is; add --kind toml or --kind rs".to_owned()
            );
        }
        None => by_name(&file)?,
    };
    Ok(match (kind, is_stdin) {
        (Kind::Toml, false) => App::Gateway(Source::File(file)),
        (Kind::Rs, false) => App::Program(towpath_run::Source::Path(file)),
        (Kind::Toml, true) => {
            App::Gateway(Source::Text { name: "stdin".to_owned(), text: read_to_end(io::stdin().lock())? })
        }
        (Kind::Rs, true) => App::Program(towpath_run::Source::Text(read_to_end(io::stdin().lock())?)),
    })
}

/// The configuration that `file` is, for what only a configuration can be asked.
pub(crate) fn configuration(file: PathBuf, kind: Option<Kind>) -> Result<Source, String> {
    match app(file, kind)? {
        App::Gateway(source) => Ok(source),
        App::Program(_) => {
            Err("this is a program; only the routes of a .toml file can be explained".to_owned())
        }
    }
}

/// Text up to the size a file may have.
fn read_to_end(input: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    let told = |why: String| format!("standard input: {why}");
    input
        .take(towpath_config::FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|fault| told(fault.to_string()))?;
    if bytes.len() as u64 > towpath_config::FILE_BYTES_MAX {
        return Err(told("is larger than 50 MB".to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| told("is not UTF-8, so it is no text".to_owned()))
}

/// What the ending of the name says.
fn by_name(file: &Path) -> Result<Kind, String> {
    let shown = file.display();
    if file.is_dir() {
        return if file.join("Cargo.toml").is_file() { Ok(Kind::Rs) } else { Err(folder(file)) };
    }
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => Ok(Kind::Toml),
        Some("rs") => Ok(Kind::Rs),
        Some("js" | "mjs" | "wasm") => Err(format!("{shown}: this kind is not in this release; {KINDS}")),
        Some(ending) => Err(format!("{shown}: nothing runs .{ending} files; {KINDS}")),
        None => Err(format!("{shown}: the ending of the name says what a file is; {KINDS}")),
    }
}

fn folder(file: &Path) -> String {
    format!("{}: this is a folder; {KINDS}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_or_without_end_is_refused() {
        assert_eq!(read_to_end(&b"a = 1"[..]), Ok("a = 1".to_owned()));
        assert!(read_to_end(&b"a = \xff"[..]).unwrap_err().contains("UTF-8"));
        assert!(read_to_end(io::repeat(b' ')).unwrap_err().contains("larger"));
    }

    #[test]
    fn the_ending_says_the_kind_and_every_other_ending_lists_the_kinds() {
        assert_eq!(by_name(Path::new("a/gateway.toml")), Ok(Kind::Toml));
        assert_eq!(by_name(Path::new("a/app.rs")), Ok(Kind::Rs));
        assert_eq!(by_name(Path::new(env!("CARGO_MANIFEST_DIR"))), Ok(Kind::Rs));
        for name in ["app.js", "app.mjs", "app.wasm", "app.conf", "app", "/"] {
            let message = by_name(Path::new(name)).unwrap_err();
            assert!(message.contains(KINDS), "{message}");
        }
    }
}
