//! What kind of app a file is, by its ending.

use std::path::Path;

/// The kinds that exist, for messages.
const KINDS: &str = "this release runs .toml files; .rs, .js, .mjs and .wasm come later";

/// Lets a `.toml` file pass; anything else is told what would have been right.
pub(crate) fn expect_toml(file: &Path) -> Result<(), String> {
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
        None if file == Path::new("-") => Err(format!("standard input is not in this release; {KINDS}")),
        None => Err(format!("{shown}: the ending of the name says what a file is; {KINDS}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_toml_runs_and_every_other_ending_lists_the_kinds() {
        assert_eq!(expect_toml(Path::new("a/gateway.toml")), Ok(()));
        for name in ["app.rs", "app.js", "app.mjs", "app.wasm", "app.conf", "app", "-", "."] {
            let message = expect_toml(Path::new(name)).unwrap_err();
            assert!(message.contains(KINDS), "{message}");
        }
    }
}
