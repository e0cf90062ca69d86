//! `cargo xtask tidy`: what the compiler does not check about the tree, as a list of all faults.
//!
//! Every check is a pure function from text to faults, so that its tests can plant a fault and see it found; reading
//! the tree happens here and nowhere else.

mod absences;
mod bans;
mod edges;
mod files;
mod manifests;

use std::fs;
use std::path::Path;

use crate::step::{STEP_TIME_MAX, command, run_silently};
use crate::{Outcome, generate};

/// One tracked (or about to be tracked) text file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Prints every fault.
///
/// # Errors
/// There is one.
pub(crate) fn run(root: &Path) -> Outcome<()> {
    println!("tidy: {}", check(root)?);
    Ok(())
}

/// Checks the tree; a remark for the summary.
///
/// # Errors
/// A fault; all of them have been printed.
pub(crate) fn check(root: &Path) -> Outcome<String> {
    let sources = sources(root)?;
    let mut faults = Vec::new();
    faults.extend(edges::check(&dependency_tree(root, "normal,build", 1)?, edges::Kind::Normal));
    faults.extend(edges::check(&dependency_tree(root, "dev", 1)?, edges::Kind::Dev));
    for name in edges::PURE {
        faults.extend(edges::check_pure(name, &full_tree(root, name)?));
    }
    for source in &sources {
        faults.extend(files::check(source, root));
        faults.extend(absences::check(source));
        faults.extend(manifests::check(source));
    }
    faults.extend(readme(root));
    faults.extend(bans::check(&read(root, "deny.toml"), &read(root, "Cargo.lock")));
    faults.extend(bans::check_built(&shipped_tree(root)?));
    faults.extend(generate::stale(root)?);
    report(&faults, sources.len())
}

fn report(faults: &[String], files: usize) -> Outcome<String> {
    for fault in faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => Ok(format!("{files} files")),
        count => Err(format!("{count} faults").into()),
    }
}

fn readme(root: &Path) -> Vec<String> {
    files::check_readme(&read(root, "README.md"))
}

fn read(root: &Path, file: &str) -> String {
    fs::read_to_string(root.join(file)).unwrap_or_default()
}

/// Text files that git tracks or would take; a checkout without git history has the latter.
fn sources(root: &Path) -> Outcome<Vec<Source>> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let listing = run_silently(&mut command(root, "git", &args), STEP_TIME_MAX)?;
    let mut sources = Vec::new();
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        // Corpora and fixtures may be bytes, and a listed file may have been removed: neither is text to judge.
        if let Ok(text) = fs::read_to_string(root.join(path)) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

/// Cargo's own account of who depends on whom, one line per package: its depth, then its name.
fn dependency_tree(root: &Path, kinds: &str, depth: u32) -> Outcome<String> {
    let depth = depth.to_string();
    let args = ["tree", "--workspace", "--locked", "--prefix", "depth", "--format", " {p}", "--edges", kinds];
    let more = ["--depth", &depth, "--target", "all", "--all-features", "--no-dedupe"];
    run_silently(command(root, "cargo", &args).args(more), STEP_TIME_MAX)
}

/// Every package that the shipped binary is built from.
fn shipped_tree(root: &Path) -> Outcome<String> {
    let args = ["tree", "--package", "towpath-cli", "--locked", "--prefix", "none", "--format", "{p}"];
    run_silently(
        command(root, "cargo", &args).args(["--edges", "normal,build", "--target", "all"]),
        STEP_TIME_MAX,
    )
}

/// Everything that is there when `package` runs. What compiles it, such as the compiler of C for zstd, may look at a clock.
fn full_tree(root: &Path, package: &str) -> Outcome<String> {
    let args = [
        "tree",
        "--package",
        package,
        "--locked",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--edges",
        "normal",
    ];
    let more = ["--target", "all", "--all-features", "--no-dedupe"];
    run_silently(command(root, "cargo", &args).args(more), STEP_TIME_MAX)
}
