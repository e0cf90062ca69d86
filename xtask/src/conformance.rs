//! `cargo xtask conformance`: the slow outside suites, each a folder with its list of excused cases.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bench::target_folder;
use crate::step::{command, run};
use crate::{Outcome, debian, envoy};

/// Also above a cold release build on two cores.
const SUITE_TIME_MAX: Duration = Duration::from_secs(3_600);

/// Provides the programs that suites need, builds the binary that they judge, and runs every `conformance/*/run`.
///
/// # Errors
/// A program is missing and may not be installed, or a suite failed.
pub(crate) fn run_command(root: &Path) -> Outcome<()> {
    debian::provide(root, debian::FOR_CONFORMANCE)?;
    envoy::provide(root)?;
    let args = ["build", "--release", "--locked", "--package", "towpath-cli"];
    run(&mut command(root, "cargo", &args), SUITE_TIME_MAX)?;
    let towpath = target_folder(root).join("release/towpath");
    for script in scripts(root)? {
        println!("== {}", script.display());
        let program = script.to_str().ok_or("the checkout's path is not UTF-8")?;
        run(command(root, program, &[]).env("TOWPATH", &towpath), SUITE_TIME_MAX)?;
    }
    Ok(())
}

/// Runs Autobahn's suite alone.
///
/// # Errors
/// No Python that has it was found, or a case failed.
pub(crate) fn run_autobahn(root: &Path) -> Outcome<()> {
    run(&mut command(root, "conformance/websocket/run", &["autobahn"]), SUITE_TIME_MAX)
}

/// What runs a suite; a folder without it holds data for tests.
fn scripts(root: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(root.join("conformance"))?;
    let mut scripts: Vec<_> = entries.flatten().map(|entry| entry.path().join("run")).collect();
    scripts.retain(|script| script.is_file());
    scripts.sort();
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_suite_is_found_and_can_be_started() {
        let scripts = scripts(&crate::root()).unwrap();
        let suites: Vec<_> =
            scripts.iter().map(|script| script.parent().unwrap().file_name().unwrap()).collect();
        assert_eq!(suites, ["http2", "layer4", "programs", "shown-by", "websocket"]);
        for script in scripts {
            assert!(script.metadata().unwrap().permissions().mode() & 0o111 != 0, "{}", script.display());
        }
    }
}
