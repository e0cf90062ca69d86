//! Programs that come as Python packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::step::{STEP_TIME_MAX, command, run_silently};
use crate::{Outcome, bench, debian};

/// What Debian's Python lacks without this package.
const FOR_ENVIRONMENTS: (&str, &str) = ("ensurepip", "python3-venv");
/// Some hundred MB over a network that may be slow, once.
const INSTALL_TIME_MAX: Duration = Duration::from_secs(600);

/// What says, in an environment, which package was installed to the end.
const INSTALLED: &str = "installed";

/// Makes sure that `package`, which names its version, is in an environment of its own, `target/NAME`. The environment.
///
/// # Errors
/// Python cannot make an environment and its package may not be installed, or the package does not come.
pub(crate) fn provide(root: &Path, name: &str, package: &str) -> Outcome<PathBuf> {
    let folder = bench::target_folder(root).join(name);
    let installed = folder.join(INSTALLED);
    if fs::read_to_string(&installed).is_ok_and(|before| before == package) {
        return Ok(folder);
    }
    println!("installing {package}");
    debian::provide(root, &[("python3", "python3")])?;
    let (module, debian_package) = FOR_ENVIRONMENTS;
    if run_silently(&mut command(root, "python3", &["-c", &format!("import {module}")]), STEP_TIME_MAX)
        .is_err()
    {
        debian::install(root, &[debian_package])?;
    }
    let path = folder.to_str().ok_or("the checkout's path is not UTF-8")?;
    run_silently(&mut command(root, "python3", &["-m", "venv", path]), STEP_TIME_MAX)?;
    let python = folder.join("bin/python3");
    let python = python.to_str().ok_or("the checkout's path is not UTF-8")?;
    let words =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", package];
    run_silently(&mut command(root, python, &words), INSTALL_TIME_MAX)?;
    fs::write(installed, package)?;
    Ok(folder)
}
