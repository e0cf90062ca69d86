//! The caller's cargo and compiler: where they are, and which they are, without starting them every time.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::key::Key;

/// Variables that change what the compiler makes. Those of cargo that begin with one of [`PREFIXES`] do, too.
const VARIABLES: &[&str] = &[
    "AR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CC",
    "CFLAGS",
    "CXX",
    "CXXFLAGS",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];
const PREFIXES: &[&str] = &["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_"];
/// Where cargo puts its files is not what they hold, and we choose it ourselves.
const PLACES: &[&str] = &["CARGO_TARGET_DIR", "CARGO_TARGET_TMPDIR", "CARGO_BUILD_TARGET_DIR"];

/// Files in the folders above a program that choose a compiler or its flags.
const FILES: &[&str] = &["rust-toolchain", "rust-toolchain.toml", ".cargo/config", ".cargo/config.toml"];

/// A cargo and everything that decides what it makes of the same sources.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// The program.
    pub(crate) cargo: PathBuf,
    /// A digest of the compiler's own account of itself, of flags and settings.
    pub(crate) key: String,
}

impl Toolchain {
    /// The one that `cargo` on the search path means in `folder`; `None` when there is no cargo or no compiler.
    ///
    /// What `rustc -vV` says is kept in `memory`, under what can be seen of the compiler without starting it.
    pub(crate) fn find(folder: &Path, memory: &Path) -> Option<Self> {
        let cargo = program("cargo".as_ref())?;
        let rustc = program(&env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))?;
        let seen = seen(folder, &cargo, &rustc);
        let remembered = memory.join(&seen);
        let version = match fs::read_to_string(&remembered) {
            Ok(version) if !version.is_empty() => version,
            _ => {
                let told = Command::new(&rustc).arg("-vV").current_dir(folder).output().ok()?;
                let version = String::from_utf8_lossy(&told.stdout).into_owned();
                if !told.status.success() || version.is_empty() {
                    return None;
                }
                // Where nothing can be kept, the compiler is asked again the next time.
                let _ = fs::create_dir_all(memory).and_then(|()| fs::write(&remembered, &version));
                version
            }
        };
        Some(Self { cargo, key: key(folder, &version) })
    }
}

/// What is made depends on this, beside the sources.
fn key(folder: &Path, version: &str) -> String {
    let mut key = Key::new().with("rustc", version);
    for (name, value) in variables() {
        key.add(&name, value.as_bytes());
    }
    add_settings(&mut key, folder);
    key.finish()
}

/// What the settings say, wherever they lie: how deep a program lies is no part of it.
fn add_settings(key: &mut Key, folder: &Path) {
    for content in settings(folder).iter().filter_map(|file| fs::read(file).ok()) {
        key.add("setting", content);
    }
}

/// The look of the compiler from outside: programs by size and time, settings by content.
fn seen(folder: &Path, cargo: &Path, rustc: &Path) -> String {
    let mut key = Key::new();
    for program in [cargo, rustc] {
        key.add("program", look(program));
    }
    if let Some(rustup) = home("RUSTUP_HOME", ".rustup") {
        key.add_file("settings", &rustup.join("settings.toml"));
        let entries = fs::read_dir(rustup.join("toolchains")).into_iter().flatten().flatten();
        let mut compilers: Vec<String> = entries.map(|entry| look(&entry.path().join("bin/rustc"))).collect();
        compilers.sort();
        key.add("compilers", compilers.join("\n"));
    }
    for (name, value) in variables() {
        key.add(&name, value.as_bytes());
    }
    add_settings(&mut key, folder);
    key.finish()
}

fn look(program: &Path) -> String {
    match fs::metadata(program) {
        Ok(seen) => {
            format!(
                "{} {} {} {}.{}",
                program.display(),
                seen.len(),
                seen.ino(),
                seen.mtime(),
                seen.mtime_nsec()
            )
        }
        Err(_) => format!("{} away", program.display()),
    }
}

fn variables() -> Vec<(String, OsString)> {
    let matters = |name: &str| {
        VARIABLES.contains(&name)
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !PLACES.contains(&name)
    };
    let mut found: Vec<(String, OsString)> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| matters(name))
        .collect();
    found.sort();
    found
}

/// Files that may choose a compiler or its flags, whether they are there or not.
fn settings(folder: &Path) -> Vec<PathBuf> {
    let above = folder.ancestors().flat_map(|folder| FILES.iter().map(move |file| folder.join(file)));
    let own = home("CARGO_HOME", ".cargo");
    let own = own.iter().flat_map(|home| ["config", "config.toml"].map(|file| home.join(file)));
    above.chain(own).collect()
}

fn home(variable: &str, folder: &str) -> Option<PathBuf> {
    let chosen = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    chosen.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(folder)))
}

/// A program by its path, or by its name in one of the folders of `PATH`.
fn program(name: &std::ffi::OsStr) -> Option<PathBuf> {
    let is_program =
        |path: &Path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0);
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| is_program(path))
}
