//! The commands that need no file write one themselves, so that there is one way to start.

use std::path::Path;

/// The file of `towpath proxy`.
pub(crate) fn proxy_file(from: &str, to: &str) -> String {
    format!(
        "[listener.proxy]\nbind = {}\n\n[route.all]\nmatch = {{ path = \"/*\" }}\nupstream = \"origin\"\n\n\
         [upstream.origin]\nendpoints = [{}]\n",
        quote(from),
        quote(to)
    )
}

/// The file of `towpath serve`.
pub(crate) fn serve_file(folder: &Path, bind: &str) -> Result<String, String> {
    let root = std::path::absolute(folder).map_err(|fault| format!("{}: {fault}", folder.display()))?;
    if !root.is_dir() {
        return Err(format!("{}: this is not a folder", folder.display()));
    }
    let Some(root) = root.to_str() else {
        return Err(format!("{}: the folder's name must be UTF-8", folder.display()));
    };
    Ok(format!(
        "[listener.files]\nbind = {}\n\n[route.files]\nmatch = {{ path = \"/*\" }}\nfiles = {{ root = {} }}\n",
        quote(bind),
        quote(root)
    ))
}

/// A TOML basic string that means `text` and nothing else: what the format and `${…}` would read is escaped.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for (at, char) in text.char_indices() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '$' if text[at..].starts_with("${") => out.push_str("$$"),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_folder_is_called_it_stays_one_string() {
        assert_eq!(quote("plain"), "\"plain\"");
        assert_eq!(quote("a\"b\\c\nd"), "\"a\\\"b\\\\c\\u000Ad\"");
        assert_eq!(quote("${HOME}$x"), "\"$${HOME}$x\"");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let message = serve_file(Path::new("no-such-folder"), "127.0.0.1:0").unwrap_err();
        assert_eq!(message, "no-such-folder: this is not a folder");
    }
}
