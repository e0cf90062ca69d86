//! The folder of what was built, and who may use it.
//!
//! ```text
//!   programs/KEY/       a program that can be started, and `about`, whose time is that of its last run
//!   inputs/KEY          the files that a source was built from, beside itself; their content is part of the next key
//!   locks/KEY           the lock file of a manifest
//!   packages/ID/        what cargo is given
//!   target/             what cargo makes, shared by all
//!   toolchains/KEY      what `rustc -vV` said
//!   build.lock          held by the one run that builds
//! ```
//!
//! A program's key is the digest of everything that decides what it is: source, manifest, lock file, the other files it
//! was built from, towpath's version, compiler, flags. Neither path nor time is in it.

use std::env;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::process::geteuid;
use serde_json::json;
use towpath_control::Console;

/// What the cache may hold unless `TOWPATH_CACHE_MAX` says otherwise: a few hundred programs and their libraries.
const BYTES_MAX: u64 = 5_000_000_000;

/// Small files and packages kept beside programs. More than anybody works on at once; each can be made again.
const ENTRIES_MAX: usize = 1_000;

/// The cache, or a private folder in its place.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// A program that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The executable.
    pub(crate) path: PathBuf,
    /// The source as it was called when it was built.
    pub(crate) source: String,
    /// When it was last started.
    pub(crate) used: SystemTime,
    /// What it takes.
    pub(crate) bytes: u64,
    folder: PathBuf,
}

impl Cache {
    /// Where the cache is by the environment; `None` without a home.
    pub(crate) fn place() -> Option<PathBuf> {
        let chosen = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let base = chosen.or_else(|| {
            Some(PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(".cache"))
        });
        Some(base?.join("towpath").join("run"))
    }

    /// The cache, if nobody else can put programs into it. It need not be writable.
    pub(crate) fn readable() -> Result<Self, String> {
        let root = Self::place().ok_or("there is neither XDG_CACHE_HOME nor HOME")?;
        let made = make_folder(&root);
        if root.exists() { Ok(()) } else { made }.map_err(|fault| format!("{}: {fault}", root.display()))?;
        trusted(&root)?;
        Ok(Self { root })
    }

    /// A cache to build in: the one of this account, else a private temporary folder, with a word on why.
    pub(crate) fn writable(console: Console) -> io::Result<Self> {
        let made = Self::readable().and_then(|cache| {
            open_lock(&cache.root).map_err(|fault| format!("{}: {fault}", cache.root.display()))?;
            Ok(cache)
        });
        match made {
            Ok(cache) => Ok(cache),
            Err(why) => {
                let cache = Self::private()?;
                console
                    .warn("cache_unusable", &format!("{why}; building in {} instead", cache.root.display()));
                Ok(cache)
            }
        }
    }

