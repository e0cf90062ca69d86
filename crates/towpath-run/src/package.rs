//! The package that cargo sees: a folder in the cache that looks like the folder of the program.
//!
//! ```text
//!   packages/KEY/Cargo.toml            made; for a single file only
//!   packages/KEY/Cargo.lock            of an earlier build of the same manifest
//!   packages/KEY/at/home/u/app.rs      the copy, its head blanked
//!   packages/KEY/at/home/u/x.rs   ->   /home/u/x.rs
//!   packages/KEY/at/home/y        ->   /home/y
//! ```
//!
//! So `mod x;`, `include_str!("../y/z.txt")`, members of a workspace above and paths of dependencies lead where they led
//! from the original, and whatever cargo writes, such as `Cargo.lock`, it writes into the cache.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use crate::key::Key;
use crate::manifest::{Kit, manifest};
use crate::source::{Kind, Program};

/// The folder that stands for `/`.
const ROOT: &str = "at";

/// A folder *above* the program with more entries than this is not mirrored: it holds other things than a program.
const ENTRIES_MAX: usize = 10_000;

const LOCK: &str = "Cargo.lock";

/// A package that is ready for cargo.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its folder in the cache.
    pub(crate) folder: PathBuf,
    /// The manifest cargo is given.
    pub(crate) manifest: PathBuf,
    /// The copy of a single file, as the compiler is given it; `None` for a folder.
    pub(crate) source: Option<PathBuf>,
    /// What the compiler calls a place, and what messages and panics shall call it.
    pub(crate) names: Vec<(String, String)>,
}

impl Package {
    /// The same program at the same place has the same package, so that an edit is built on what was built before.
    pub(crate) fn id(program: &Program) -> String {
        let name = match &program.kind {
            Kind::Script { name, .. } => name,
            Kind::Folder { .. } => "",
        };
        Key::new().with("folder", program.folder.as_os_str().as_encoded_bytes()).with("name", name).finish()
    }

    /// Makes it in `folder`, or brings it up to date. `lock` is the lock file to start from.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub(crate) fn make(
        folder: PathBuf,
        program: &Program,
        kit: &Kit,
        lock: Option<&[u8]>,
    ) -> io::Result<Self> {
        let root = folder.join(ROOT);
        match &program.kind {
            Kind::Script { name, script, .. } => {
                let mirrored = mirror(&root, &program.folder, Some(name.as_ref()), false)?;
                write_changed(&mirrored.join(name), script.code.as_bytes())?;
                let place = mirrored.strip_prefix(&folder).unwrap_or(&mirrored).display().to_string();
                let text = manifest(&script.manifest, &program.folder, &format!("{place}/{name}"), kit);
                write_changed(&folder.join("Cargo.toml"), text.as_bytes())?;
                if let Some(lock) = lock {
                    write_changed(&folder.join(LOCK), lock)?;
                }
                let names = names(&place, name, &program.shown);
                let source = Some(Path::new(&place).join(name));
                Ok(Self { manifest: folder.join("Cargo.toml"), folder, source, names })
            }
            Kind::Folder { .. } => {
                let mirrored = mirror(&root, &program.folder, None, true)?;
                Ok(Self { manifest: mirrored.join("Cargo.toml"), folder, source: None, names: Vec::new() })
            }
        }
    }

    /// The file of the user for a path that cargo or the compiler named.
    pub(crate) fn original(&self, path: &Path) -> PathBuf {
        let absolute = self.folder.join(path);
        match absolute.strip_prefix(self.folder.join(ROOT)) {
            Ok(rest) => Path::new("/").join(rest),
            Err(_) => absolute,
        }
    }

    /// The lock file that cargo has left, for a single file.
    pub(crate) fn lock(&self) -> io::Result<Vec<u8>> {
        fs::read(self.folder.join(LOCK))
    }
}

/// What the compiler calls the file and its folder, and what it shall call them. The last that fits is taken.
fn names(place: &str, name: &str, shown: &Path) -> Vec<(String, String)> {
    if shown.file_name() == Some(OsStr::new(name)) {
        let folder = shown.parent().unwrap_or(Path::new(""));
        return vec![(place.to_owned(), folder.display().to_string())];
    }
    // Standard input lies in the current folder, under a name that no file has.
    vec![(place.to_owned(), String::new()), (format!("{place}/{name}"), shown.display().to_string())]
}

/// Makes `root` look like `/` around `folder`; what `folder` has become. `copied` is left out of it.
fn mirror(root: &Path, folder: &Path, copied: Option<&OsStr>, has_locks: bool) -> io::Result<PathBuf> {
    let mut original = PathBuf::from("/");
    let mut mirrored = root.to_path_buf();
    let names: Vec<&OsStr> = folder
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    for at in 0..=names.len() {
        let next = names.get(at).copied();
        link_entries(&original, &mirrored, next.or(copied), has_locks, next.is_some())?;
        if let Some(name) = next {
            original.push(name);
            mirrored.push(name);
        }
    }
    Ok(mirrored)
}

/// Makes `mirrored` a folder with a link to each entry of `original` but `except`.
fn link_entries(
    original: &Path,
    mirrored: &Path,
    except: Option<&OsStr>,
    has_locks: bool,
    is_above: bool,
) -> io::Result<()> {
    if fs::symlink_metadata(mirrored).is_ok_and(|found| !found.is_dir()) {
        fs::remove_file(mirrored)?;
    }
    fs::create_dir_all(mirrored)?;
    // A folder above that may be entered and not listed hides its other entries from the program, as from its author.
    let entries = fs::read_dir(original).into_iter().flatten().flatten();
    let mut names: BTreeSet<_> = entries.map(|entry| entry.file_name()).collect();
    if is_above && names.len() > ENTRIES_MAX {
        names.clear();
    }
    if has_locks && names.contains(OsStr::new(LOCK)) {
        write_changed(&mirrored.join(LOCK), &fs::read(original.join(LOCK))?)?;
    }
    names.retain(|name| Some(name.as_os_str()) != except && name != LOCK);
    for old in fs::read_dir(mirrored)?.flatten() {
        let name = old.file_name();
        let is_link = old.file_type().is_ok_and(|kind| kind.is_symlink());
        if is_link && !names.contains(&name) {
            fs::remove_file(old.path())?;
        } else if is_link || names.contains(&name) {
            let is_right = fs::read_link(old.path()).is_ok_and(|target| target == original.join(&name));
            match (is_right, is_link) {
                (true, _) => drop(names.remove(&name)),
                (false, true) => fs::remove_file(old.path())?,
                // It was the folder of another file before.
                (false, false) if old.path().is_dir() => fs::remove_dir_all(old.path())?,
                (false, false) => fs::remove_file(old.path())?,
            }
        }
    }
    for name in names {
        symlink(original.join(&name), mirrored.join(&name))?;
    }
    Ok(())
}

/// Writes only what is new: cargo looks at times.
fn write_changed(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        // A write would go through the link into the user's folder.
        fs::remove_file(path)?;
    }
    match fs::read(path) {
        Ok(found) if found == content => Ok(()),
        _ => fs::write(path, content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_path_as_it_was_given() {
        for (shown, expected) in [("a.rs", ""), ("x/a.rs", "x"), ("/home/u/a.rs", "/home/u")] {
            let told = names("at/home/u", "a.rs", Path::new(shown));
            assert_eq!(told, [("at/home/u".to_owned(), expected.to_owned())], "{shown}");
        }
        let told = names("at/home/u", "a.rs", Path::new("<stdin>"));
        assert_eq!(told[1], ("at/home/u/a.rs".to_owned(), "<stdin>".to_owned()));
    }
}
