//! What kind of file a path leads to, its text, and the files a pattern stands for.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::FILE_BYTES_MAX;

/// Why a file has no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The reason, without the file's name.
    pub why: String,
    /// The text as far as it goes and the place in it, when a place is to blame.
    pub text: Option<(String, usize)>,
}

impl From<String> for Unreadable {
    fn from(why: String) -> Self {
        Self { why, text: None }
    }
}

/// The text of the file at `path`, whatever stands in it.
///
/// # Errors
/// It is missing, may not be read, is no file, is larger than [`FILE_BYTES_MAX`], or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Unreadable> {
    // Asked before opening: to open a FIFO is to wait for its writer.
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    let kind = metadata.file_type();
    let why = match () {
        () if kind.is_file() && metadata.len() > FILE_BYTES_MAX => Some("is larger than 50 MB"),
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("is a folder, not a file"),
        () if kind.is_fifo() => Some("is a FIFO, not a file"),
        () if kind.is_socket() => Some("is a socket, not a file"),
        () => Some("is a device, not a file"),
    };
    if let Some(why) = why {
        return Err(why.to_owned().into());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err("is larger than 50 MB".to_owned().into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        Unreadable {
            why: "not UTF-8 from here on: this is not a text file".to_owned(),
            text: Some((text, at)),
        }
    })
}

fn unreadable(error: &std::io::Error) -> Unreadable {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned().into(),
        std::io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned().into(),
        _ => error.to_string().into(),
    }
}

/// The folder relative paths start at, absolute.
pub(super) fn folder(path: &Path) -> PathBuf {
    let parent = path.parent().unwrap_or(Path::new(""));
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    match std::path::absolute(parent) {
        Ok(folder) => folder,
        // The current folder is gone; relative is the best that is left, and opening anything will say so.
        Err(_) => parent.to_owned(),
    }
}

/// One name for a file, whatever way leads to it.
pub(super) fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The files a pattern stands for, in the order of their names.
pub(super) fn matching_files(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = folder.join(pattern);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new("")).to_owned();
    if parent.to_string_lossy().contains('*') {
        return Err("* may stand in the file's name only".to_owned());
    }
    if !name.contains('*') {
        return Ok(vec![path]);
    }
    let listed = if parent.as_os_str().is_empty() { Path::new(".") } else { &parent };
    let entries = match std::fs::read_dir(listed) {
        Ok(entries) => entries,
        Err(error) => return Err(unreadable(&error).why),
    };
    let mut files: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name())
        .filter(|entry| matches_pattern(&name, &entry.to_string_lossy()))
        .map(|entry| parent.join(entry))
        .collect();
    files.sort();
    Ok(files)
}

/// Whether `*` in the pattern can stand for what the name has there. Hidden files are for editors, not for us.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_file_names() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".a.toml", false),
            ("*.toml", "a.toml~", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }
}