    /// A folder that nobody else can enter.
    pub(crate) fn private() -> io::Result<Self> {
        for number in 0..100 {
            let root = env::temp_dir().join(format!("towpath-run-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&root) {
                Ok(()) => return Ok(Self { root }),
                Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
                Err(fault) => return Err(fault),
            }
        }
        Err(io::Error::other("no name is free in the temporary folder"))
    }

    /// Whether it is the one that lasts.
    pub(crate) fn is_lasting(&self) -> bool {
        Self::place().is_some_and(|place| place == self.root)
    }

    /// The folder of a package.
    pub(crate) fn package(&self, id: &str) -> PathBuf {
        self.root.join("packages").join(id)
    }

    /// What cargo makes.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// What compilers said of themselves.
    pub(crate) fn toolchains(&self) -> PathBuf {
        self.root.join("toolchains")
    }

    /// The lock file of a manifest.
    pub(crate) fn lock_file(&self, manifest: &str) -> PathBuf {
        self.root.join("locks").join(manifest)
    }

    /// The list of the files that a source was built from.
    pub(crate) fn inputs(&self, source: &str) -> PathBuf {
        self.root.join("inputs").join(source)
    }

    /// The program with this key.
    pub(crate) fn find(&self, key: &str) -> Option<Stored> {
        stored(&self.root.join("programs").join(key))
    }

    /// Notes that a program is started. A cache that cannot be written loses nothing but the order of going.
    pub(crate) fn touch(&self, program: &Stored) {
        if let Ok(about) = File::options().write(true).open(program.folder.join(ABOUT)) {
            let _ = about.set_modified(SystemTime::now());
        }
    }

    /// Keeps a copy of `built`: the linker may write into its own file the next time.
    pub(crate) fn store(&self, key: &str, built: &Path, name: &str, source: &str) -> io::Result<Stored> {
        let programs = self.root.join("programs");
        make_folder(&programs)?;
        let new = programs.join(format!(".{}", std::process::id()));
        let _ = fs::remove_dir_all(&new);
        make_folder(&new)?;
        fs::copy(built, new.join(name))?;
        write(&new.join(ABOUT), json!({ "program": name, "source": source }).to_string().as_bytes())?;
        let folder = programs.join(key);
        // Whoever runs the former one keeps it: a running program outlives its name.
        let _ = fs::remove_dir_all(&folder);
        fs::rename(&new, &folder)?;
        stored(&folder).ok_or_else(|| io::Error::other("the program has gone at once"))
    }

    /// Lets only one run build at a time; says for whom this one waits.
    pub(crate) fn lock(&self, name: &str, console: Console) -> io::Result<Building> {
        let mut file = open_lock(&self.root)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another run" } else { &holder };
                console.info("build_waiting", &format!("waiting for {holder}, which builds"));
                file.lock()?;
            }
            Err(TryLockError::Error(fault)) => return Err(fault),
        }
        file.set_len(0)?;
        // A word for those who wait; what they wait for is the lock.
        let _ = (&file).write_all(format!("{name} (pid {})", std::process::id()).as_bytes());
        Ok(Building(file))
    }

    /// All programs, the one that was used last first.
    pub(crate) fn programs(&self) -> Vec<Stored> {
        let entries = fs::read_dir(self.root.join("programs")).into_iter().flatten().flatten();
        let mut programs: Vec<Stored> = entries.filter_map(|entry| stored(&entry.path())).collect();
        programs.sort_by_key(|program| std::cmp::Reverse(program.used));
        programs
    }

    /// Takes out what was not used for longest until the rest fits. To be called by whoever holds the lock.
    pub(crate) fn evict(&self, bytes_max: u64, keep: &Path) {
        for small in ["inputs", "locks", "toolchains", "packages"] {
            bound(&self.root.join(small), ENTRIES_MAX);
        }
        let target = bytes_of(&self.target());
        let programs = self.programs();
        let mut bytes = target
            + bytes_of(&self.root.join("packages"))
            + programs.iter().map(|program| program.bytes).sum::<u64>();
        // Compiled libraries can be had again for time alone, and a program cannot be started without its compilation.
        if bytes > bytes_max && target > bytes_max / 2 && fs::remove_dir_all(self.target()).is_ok() {
            bytes -= target;
        }
        for program in programs.iter().rev() {
            if bytes <= bytes_max {
                break;
            }
            if program.path != keep
                && !is_running(&program.path)
                && fs::remove_dir_all(&program.folder).is_ok()
            {
                bytes -= program.bytes;
            }
        }
    }

    /// Removes everything but programs that are running; how many bytes are free now.
    pub(crate) fn clean(&self) -> io::Result<u64> {
        let before = bytes_of(&self.root);
        for program in self.programs() {
            if !is_running(&program.path) {
                fs::remove_dir_all(&program.folder)?;
            }
        }
        for folder in ["inputs", "locks", "toolchains", "packages", "target"] {
            match fs::remove_dir_all(self.root.join(folder)) {
                Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
                _ => {}
            }
        }
        Ok(before.saturating_sub(bytes_of(&self.root)))
    }

    /// Removes a private folder except for the program that is about to be started from it.
    pub(crate) fn forget_all_but_programs(&self) {
        for folder in ["inputs", "locks", "toolchains", "packages", "target", LOCK] {
            let path = self.root.join(folder);
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
}

/// The limit by the environment.
///
/// # Errors
/// It is no size.
pub(crate) fn bytes_max() -> Result<u64, String> {
    match env::var("TOWPATH_CACHE_MAX") {
        Ok(text) => parse_bytes(&text).ok_or_else(|| {
            format!("TOWPATH_CACHE_MAX is {text:?}; write a number and its unit, as 5GB or 500MB")
        }),
        Err(_) => Ok(BYTES_MAX),
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let units = [
        ("", 1),
        ("B", 1),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let (_, factor) = units.into_iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The right to build, until it is dropped.
#[derive(Debug)]
pub(crate) struct Building(#[expect(dead_code, reason = "the lock is held by the open file")] File);

const LOCK: &str = "build.lock";
const ABOUT: &str = "about";

fn stored(folder: &Path) -> Option<Stored> {
    let about: serde_json::Value = serde_json::from_slice(&fs::read(folder.join(ABOUT)).ok()?).ok()?;
    let path = folder.join(about["program"].as_str()?);
    let bytes = fs::metadata(&path).ok()?.len();
    let used = fs::metadata(folder.join(ABOUT)).ok()?.modified().ok()?;
    Some(Stored {
        path,
        source: about["source"].as_str()?.to_owned(),
        used,
        bytes,
        folder: folder.to_owned(),
    })
}

/// Whether nobody but this account can write here.
fn trusted(root: &Path) -> Result<(), String> {
    for folder in [root.parent().unwrap_or(root), root] {
        let found = fs::metadata(folder).map_err(|fault| format!("{}: {fault}", folder.display()))?;
        if found.uid() != geteuid().as_raw() {
            return Err(format!("{} belongs to another account", folder.display()));
        }
        if found.mode() & 0o022 != 0 {
            return Err(format!("others can write into {}", folder.display()));
        }
    }
    Ok(())
}

fn open_lock(root: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).open(root.join(LOCK))
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file whose folder may not be there yet.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    fs::write(path, content)
}

/// The kernel lets nobody write into a program that runs.
fn is_running(program: &Path) -> bool {
    File::options()
        .write(true)
        .open(program)
        .is_err_and(|fault| fault.kind() == io::ErrorKind::ExecutableFileBusy)
}

/// Removes the oldest entries of a folder that has more than `entries_max`.
fn bound(folder: &Path, entries_max: usize) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut entries: Vec<_> =
        entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    entries.sort();
    let excess = entries.len().saturating_sub(entries_max);
    for (_, path) in &entries[..excess] {
        let _ = fs::remove_dir_all(path).or_else(|_| fs::remove_file(path));
    }
}

/// What a folder takes, without what its links lead to.
fn bytes_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let found = entry.path().symlink_metadata().ok()?;
            Some(if found.is_dir() { bytes_of(&entry.path()) } else { found.len() })
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_is_bytes() {
        assert_eq!(parse_bytes("5GB"), Some(BYTES_MAX));
        assert_eq!(
            (parse_bytes("50 MiB"), parse_bytes("0"), parse_bytes("7KB")),
            (Some(50 << 20), Some(0), Some(7_000))
        );
        for wrong in ["", "GB", "5 TB", "-1", "1.5GB", "99999999999999999999GB"] {
            assert_eq!(parse_bytes(wrong).filter(|_| !wrong.is_empty()), None, "{wrong}");
        }
    }
}
