//! Writing files that others may be reading, and some that nobody else may.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Fault, failed};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Its owner.
    Secret,
    /// Everyone, as far as the umask lets them.
    Public,
}

impl Secrecy {
    fn mode(self) -> u32 {
        match self {
            Self::Secret => 0o600,
            Self::Public => 0o644,
        }
    }
}

/// Whether something has this name, be it a link to nowhere.
pub(super) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Writes a file that is there as a whole or not at all. A file of that name is replaced only if `may_replace`.
pub(super) fn write(path: &Path, text: &str, secrecy: Secrecy, may_replace: bool) -> Result<(), Fault> {
    let written = match may_replace {
        false => create(path, text, secrecy),
        true => replace(path, text, secrecy),
    };
    written.map_err(|fault| match fault.kind() {
        io::ErrorKind::AlreadyExists => failed(path, "is there; --force replaces it"),
        _ => failed(path, fault),
    })
}

fn create(path: &Path, text: &str, secrecy: Secrecy) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(secrecy.mode()).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

/// By another name first: a gateway that watches the file never sees a half, and the new one has the mode of a new one.
fn replace(path: &Path, text: &str, secrecy: Secrecy) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new: PathBuf = path.with_file_name(name);
    match fs::remove_file(&new) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        _ => create(&new, text, secrecy)?,
    }
    fs::rename(&new, path).inspect_err(|_| drop(fs::remove_file(&new)))
}
