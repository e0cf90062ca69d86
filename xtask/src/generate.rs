//! Files that are printed by the product and committed for readers; tidy fails when one is stale.

use std::fs;
use std::path::Path;

use crate::step::{STEP_TIME_MAX, command, run_silently};
use crate::{Outcome, suite};

/// A committed file and the arguments of `towpath` that print it.
const GENERATED: &[(&str, &[&str])] = &[
    ("docs/reference/config.schema.json", &["schema"]),
    ("docs/reference/config.md", &["schema", "--markdown"]),
    ("docs/reasons.md", &["schema", "--reasons"]),
];

/// Writes every generated file.
///
/// # Errors
/// The product does not build or does not print one of them.
pub(crate) fn run(root: &Path) -> Outcome<()> {
    let program = suite::build(root, "--bin", "towpath")?.join("towpath");
    for (file, args) in GENERATED {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(&path, print(root, &program, args)?)?;
        println!("wrote {file}");
    }
    Ok(())
}

/// The committed files that differ from what the product prints; none while no such file is committed.
///
/// # Errors
/// The product does not build or does not print one of them.
pub(crate) fn stale(root: &Path) -> Outcome<Vec<String>> {
    let program = suite::build(root, "--bin", "towpath")?.join("towpath");
    let mut stale = Vec::new();
    for (file, args) in GENERATED {
        let Ok(committed) = fs::read_to_string(root.join(file)) else { continue };
        if committed != print(root, &program, args)? {
            stale.push(format!("{file}: stale; `cargo xtask generate` writes it"));
        }
    }
    Ok(stale)
}

fn print(root: &Path, program: &Path, args: &[&str]) -> Outcome<String> {
    let program = program.to_str().ok_or("the checkout's path is not UTF-8")?;
    run_silently(&mut command(root, program, args), STEP_TIME_MAX)
}
