//! What kind of app a file is, by its ending or by what `--kind` says.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use towpath_control::Source;

use crate::args::Kind;

/// The kinds that exist, for messages.
const KINDS: &str = "this release runs .toml files; .rs, .js, .mjs and .wasm come later";

/// The name that means standard input.
const STDIN: &str = "-";

/// Where the configuration comes from: a file, or all of standard input. What is neither is told what would have been
/// right.
pub(crate) fn source(file: PathBuf, kind: Option<Kind>) -> Result<Source, String> {
    match (file == Path::new(STDIN), kind) {
        (true, Some(Kind::Toml)) => {
            read_to_end(io::stdin().lock()).map(|text| Source::Text { name: "stdin".to_owned(), text })
        }
        (true, None) => Err("standard input has no name that says what it is; add --kind toml".to_owned()),
        (false, Some(Kind::Toml)) => Ok(Source::File(file)),
        (false, None) => expect_toml(&file).map(|()| Source::File(file)),
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

/// Lets a `.toml` file pass; anything else is told what would have been right.
fn expect_toml(file: &Path) -> Result<(), String> {
    let shown = file.display();
    if file.is_dir() {
        let is_crate = file.join("Cargo.toml").is_file();
        let what = if is_crate { "running a crate is not in this release" } else { "this is a folder" };
        return Err(format!("{shown}: {what}; {KINDS}"));
    }
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => Ok(()),
        Some("rs" | "js" | "mjs" | "wasm") => {
            Err(format!("{shown}: this kind is not in this release; {KINDS}"))
        }
        Some(ending) => Err(format!("{shown}: nothing runs .{ending} files; {KINDS}")),
        None => Err(format!("{shown}: the ending of the name says what a file is; {KINDS}")),
    }
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
    fn only_toml_runs_and_every_other_ending_lists_the_kinds() {
        assert_eq!(expect_toml(Path::new("a/gateway.toml")), Ok(()));
        for name in ["app.rs", "app.js", "app.mjs", "app.wasm", "app.conf", "app", "."] {
            let message = expect_toml(Path::new(name)).unwrap_err();
            assert!(message.contains(KINDS), "{message}");
        }
    }
}
