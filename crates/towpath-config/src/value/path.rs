//! Paths, which start at the folder of the file they stand in, and secrets, which are never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::value::{Reject, Text};

/// A path in the file system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilePath {
    /// As in the file.
    pub written: String,
    /// Absolute; relative paths start at the folder of the file they stand in.
    pub resolved: PathBuf,
}

/// A text that appears in no output of Towpath.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one comparison it is there for. Compare in constant time (T52).
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Text for FilePath {
    const WHAT: &'static str = "a path";
    const EXAMPLE: &'static str = "public";

    fn parse(text: &str, folder: &Path) -> Result<Self, Reject> {
        if text.is_empty() || text.contains('\0') {
            return Err(Reject::hint("write a path, absolute or relative to this file"));
        }
        Ok(Self { written: text.to_owned(), resolved: folder.join(text) })
    }

    fn to_text(&self) -> String {
        self.written.clone()
    }
}

impl Text for Secret {
    const WHAT: &'static str = "a secret";
    const EXAMPLE: &'static str = "${file:/run/secrets/admin}";
    const HIDDEN: bool = true;

    fn parse(text: &str, _folder: &Path) -> Result<Self, Reject> {
        if text.is_empty() {
            return Err(Reject::message(
                "is empty",
                "write \"${file:/run/secrets/admin}\", or leave the key out",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn to_text(&self) -> String {
        "(hidden)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_at_the_files_folder() {
        let path = |text| FilePath::parse(text, Path::new("/etc/towpath")).map(|path| path.resolved).ok();
        assert_eq!(path("site.crt"), Some(PathBuf::from("/etc/towpath/site.crt")));
        assert_eq!(path("/srv/www"), Some(PathBuf::from("/srv/www")));
        assert_eq!(path(""), None);
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "Secret(hidden)");
        assert_eq!(Secret::from("hunter2").to_text(), "(hidden)");
    }
}
